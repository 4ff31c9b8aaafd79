"""Plans: the needs of each call, determined once when the model asks for it."""

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.base import FrozenModel


class Effect(StrEnum):
    """The side effect of a tool, which determines whether it may run again after a crash.

    READ changes nothing and may run again at will. IDEMPOTENT may run again with the same
    idempotency key. ONCE never runs again by itself: after a crash a person is asked.
    """

    READ = "read"
    IDEMPOTENT = "idempotent"
    ONCE = "once"


class ToolPlan(FrozenModel):
    """A call of a tool.

    Attributes:
        arguments: the arguments as people are shown them.
        form: 2 if the tool gets what the text of the request says; 1 for plans of earlier code,
            whose tools get `arguments`.
        raw_digest: the digest of that text, which an approval covers; only with a policy.
        masked: arguments that may hold a masked secret.
        gate: the approval policy, if the call needs approval.
    """

    kind: Literal["tool"] = "tool"
    tool: str
    arguments: dict[str, Any]
    effect: Effect
    schema_version: str
    form: Literal[1, 2] = 1
    raw_digest: str | None = None
    masked: tuple[str, ...] = ()
    gate: ApprovalPolicy | None = None


class AgentPlan(FrozenModel):
    """A call of a sub-agent, with all that its frame starts from.

    Attributes:
        output: the JSON schema of its answer, if it has one.
        spawn: whether the call starts a child run instead of a frame in this run.
        form, raw_digest, gate: as in `ToolPlan`.
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
    form: Literal[1, 2] = 1
    raw_digest: str | None = None
    gate: ApprovalPolicy | None = None


class UsageTally(FrozenModel):
    """The usage of an agent or a run up to now.

    Attributes:
        cost: by the condition's price table.
        unpriced: how many turns used a model without a known price.
        seconds: time since the start.
    """

    turns: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0

    def since(self, before: "UsageTally | None") -> "UsageTally":
        """The usage since `before`; all of it if that is None."""
        if before is None:
            return self
        mine, theirs = dict(self), dict(before)
        return UsageTally(**{name: mine[name] - theirs[name] for name in mine})


class ConditionPlan(FrozenModel):
    """A stop by a condition, at which people decide whether to continue. No model asks for it.

    Attributes:
        tool: the condition's name.
        arguments: its limit, if it has one, which the approver can change.
        scope: whether this frame stops, or the whole run.
        tally: the usage at the stop; the next limit counts from there.
        gate: the approval policy.
    """

    kind: Literal["hold"] = "hold"
    tool: str
    arguments: dict[str, Any]
    scope: Literal["agent", "run"]
    tally: UsageTally
    schema_version: str = "condition-1"
    gate: ApprovalPolicy


class RefusedPlan(FrozenModel):
    """A call that cannot be made; `reason` is the text for the model."""

    kind: Literal["refused"] = "refused"
    tool: str
    reason: str


Plan: TypeAlias = Annotated[
    ToolPlan | AgentPlan | RefusedPlan | ConditionPlan, Field(discriminator="kind")
]
