"""Plans."""

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.base import FrozenModel


class Effect(StrEnum):
    """What a tool does to the world, which decides how it may be run again.

    READ changes nothing and may run again at will. IDEMPOTENT may run again with the same
    idempotency key. ONCE must never run again by itself: after a crash a person is asked.
    """

    READ = "read"
    IDEMPOTENT = "idempotent"
    ONCE = "once"


class ToolPlan(FrozenModel):
    """A call of a tool, its arguments validated."""

    kind: Literal["tool"] = "tool"
    tool: str
    arguments: dict[str, Any]
    effect: Effect
    schema_version: str
    gate: ApprovalPolicy | None = None


class AgentPlan(FrozenModel):
    """A call of a sub-agent, with all that its frame starts from.

    Attributes:
        output: the JSON schema of its answer, where it has one.
        spawn: whether it is a run of its own.
    """

    kind: Literal["agent"] = "agent"
    tool: str
    arguments: dict[str, Any]
    agent: str
    instructions: str
    max_turns: int
    output: dict[str, Any] | None = None
    spawn: bool = False
    schema_version: str
    gate: ApprovalPolicy | None = None


class UsageTally(FrozenModel):
    """How far an agent or a run has come.

    Attributes:
        cost: by the prices of whoever counts.
        unpriced: how many turns no price is known of.
        seconds: since the start.
    """

    turns: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0

    def since(self, before: "UsageTally | None") -> "UsageTally":
        """How much of it came after `before`."""
        if before is None:
            return self
        mine, theirs = dict(self), dict(before)
        return UsageTally(**{name: mine[name] - theirs[name] for name in mine})


class ConditionPlan(FrozenModel):
    """Not a call that a model asks for: a condition holds, and people say whether to go on.

    Attributes:
        tool: the condition's name.
        arguments: its limit, if it has one, which whoever lets it go on can change.
        scope: whether this frame is held, or the whole run.
        tally: how far it had come; the next limit counts from there.
    """

    kind: Literal["hold"] = "hold"
    tool: str
    arguments: dict[str, Any]
    scope: Literal["agent", "run"]
    tally: UsageTally
    schema_version: str = "condition-1"
    gate: ApprovalPolicy


class RefusedPlan(FrozenModel):
    """A call that cannot be made, with the words that tell the model why."""

    kind: Literal["refused"] = "refused"
    tool: str
    reason: str


Plan: TypeAlias = Annotated[
    ToolPlan | AgentPlan | RefusedPlan | ConditionPlan, Field(discriminator="kind")
]
