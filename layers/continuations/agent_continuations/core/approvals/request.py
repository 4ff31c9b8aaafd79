"""An approval as it is stored: the policy that applied, the request, and what people said."""

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
    _one_stage,
    normalized,
)
from agent_continuations.core.base import FrozenModel


class Verdict(StrEnum):
    """What an approver says."""

    APPROVE = "approve"
    REJECT = "reject"


def _one_stage_told(value: Any) -> Any:
    """Form 1, where all approvers are told when the request is made."""
    if isinstance(value, dict) and "approvers" in value:
        return _one_stage({**value, "told": value["approvers"]})
    return value


class Attribution(FrozenModel):
    """Who said something about a request, other than a decision on it. See `Decision`."""

    approver: str
    decided_by: str
    via: DecisionSource
    authentication: str | None = None
    reason: str | None = None
    at: datetime


class Decision(FrozenModel):
    """What somebody decided, who, and how. `arguments` holds an approver's edited arguments.

    Attributes:
        approver: the person on whose authority it stands.
        decided_by: who entered it: the same person, or a caller who may act for them, or the
            deadline.
        authentication: how it is known who that was.
        member_of: the group for which the approver answered, where a group was asked.
        stage: the stage in which it counts.
        grant_id: the grant by which it was decided in advance.
        preview: what the tool's author says of the edited arguments.
        further: who must agree to the edited arguments beyond those who were asked.
        answer: to a question, as JSON.
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
    arguments_hash: str
    grant_id: str | None = None
    preview: Preview | None = None
    further: tuple[Stage, ...] = ()
    answer: Any = None
    decided_at: datetime


class ApprovalRequest(FrozenModel):
    """People have been asked. The hash covers the arguments that they are shown.

    Attributes:
        stages: as they stand now, after what was reassigned or escalated.
        arguments: what an approver changed the arguments to, while others must still agree.
        votes: approvals of those who have answered, for whichever arguments they saw.
        told: who has been sent a notice.
        notices: how many notices there have been.
        reminded: how many reminders.
        escalated: how many escalations.
        original_hash: of the model's arguments, where an approver has changed them.
        preview: of the arguments as they were changed.
        further: how many of the stages have come with the change.
        policy_hash: of the policy that applied.
        former: who was asked before an escalation, and is not any more.
    """

    request_id: str
    arguments_hash: str
    stages: tuple[Stage, ...] = Field(min_length=1)
    requested_at: datetime
    expires_at: datetime
    arguments: dict[str, Any] | None = None
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

    _form_1 = model_validator(mode="before")(_one_stage_told)

    @property
    def approvers(self) -> tuple[str, ...]:
        """Everybody who is asked, in whichever stage."""
        return tuple(dict.fromkeys(each for stage in self.stages for each in stage.approvers))

    @property
    def counted(self) -> tuple[Decision, ...]:
        """The votes for the arguments as they stand now. A yes to others does not count."""
        return tuple(vote for vote in self.votes if vote.arguments_hash == self.arguments_hash)

    @property
    def open_stage(self) -> int | None:
        """The stage that has not all its votes yet; None once there is none."""
        for number, stage in enumerate(self.stages):
            if sum(vote.stage == number for vote in self.counted) < stage.needed:
                return number
        return None

    @property
    def pending_approvers(self) -> tuple[str, ...]:
        """Who of the open stage has not answered. A group owes until its stage is closed."""
        number = self.open_stage
        if number is None:
            return ()
        answered = {normalized(vote.approver) for vote in self.counted}
        stage = self.stages[number]
        return tuple(each for each in stage.approvers if normalized(each) not in answered)

    @property
    def unnotified(self) -> tuple[str, ...]:
        """Who owes an answer and has not been asked for it yet."""
        return tuple(each for each in self.pending_approvers if each not in self.told)

    def preview_by(self, gate: ApprovalPolicy) -> Preview | None:
        """What the tool's author says of the arguments as they stand now."""
        return gate.preview if self.arguments is None else self.preview

    def risk_by(self, gate: ApprovalPolicy) -> Risk:
        """The risk of the arguments as they stand now."""
        changed = self.preview is not None and self.preview.risk is Risk.HIGH
        return Risk.HIGH if changed else gate.risk

    def reminder_at(self, gate: ApprovalPolicy) -> datetime | None:
        """When to remind next; None if there is no further reminder before the deadline."""
        if self.escalated or self.reminded >= len(gate.reminders):
            return None
        at = self.requested_at + timedelta(seconds=gate.reminders[self.reminded])
        return at if at < self.expires_at else None
