"""Approval requests with their votes, and decisions."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from agent_continuations.core.approvals.policy import (
    ApprovalPolicy,
    DecisionSource,
    Preview,
    Risk,
    Stage,
    normalized,
    upgrade_form_1,
)
from agent_continuations.core.base import FrozenModel


class Verdict(StrEnum):
    """An approver's verdict."""

    APPROVE = "approve"
    REJECT = "reject"


def _upgrade_form_1(value: Any) -> Any:
    """Convert stored form 1, in which all approvers are notified at once."""
    if isinstance(value, dict) and "approvers" in value:
        return upgrade_form_1({**value, "told": value["approvers"]})
    return value


class Attribution(FrozenModel):
    """The attribution of a withdrawal or reassignment; its fields are those of `Decision`."""

    approver: str
    decided_by: str
    via: DecisionSource
    authentication: str | None = None
    reason: str | None = None
    at: datetime


class Decision(FrozenModel):
    """A decision or a vote, with its attribution.

    Attributes:
        approver: the person on whose authority it was made.
        decided_by: the identity that entered it: the approver, a caller who may act for them, or
            the deadline.
        via: its source.
        authentication: how that identity was verified.
        member_of: the group for which the approver answered, if a group was asked.
        stage: the stage in which it counts.
        arguments: the approver's edited arguments, as they are shown; None if unchanged.
        raw: the edited text that the tool's arguments are read from. It may hold secrets.
        raw_digest: the digest of that text, which the approval covers.
        grant_id: the grant that cast it.
        preview: the tool author's preview of the edited arguments.
        further: additional stages that the edited arguments need.
        answer: the answer to a question, as JSON.
    """

    verdict: Verdict
    approver: str
    decided_by: str
    via: DecisionSource
    authentication: str | None = None
    member_of: str | None = None
    stage: int = 0
    reason: str | None = None
    arguments: dict[str, Any] | None = None
    raw: str | None = None
    raw_digest: str | None = None
    arguments_hash: str
    grant_id: str | None = None
    preview: Preview | None = None
    further: tuple[Stage, ...] = ()
    answer: Any = None
    decided_at: datetime


class ApprovalRequest(FrozenModel):
    """A request to approvers. The hash covers the arguments that they are shown.

    Attributes:
        stages: the current stages, after reassignments, edits and escalations.
        arguments, raw, raw_digest: an approver's edited arguments, while others must still agree;
            as in `Decision`.
        votes: approvals, each for the arguments that its approver saw.
        told: approvers who were notified.
        notices: how many notices were sent.
        reminded: how many of these were reminders.
        escalated: how many escalations there were.
        original_hash: the hash of the model's arguments, if an approver has edited them.
        preview: the preview of the edited arguments.
        further: how many of the stages were added by the edit.
        policy_hash: the hash of the policy.
        former: approvers who were asked before an escalation, and are not any more.
    """

    request_id: str
    arguments_hash: str
    stages: tuple[Stage, ...] = Field(min_length=1)
    requested_at: datetime
    expires_at: datetime
    arguments: dict[str, Any] | None = None
    raw: str | None = None
    raw_digest: str | None = None
    votes: tuple[Decision, ...] = ()
    told: tuple[str, ...] = ()
    notices: int = 1
    reminded: int = 0
    escalated: int = 0
    former: tuple[str, ...] = ()
    original_hash: str | None = None
    preview: Preview | None = None
    further: int = 0
    policy_hash: str | None = None

    _form_1 = model_validator(mode="before")(_upgrade_form_1)

    @property
    def approvers(self) -> tuple[str, ...]:
        """The approvers of all stages."""
        return tuple(dict.fromkeys(each for stage in self.stages for each in stage.approvers))

    @property
    def counted(self) -> tuple[Decision, ...]:
        """The votes that count: those for the current arguments."""
        return tuple(vote for vote in self.votes if vote.arguments_hash == self.arguments_hash)

    @property
    def open_stage(self) -> int | None:
        """The first stage that lacks votes; None if all are complete."""
        for number, stage in enumerate(self.stages):
            if sum(vote.stage == number for vote in self.counted) < stage.needed:
                return number
        return None

    @property
    def pending_approvers(self) -> tuple[str, ...]:
        """Approvers of the open stage with no answer yet. A group stays until its stage closes."""
        number = self.open_stage
        if number is None:
            return ()
        answered = {normalized(vote.approver) for vote in self.counted}
        stage = self.stages[number]
        return tuple(each for each in stage.approvers if normalized(each) not in answered)

    @property
    def unnotified(self) -> tuple[str, ...]:
        """Pending approvers who were not notified yet."""
        return tuple(each for each in self.pending_approvers if each not in self.told)

    def preview_under(self, policy: ApprovalPolicy) -> Preview | None:
        """The tool author's preview of the current arguments."""
        return policy.preview if self.arguments is None else self.preview

    def risk_under(self, policy: ApprovalPolicy) -> Risk:
        """The risk of the call with the current arguments."""
        changed = self.preview is not None and self.preview.risk is Risk.HIGH
        return Risk.HIGH if changed else policy.risk

    def reminder_at(self, policy: ApprovalPolicy) -> datetime | None:
        """The time of the next reminder; None if there is none before the deadline."""
        if self.escalated or self.reminded >= len(policy.reminders):
            return None
        at = self.requested_at + timedelta(seconds=policy.reminders[self.reminded])
        return at if at < self.expires_at else None
