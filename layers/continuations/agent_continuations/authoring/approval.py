"""Approval policies as the authors of tools write them: who must agree before a call runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agent_continuations.core.approvals.policy import (
    GROUP,
    ApprovalPolicy,
    Escalation,
    Preview,
    Risk,
)
from agent_continuations.core.approvals.policy import Stage as PolicyStage

WEEK_SECONDS = 7 * 24 * 3600
MAX_TIMEOUT_SECONDS = 365 * 24 * 3600

Needed: TypeAlias = int | Literal["any", "all"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as a policy sees it: validated arguments, and who makes it."""

    tool: str
    arguments: Mapping[str, Any]
    agent: str


Predicate: TypeAlias = Callable[[ToolCall], bool]


@dataclass(frozen=True, slots=True)
class Stage:
    """Who is asked together.

    Args:
        approvers: mail addresses, and groups as `group:name`. Whoever answers for a group must be
            signed in, since only then is it known who is in it.
        needed: how many different people must agree: `"any"` one, `"all"`, or a number.
        when: asked with the call; without it the stage applies to every call. One that raises
            counts as yes.

    Raises:
        ValueError: no approver, or more are needed than there are.
    """

    approvers: Sequence[str]
    needed: Needed = "any"
    when: Predicate | None = None

    def __post_init__(self) -> None:
        named = not isinstance(self.approvers, str | bytes) and bool(self.approvers)
        if not named or not all(isinstance(each, str) and each for each in self.approvers):
            raise ValueError("approvers must be a list with at least one address")
        groups = any(each.startswith(GROUP) for each in self.approvers)
        if self.needed == "all" and groups:
            raise ValueError("it is not known how many a group are; say how many of it must agree")
        if isinstance(self.needed, str):
            if self.needed not in ("any", "all"):
                raise ValueError("needed is 'any', 'all' or a number")
        elif not 1 <= self.needed <= (len(self.approvers) if not groups else self.needed):
            raise ValueError(f"{self.needed} of {len(self.approvers)} can never agree")

    def to_policy_stage(self) -> PolicyStage:
        """The stage as it is stored."""
        count = {"any": 1, "all": len(self.approvers)}
        needed = count[self.needed] if isinstance(self.needed, str) else self.needed
        return PolicyStage(approvers=tuple(self.approvers), needed=needed)


@dataclass(frozen=True, slots=True)
class Approval:
    """Who must agree before a call runs.

    Args:
        approvers: who is asked, see `Stage`. Where there are `stages`, leave it out.
        when: asked with the validated call; without it every call needs approval. A predicate
            that raises counts as yes: in doubt, people are asked.
        timeout_seconds: from the question to the deadline. Time never approves.
        needed: how many must agree, see `Stage`.
        stages: one after the other, such as a manager and then finance. Every person counts once.
        on_deadline: `"reject"` the call, or `"fail"` the whole run.
        escalations: who is asked instead once the deadline has passed, one after the other.
        remind_after_seconds: when those who owe an answer are told again, after the question.
        risk: with `"high"`, whoever decides must be signed in; a mailed link is not enough.
        self_approval: whether whoever started the run may approve.
        delegates: to whom an approver may pass a request on, as names or `*@domain`; colleagues at
            the approver's own domain where not given; nobody where empty.
        grant_seconds: for how long at most approvers may agree in advance to calls like one that
            they approve; 0, the default, for never.

    Raises:
        ValueError: nobody is asked, more are needed than there are, or times that do not fit.
    """

    approvers: Sequence[str] = ()
    when: Predicate | None = None
    timeout_seconds: int = WEEK_SECONDS
    needed: Needed = "any"
    stages: Sequence[Stage] = ()
    on_deadline: Literal["reject", "fail"] = "reject"
    escalations: Sequence[Escalation] = ()
    remind_after_seconds: Sequence[int] = ()
    risk: Literal["low", "high"] = "low"
    self_approval: bool = False
    delegates: Sequence[str] | None = None
    grant_seconds: int = 0

    def __post_init__(self) -> None:
        if self.stages and (self.approvers or self.needed != "any"):
            raise ValueError("approvers and needed stand in the stages")
        for each in self._stages():
            each.to_policy_stage()
        if self._stages()[0].when:
            raise ValueError("the first stage applies always; say when approval is needed at all")
        seconds = self.timeout_seconds
        if type(seconds) is not int or not 1 <= seconds <= MAX_TIMEOUT_SECONDS:
            raise ValueError(f"timeout_seconds is a whole number up to {MAX_TIMEOUT_SECONDS}")
        reminders = list(self.remind_after_seconds)
        if reminders != sorted(set(reminders)) or any(
            type(each) is not int or not 0 < each < seconds for each in reminders
        ):
            raise ValueError("reminders come at rising times before the deadline")
        if self.risk not in ("low", "high") or self.on_deadline not in ("reject", "fail"):
            raise ValueError("risk is 'low' or 'high', on_deadline 'reject' or 'fail'")
        if not 0 <= self.grant_seconds <= MAX_TIMEOUT_SECONDS:
            raise ValueError(f"grant_seconds is from 0 to {MAX_TIMEOUT_SECONDS}")

    def policy_for(self, call: ToolCall, preview: Preview | None = None) -> ApprovalPolicy | None:
        """The policy as it applies to this call, or None where nobody needs to be asked."""
        if not _applies(self.when, call):
            return None
        stages = tuple(
            each.to_policy_stage() for each in self._stages() if _applies(each.when, call)
        )
        return self._build_policy(stages, preview)

    def pinned_policy(self, preview: Preview) -> ApprovalPolicy:
        """The policy as it applies where there is no call to ask `when` about."""
        return self._build_policy(tuple(each.to_policy_stage() for each in self._stages()), preview)

    def _build_policy(
        self, stages: tuple[PolicyStage, ...], preview: Preview | None
    ) -> ApprovalPolicy:
        high = self.risk == "high" or (preview is not None and preview.risk is Risk.HIGH)
        return ApprovalPolicy(
            stages=stages,
            timeout_seconds=self.timeout_seconds,
            reminders=tuple(self.remind_after_seconds),
            escalations=tuple(self.escalations),
            on_deadline=self.on_deadline,
            risk=Risk.HIGH if high else Risk.LOW,
            self_approval=self.self_approval,
            delegates=None if self.delegates is None else tuple(self.delegates),
            grant_seconds=self.grant_seconds,
            preview=preview,
        )

    def _stages(self) -> Sequence[Stage]:
        return self.stages or (Stage(self.approvers, self.needed),)


def _applies(when: Predicate | None, call: ToolCall) -> bool:
    if when is None:
        return True
    try:
        return bool(when(call))
    except Exception:  # noqa: BLE001 - the author's predicate may fail in any way; failing must not open
        return True
