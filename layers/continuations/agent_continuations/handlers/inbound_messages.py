"""What becomes of the messages in the inbound queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

from agent_continuations.auth.callback_tokens import CallbackTokens, OutcomeTokens
from agent_continuations.auth.event_signatures import EventSignatures
from agent_continuations.errors import Conflict, Invalid, NotFound
from agent_continuations.ports.inbound_queue import (
    CallbackMessage,
    EventMessage,
    InboundMessage,
    OutcomeMessage,
    parsed_message,
)
from agent_continuations.services.inbound import RunInbound

Fate: TypeAlias = Literal["stored", "refused", "unverified", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a message.

    Attributes:
        fate: `stored`: its content is stored, now or before. `refused`: its run does not take it,
            now or later. `unverified`: its token or signature is not valid, perhaps because its key
            is newer than the one that is known here. `unknown`: it has no form that is known here.
        kind: the kind of the message; None if it is unknown.
        run_id, path: of the run and the call that it is for; None if they are not verified.
        error: why it was not stored; without its content.
    """

    fate: Fate
    kind: str | None = None
    run_id: str | None = None
    path: str | None = None
    error: Exception | None = None


class InboundReceiver:
    """Verifies the messages of the inbound queue, and stores what they bring.

    Args:
        inbound: stores it.
        callbacks, outcomes, events: return what verifies the messages of each kind.
    """

    def __init__(
        self,
        inbound: RunInbound,
        *,
        callbacks: Callable[[], CallbackTokens],
        outcomes: Callable[[], OutcomeTokens],
        events: Callable[[], EventSignatures],
    ) -> None:
        self._inbound = inbound
        self._callbacks = callbacks
        self._outcomes = outcomes
        self._events = events

    def receive(self, text: str) -> Receipt:
        """Store what a message brings. Repeating it changes nothing.

        Raises:
            Retryable: the store does not answer, or the run cannot be read now.
        """
        try:
            message = parsed_message(text)
        except ValueError as error:
            return Receipt(fate="unknown", error=error)
        try:
            store, run_id, path = self._verified(message)
        except NotFound as error:
            return Receipt(fate="unverified", kind=message.kind, error=error)
        try:
            store()
        except (Conflict, Invalid) as error:
            return Receipt(fate="refused", kind=message.kind, run_id=run_id, path=path, error=error)
        return Receipt(fate="stored", kind=message.kind, run_id=run_id, path=path)

    def _verified(self, message: InboundMessage) -> tuple[Callable[[], object], str, str | None]:
        """What stores the content of a message, and its run and path.

        Raises:
            NotFound: its sender may not send it.
        """
        match message:
            case CallbackMessage(token=token, outcome=outcome):
                run_id, path = self._callbacks().read(token)
                return lambda: self._inbound.complete(run_id, path, outcome), run_id, path
            case OutcomeMessage(token=token, outcome=outcome):
                run_id, path, attempt = self._outcomes().read(token)
                return lambda: self._inbound.settle(run_id, path, attempt, outcome), run_id, path
            case EventMessage():
                if not self._events().valid(message):
                    raise NotFound("the signature is not valid")
                return lambda: self._signal(message), message.run_id, None
            case _:
                assert_never(message)

    def _signal(self, event: EventMessage) -> None:
        self._inbound.signal(
            event.run_id,
            event.name,
            event.payload,
            correlation=event.correlation,
            key=event.key,
            at=event.at,
        )
