"""The questions of a run to people, open or answered, and what can be said to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent_continuations.core.approvals.grant import Rule
from agent_continuations.core.approvals.policy import DecisionSource
from agent_continuations.core.approvals.request import ApprovalRequest, Decision, Verdict
from agent_continuations.core.events import (
    Decided,
    DoubtResolved,
    Reassigned,
    Voted,
    Withdrawn,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Response:
    """What somebody says to a request, and who.

    Attributes:
        approver: the person on whose authority it is said; without one it is for the only one who
            owes an answer.
        decided_by: who says it; None for the approver.
        via: the door.
        reason: why.
        groups: the groups, as `group:name`, that the approver is known to be in.
        authentication: how it is known who that is.
        arguments_hash: of the arguments that they saw, where that is known.
    """

    approver: str | None = None
    decided_by: str | None = None
    via: DecisionSource
    reason: str | None = None
    groups: tuple[str, ...] = ()
    authentication: str | None = None
    arguments_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTerms:
    """Agree to further calls like the one that is approved.

    Attributes:
        seconds: for how long.
        rules: by argument, how it may differ; one without a rule may not.
        max_uses: how often.
    """

    seconds: int
    rules: Mapping[str, Rule]
    max_uses: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide(_Response):
    """Approve, perhaps with other arguments, or reject; or give a question its answer.

    Attributes:
        grant: what else is agreed to with an approval.
        answer: to a question, as a JSON value.
        from_form: whether the answer stands in an object of fields, as a form gives it.
    """

    verdict: Verdict
    arguments: Mapping[str, Any] | None = None
    grant: GrantTerms | None = None
    answer: Any = None
    from_form: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawApproval(_Response):
    """Withdraw an approval that has not closed the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassign(_Response):
    """Let another person answer in one's place."""

    to: str


Response: TypeAlias = Decide | WithdrawApproval | Reassign


Written: TypeAlias = Decided | Voted | Withdrawn | Reassigned | DoubtResolved


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """What stands after something was said.

    Attributes:
        event: what was said, as it is on record.
        request: how the request stands now; None for a doubt.
    """

    event: Written
    request: ApprovalRequest | None

    @property
    def decision(self) -> Decision:
        """What was decided.

        Raises:
            ValueError: no answer was given, but one was taken back or passed on.
        """
        if isinstance(self.event, Withdrawn | Reassigned):
            raise ValueError(f"{self.event.kind} is no decision")
        return self.event.decision

    @property
    def closed(self) -> bool:
        """Whether nothing is left to be answered."""
        return isinstance(self.event, Decided | DoubtResolved)
