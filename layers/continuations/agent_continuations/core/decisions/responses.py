"""Responses to a request: a decision, a withdrawal, a reassignment; and their result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent_continuations.core.approvals.grant import Rule
from agent_continuations.core.approvals.policy import DecisionSource
from agent_continuations.core.approvals.request import ApprovalRequest, Decision, Verdict
from agent_continuations.core.events import (
    Decided,
    DoubtResolved,
    DoubtVoted,
    Reassigned,
    Voted,
    Withdrawn,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Response:
    """The common fields of responses.

    Attributes:
        approver: the person on whose authority it is given; None for the only pending approver.
        decided_by: the identity that enters it; None for the approver.
        via: the decision source.
        reason: the reason, for the audit trail and the agent.
        groups: the groups that the approver is known to be in, as `group:name`.
        authentication: how the identity was verified.
        arguments_hash: the hash of the arguments that the approver saw, if it is known.
        is_proven: whether the source knows who the approver is, if it is one that can.
    """

    approver: str | None = None
    decided_by: str | None = None
    via: DecisionSource
    reason: str | None = None
    groups: tuple[str, ...] = ()
    authentication: str | None = None
    arguments_hash: str | None = None
    is_proven: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTerms:
    """The terms of a grant for further calls like the approved one.

    Attributes:
        seconds: its duration.
        rules: how each argument may differ; an argument without a rule may not differ.
        max_uses: how often it may be used; None for any number.
    """

    seconds: int
    rules: Mapping[str, Rule]
    max_uses: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide(_Response):
    """Approve, perhaps with edited arguments, or reject; or answer a question.

    Attributes:
        verdict: approve or reject.
        arguments: edited arguments; None if unchanged.
        grant: the terms of a grant to make with the approval.
        answer: the answer to a question, as a JSON value.
        from_form: whether the answer is an object of form fields.
    """

    verdict: Verdict
    arguments: Mapping[str, Any] | None = None
    grant: GrantTerms | None = None
    answer: Any = None
    from_form: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawApproval(_Response):
    """Withdraw an approval while the request is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassign(_Response):
    """Reassign the request to the delegate `to`."""

    to: str


Response: TypeAlias = Decide | WithdrawApproval | Reassign
Written: TypeAlias = Decided | Voted | Withdrawn | Reassigned | DoubtVoted | DoubtResolved


@dataclass(frozen=True, slots=True)
class DecisionResult:
    """The result of a response.

    Attributes:
        event: the event on record: this response's, or the same one that was stored before.
        request: the request after it; None for a call in doubt.
    """

    event: Written
    request: ApprovalRequest | None

    @property
    def decision(self) -> Decision:
        """The decision.

        Raises:
            ValueError: the response was a withdrawal or a reassignment.
        """
        if isinstance(self.event, Withdrawn | Reassigned):
            raise ValueError(f"{self.event.kind} is no decision")
        return self.event.decision

    @property
    def closed(self) -> bool:
        """Whether the request is closed."""
        return isinstance(self.event, Decided | DoubtResolved)
