"""What can happen to a run. Events are facts: stored once, folded in key order, never replayed
against code.
"""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from agent_continuations.core.approvals.audit_chain import AuditedEvent
from agent_continuations.core.approvals.policy import Stage
from agent_continuations.core.approvals.request import ApprovalRequest, Attribution, Decision
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.continuation import Continuation, Doubt, Intent, Message, Signal
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.plans import ConditionPlan, Plan
from agent_continuations.core.replies import Reply
from agent_continuations.core.waits import Wait


class Started(FrozenModel):
    """A run began: the root frame's beginning, everything pinned."""

    kind: Literal["started"] = "started"
    continuation: Continuation
    at: datetime


class ToolReturned(FrozenModel):
    """A tool call ended. `path` is the call's; `took` the event from outside that it took."""

    kind: Literal["tool_returned"] = "tool_returned"
    path: str
    outcome: Outcome
    attempt: int = 1
    took: str | None = None
    started_at: datetime
    at: datetime


class Suspended(FrozenModel):
    """A tool has run, and said that its outcome comes later, and from where."""

    kind: Literal["suspended"] = "suspended"
    path: str
    wait: Wait
    attempt: int = 1
    at: datetime


class Polled(FrozenModel):
    """The other side was asked about a job, which is not done yet."""

    kind: Literal["polled"] = "polled"
    path: str
    number: int
    at: datetime


class MessageReceived(FrozenModel):
    """Somebody said something to the run."""

    kind: Literal["spoken"] = "spoken"
    message: Message


class SignalReceived(FrozenModel):
    """An event came from outside."""

    kind: Literal["signalled"] = "signalled"
    signal: Signal


class ConditionReached(FrozenModel):
    """A condition held. `path` is the place, which is that of no call."""

    kind: Literal["held"] = "held"
    path: str
    plan: ConditionPlan


class ModelReplied(FrozenModel):
    """A frame's model replied, and its calls were planned. `path` is the frame's.

    `reads` are outcomes of the previous turn's read tools that no register holds yet. They are
    what this reply was made from, so they take the place of any other outcome of those calls.
    `heard` are the ids of the messages that the model has heard with it.
    """

    kind: Literal["model_replied"] = "model_replied"
    path: str
    turn: int
    reply: Reply
    calls: tuple[Plan, ...] = ()
    reads: tuple[ToolReturned, ...] = ()
    heard: tuple[str, ...] = ()
    at: datetime


class ToolStarted(FrozenModel):
    """A call's intent is on record; from here on the tool may have run."""

    kind: Literal["tool_started"] = "tool_started"
    path: str
    intent: Intent


class ApprovalRequested(AuditedEvent):
    """People were asked about a call."""

    kind: Literal["approval_requested"] = "approval_requested"
    request: ApprovalRequest


class Voted(AuditedEvent):
    """Somebody approved, and others still must. Edited arguments are what they will be asked of."""

    kind: Literal["voted"] = "voted"
    request_id: str
    decision: Decision


class Withdrawn(AuditedEvent):
    """Somebody took an approval back, before the request was closed."""

    kind: Literal["withdrawn"] = "withdrawn"
    request_id: str
    word: Attribution


class Reassigned(AuditedEvent):
    """Somebody who was asked gave their place to another."""

    kind: Literal["reassigned"] = "reassigned"
    request_id: str
    word: Attribution
    to: str


class Escalated(AuditedEvent):
    """The deadline passed, and others are asked instead; earlier approvals count no more."""

    kind: Literal["escalated"] = "escalated"
    request_id: str
    stage: Stage
    expires_at: datetime
    at: datetime


class NoticeSent(AuditedEvent):
    """A further notice went into the outbox: to who is asked only now, or as a reminder."""

    kind: Literal["told"] = "told"
    request_id: str
    occasion: Literal["asked", "reminder"]
    approvers: tuple[str, ...]
    at: datetime


class Decided(AuditedEvent):
    """A call's approval was decided."""

    kind: Literal["decided"] = "decided"
    request_id: str
    decision: Decision


class MarkedInDoubt(AuditedEvent):
    """It is not known whether a call's tool ran; a person was asked."""

    kind: Literal["doubted"] = "doubted"
    doubt: Doubt


class DoubtResolved(AuditedEvent):
    """A person said whether a doubted call happened. Approve: it did. Reject: it did not."""

    kind: Literal["doubt_settled"] = "doubt_settled"
    request_id: str
    decision: Decision


ApprovalEvent: TypeAlias = (
    ApprovalRequested
    | Voted
    | Withdrawn
    | Reassigned
    | Escalated
    | NoticeSent
    | Decided
    | MarkedInDoubt
    | DoubtResolved
)


CallEvent: TypeAlias = Suspended | Polled | ToolReturned | ConditionReached


InboundEvent: TypeAlias = MessageReceived | SignalReceived


Event: TypeAlias = Annotated[
    Started | ModelReplied | ToolStarted | CallEvent | InboundEvent | ApprovalEvent,
    Field(discriminator="kind"),
]
