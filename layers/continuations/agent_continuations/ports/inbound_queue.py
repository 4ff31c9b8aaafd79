"""Inbound queue: what functions send that may write nothing to the table.

A message proves by itself that its sender may send it, because several functions send to one queue,
those that run tools among them: by the token of the job or of the attempt whose outcome it brings,
or by the signature of the function that receives events. The messages are stored for up to 14 days,
so their form is a stored form: a `v` or a `kind` never changes its meaning.
"""

import json
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, TypeAlias

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter

from agent_continuations.core.base import FrozenModel, storable
from agent_continuations.core.outcome import MAX_LATE_RESULT_BYTES, Outcome, too_large


def _returned(outcome: Outcome) -> Outcome:
    if outcome.kind == "rejected":
        raise ValueError("only people reject a call")
    return outcome


ReturnedOutcome: TypeAlias = Annotated[Outcome, AfterValidator(_returned)]


class CallbackMessage(FrozenModel):
    """The outcome of a job, from the system that runs it.

    Attributes:
        token: that of the job's callback address.
    """

    v: Literal[1] = 1
    kind: Literal["callback"] = "callback"
    token: str
    outcome: ReturnedOutcome


class EventMessage(FrozenModel):
    """An event for a run, from the event bus.

    Attributes:
        key: the same for each repetition of the event.
        at: when it was accepted.
        signature: of all other fields.
    """

    v: Literal[1] = 1
    kind: Literal["event"] = "event"
    run_id: str
    name: str
    payload: Any = None
    correlation: str | None = None
    key: str
    at: datetime
    signature: str = ""


class OutcomeMessage(FrozenModel):
    """The outcome of a tool's attempt, from the host that runs it.

    Attributes:
        token: that of the attempt, which the engine has given to the host.
    """

    v: Literal[1] = 1
    kind: Literal["outcome"] = "outcome"
    token: str
    outcome: ReturnedOutcome


InboundMessage: TypeAlias = CallbackMessage | EventMessage | OutcomeMessage

_MESSAGES: TypeAdapter[InboundMessage] = TypeAdapter(
    Annotated[InboundMessage, Field(discriminator="kind")]
)


class InboundQueue(Protocol):
    """Takes messages until they are stored or refused."""

    def send(self, message: InboundMessage) -> None:
        """Send a message.

        Raises:
            Retryable: the queue does not answer; the message may have been sent.
        """


def message_text(message: InboundMessage) -> str:
    """A message as text. The queue takes any, if its outcome was made by `returnable`."""
    text = json.dumps(dict(message), ensure_ascii=False, default=_plain)
    # SQS refuses these two characters, though UTF-8 has them.
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def parsed_message(text: str) -> InboundMessage:
    """The message of a text.

    Raises:
        ValueError: it is no message, or one of a form that this code does not know.
    """
    try:
        return _MESSAGES.validate_python(json.loads(text))
    except (ValueError, RecursionError):
        raise ValueError("the message has no form that is known here") from None


def returnable(outcome: Outcome) -> Outcome:
    """An outcome that a message can bring: with a sentence in place of a text that is too large."""
    content = storable(outcome.content)
    if len(json.dumps(content, ensure_ascii=False).encode()) > MAX_LATE_RESULT_BYTES:
        content = too_large(len(content.encode()))
    return Outcome(kind=outcome.kind, content=content)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else BaseModel.model_dump(value)
