"""Policy."""

from enum import StrEnum
from typing import Any, Literal, TypeAlias

from pydantic import Field, model_validator

from agent_continuations.core.base import FrozenModel

GROUP = "group:"


class Risk(StrEnum):
    """How surely one must know who decides. For LOW a link is enough; for HIGH a person must be
    signed in.
    """

    LOW = "low"
    HIGH = "high"


# By which door a decision came; who may use which depends on the risk.
DecisionSource: TypeAlias = Literal["api", "link", "session", "slack", "grant", "deadline", "local"]


class Stage(FrozenModel):
    """Who is asked together, and how many of them must agree. `group:name` is a whole group."""

    approvers: tuple[str, ...] = Field(min_length=1)
    needed: int = Field(default=1, ge=1)


class Escalation(FrozenModel):
    """Who is asked instead, once the deadline has passed without an answer, and for how long.

    Args:
        approvers: mail addresses or groups.
        needed: how many of them must agree.
        timeout_seconds: after this, the next escalation follows, or the policy's last word.
    """

    approvers: tuple[str, ...] = Field(min_length=1)
    needed: int = Field(default=1, ge=1)
    timeout_seconds: int = Field(ge=1)


class Preview(FrozenModel):
    """What a call would do, in the words of the tool's author.

    Args:
        effect: one or two sentences for whoever must decide.
        reversible: whether it can be taken back; None where that is not known.
        risk: raises the policy's risk for this call.
    """

    effect: str = Field(max_length=2000)
    reversible: bool | None = None
    risk: Risk = Risk.LOW


def _one_stage(value: Any) -> Any:
    """Form 1 knew approvers only, any one of whom decides."""
    if isinstance(value, dict) and "approvers" in value:
        value = dict(value)
        value["stages"] = [{"approvers": value.pop("approvers")}]
    return value


class ApprovalPolicy(FrozenModel):
    """The approval that a call needs: the policy as it stood when the model asked.

    Attributes:
        stages: one after the other.
        timeout_seconds: from the question to the deadline.
        reminders: seconds after the question, rising, at which those who owe an answer are told
            again.
        escalations: who is asked once the deadline has passed, one after the other.
        on_deadline: what the last deadline means. Time never approves.
        self_approval: whether whoever started the run may decide.
        delegates: to whom an approver may pass the request on, as `name` or `*@domain`; None for
            colleagues at the approver's own domain.
        grant_seconds: for how long at most an approver may agree in advance to calls like this
            one; 0 for never.
        preview: what the tool's author says of this call.
    """

    stages: tuple[Stage, ...] = Field(min_length=1)
    timeout_seconds: int
    reminders: tuple[int, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    on_deadline: Literal["reject", "fail"] = "reject"
    risk: Risk = Risk.LOW
    self_approval: bool = False
    delegates: tuple[str, ...] | None = None
    grant_seconds: int = 0
    preview: Preview | None = None

    _form_1 = model_validator(mode="before")(_one_stage)


def normalized(name: str) -> str:
    """A name as it is compared: mail addresses are the same in capitals.

    In ASCII only: other alphabets have letters that become ASCII ones (K, the Kelvin sign, a k).
    """
    return name.lower() if name.isascii() else name


# Where it is known who decides. A mailed link, or a chat, may be in somebody else's hands.
AUTHENTICATED_SOURCES: frozenset[DecisionSource] = frozenset({"api", "session", "local"})
