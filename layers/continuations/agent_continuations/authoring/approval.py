"""Approval policies as authors of tools write them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Literal, TypeAlias

from agent_continuations.authoring.result_text import error_text
from agent_continuations.authoring.running import attempted, run_function
from agent_continuations.core.approvals.policy import (
    ApprovalPolicy,
    Escalation,
    Preview,
    Risk,
    folded,
    is_group,
)
from agent_continuations.core.approvals.policy import Stage as PolicyStage
from agent_continuations.core.base import storable
from agent_continuations.safe_text import is_visible

WEEK_SECONDS = 7 * 24 * 3600
MAX_TIMEOUT_SECONDS = 365 * 24 * 3600
MAX_APPROVERS = 1000
"""Of one stage or escalation: their notices must fit into one transaction, up to 49 at a time."""

_log = getLogger(__name__)

Needed: TypeAlias = int | Literal["any", "all"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Input of a policy's predicate: a call, and the calling agent.

    Attributes:
        arguments: the values that the tool's function gets, by parameter name.
    """

    tool: str
    arguments: Mapping[str, Any]
    agent: str


Predicate: TypeAlias = Callable[[ToolCall], bool]


@dataclass(frozen=True, slots=True)
class Stage:
    """Stage of an approval: approvers who are asked together.

    Args:
        approvers: e-mail addresses, and groups as `group:name`. Members of a group must sign in,
            which proves their membership.
        needed: number of different people who must approve: `"any"` (one), `"all"`, or a number.
        when: predicate on the call; without one the stage applies to every call. If it raises,
            the stage applies.

    Raises:
        ValueError: no approver is given, or more than `MAX_APPROVERS`, or one twice, or `needed` is
            invalid or exceeds their number.
    """

    approvers: Sequence[str]
    needed: Needed = "any"
    when: Predicate | None = None

    def __post_init__(self) -> None:
        is_list = not isinstance(self.approvers, str | bytes) and bool(self.approvers)
        if not is_list or not all(isinstance(each, str) and each for each in self.approvers):
            raise ValueError("approvers must be a list with at least one address")
        _check_names(self.approvers)
        groups = any(map(is_group, self.approvers))
        if self.needed == "all" and groups:
            raise ValueError("needed='all' does not work with groups, whose size is unknown")
        if isinstance(self.needed, str):
            if self.needed not in ("any", "all"):
                raise ValueError("needed must be 'any', 'all' or a number")
        elif self.needed < 1:
            raise ValueError("needed must be at least 1")
        elif self.needed > len(self.approvers) and not groups:
            noun = "approver" if len(self.approvers) == 1 else "approvers"
            raise ValueError(
                f"needed={self.needed}, but the stage has only {len(self.approvers)} {noun}"
            )

    def to_policy_stage(self) -> PolicyStage:
        """Returns the stage as it is stored."""
        count = {"any": 1, "all": len(self.approvers)}
        needed = count[self.needed] if isinstance(self.needed, str) else self.needed
        return PolicyStage(approvers=tuple(self.approvers), needed=needed)


@dataclass(frozen=True, slots=True)
class Approval:
    """Approval policy: the approvers who must agree before a call runs.

    Args:
        approvers: approvers of a single stage, see `Stage`. Omit it with `stages`.
        when: predicate on the validated call; without one every call needs approval. If it
            raises, the call needs approval.
        timeout_seconds: seconds from the request to its deadline. A deadline never approves.
        needed: number of approvals of a single stage, see `Stage`.
        stages: consecutive stages, such as a manager and then finance. Each person counts once.
        on_deadline: `"reject"` the call, or `"fail"` the whole run.
        escalations: approvers asked instead after the deadline, one escalation after the other.
        remind_after_seconds: seconds from the request to each reminder of pending approvers.
        risk: with `"high"`, approvers must sign in; an e-mailed link is not enough.
        self_approval: whether the requester of the run may approve.
        delegates: names or `*@domain` to which an approver may reassign a request; None for the
            approver's own domain, empty for nobody.
        grant_seconds: maximum lifetime of a standing approval of similar calls; 0 for none. One by
            a member of a group lives for a day at most.

    Raises:
        ValueError: no approver is given, or too many, `needed` exceeds their number, or a time is
            invalid.
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
            raise ValueError("give approvers and needed in the stages only")
        for each in self._stages():
            each.to_policy_stage()
        for escalation in self.escalations:
            _check_names(escalation.approvers)
        if self._stages()[0].when:
            raise ValueError("the first stage cannot have `when`; set it on the approval")
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

    def policy_for(
        self, call: Callable[[], ToolCall], preview: Callable[[], Preview | None] = lambda: None
    ) -> ApprovalPolicy | None:
        """Returns the policy that applies to a call, or None if the call needs no approval.

        Args:
            call: makes the call, anew for each predicate.
            preview: makes the author's preview of the call.
        """
        if not _applies(self.when, call):
            return None
        stages = tuple(
            each.to_policy_stage() for each in self._stages() if _applies(each.when, call)
        )
        return self._build_policy(stages, preview())

    def pinned_policy(self, preview: Preview) -> ApprovalPolicy:
        """Returns the policy of a request without a call, such as a question; ignores `when`."""
        return self._build_policy(tuple(each.to_policy_stage() for each in self._stages()), preview)

    def _build_policy(
        self, stages: tuple[PolicyStage, ...], preview: Preview | None
    ) -> ApprovalPolicy:
        high = self.risk == "high" or (preview is not None and preview.risk is Risk.HIGH)
        policy = ApprovalPolicy(
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
        return storable(policy)

    def _stages(self) -> Sequence[Stage]:
        return self.stages or (Stage(self.approvers, self.needed),)


def _check_names(approvers: Sequence[str]) -> None:
    """Check the names of a stage: each is one person, or one group, however it is written."""
    if len(approvers) > MAX_APPROVERS:
        raise ValueError(
            f"{len(approvers)} approvers, but at most {MAX_APPROVERS} are possible; name a group"
        )
    known: set[str] = set()
    for each in approvers:
        if each != each.strip() or not all(map(is_visible, each)):
            why = "has spaces around the name, or characters that cannot be seen"
            raise ValueError(f"the approver {each!r} {why}")
        if folded(each) in known:
            raise ValueError(f"the approver {each!r} is named twice in a stage")
        known.add(folded(each))


def check_approval_type(tool: str, approval: Any) -> None:
    """Refuses what is no policy.

    Raises:
        TypeError: the message names the fix.
    """
    if approval is not None and not isinstance(approval, Approval):
        raise TypeError(
            f'{tool}: approval is an Approval(["name@example.com"]), and not {approval!r}'
        )


def _applies(when: Predicate | None, call: Callable[[], ToolCall]) -> bool:
    """Whether a predicate holds. One that fails must not skip the approval."""
    if when is None:
        return True
    names: list[str] = []

    def decide() -> bool:
        made = call()
        names.append(made.tool)
        return bool(run_function(when, made))

    applies, error = attempted(decide)
    if error is None:
        return bool(applies)
    extra = {"tool": names[0] if names else None, "reason": error_text(error)}
    _log.warning("predicate failed", extra=extra)
    return True
