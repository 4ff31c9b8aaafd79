"""The events of a run: facts that are stored once and folded in key order.

No agent code is replayed against them. A `kind` and a field name are stored and never change.
"""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from agent_continuations.core.approvals.audit_chain import AuditedEvent
from agent_continuations.core.approvals.policy import Stage
from agent_continuations.core.approvals.request import ApprovalRequest, Attribution, Decision
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.continuation import Continuation, Doubt, Intent
from agent_continuations.core.inbound import Message, Restore, Signal
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.plans import ConditionPlan, Plan
from agent_continuations.core.replies import Reply
from agent_continuations.core.waits import Wait


class Started(FrozenModel):
    """A run was started: its root frame, with agent, instructions and limits pinned."""

    kind: Literal["started"] = "started"
    continuation: Continuation
    at: datetime


class ToolReturned(FrozenModel):
    """A tool call has its outcome.

    Attributes:
        path: the call's path.
        took: the id of the signal that became the outcome.
        senders: who sent the messages that the child run had read whose result this is.
    """

    kind: Literal["tool_returned"] = "tool_returned"
    path: str
    outcome: Outcome
    attempt: int = 1
    took: str | None = None
    senders: tuple[str, ...] = ()
    started_at: datetime
    at: datetime


class Suspended(FrozenModel):
    """A tool has returned a wait: its outcome comes later, from the source that `wait` names."""

    kind: Literal["suspended"] = "suspended"
    path: str
    wait: Wait
    attempt: int = 1
    at: datetime


class Polled(FrozenModel):
    """A job was polled, and is not done yet."""

    kind: Literal["polled"] = "polled"
    path: str
    number: int
    at: datetime


class MessageReceived(FrozenModel):
    """A message from outside arrived for the run."""

    kind: Literal["spoken"] = "spoken"
    message: Message


class SignalReceived(FrozenModel):
    """A signal, an event from outside, arrived for the run."""

    kind: Literal["signalled"] = "signalled"
    signal: Signal


class Restored(FrozenModel):
    """The table was restored. Until `RestoreCleared`, `once` calls that may have run are in doubt.

    A run may be restored several times; `since` tells the restores apart.
    """

    kind: Literal["restored"] = "restored"
    restore: Restore


class RestoreCleared(FrozenModel):
    """An operator has checked all that the run did in the time that a restore has lost.

    Attributes:
        since: identifies the restore.
        by: the operator.
    """

    kind: Literal["restore_cleared"] = "restore_cleared"
    since: datetime
    by: str
    at: datetime


class ConditionReached(FrozenModel):
    """A condition was reached. `path` is a path of its own, which no call has."""

    kind: Literal["held"] = "held"
    path: str
    plan: ConditionPlan


class ModelReplied(FrozenModel):
    """A frame's model replied, and its calls were planned.

    Attributes:
        path: the frame's path.
        reads: outcomes of the previous turn's read tools that no other entry holds. The reply was
            made from them, so they replace any other outcome of those calls.
        heard: ids of the messages that were included in the request.
        profile: the digest of the request's profile; None if it was not recorded.
    """

    kind: Literal["model_replied"] = "model_replied"
    path: str
    turn: int
    reply: Reply
    calls: tuple[Plan, ...] = ()
    reads: tuple[ToolReturned, ...] = ()
    heard: tuple[str, ...] = ()
    profile: str | None = None
    at: datetime


class ToolStarted(FrozenModel):
    """A call's intent was stored; from here on the tool may have run."""

    kind: Literal["tool_started"] = "tool_started"
    path: str
    intent: Intent


class ApprovalRequested(AuditedEvent):
    """People were asked about a call."""

    kind: Literal["approval_requested"] = "approval_requested"
    request: ApprovalRequest


class Voted(AuditedEvent):
    """An approver approved, and others still must; edited arguments replace the earlier ones."""

    kind: Literal["voted"] = "voted"
    request_id: str
    decision: Decision


class Withdrawn(AuditedEvent):
    """An approver withdrew an approval before the request was closed."""

    kind: Literal["withdrawn"] = "withdrawn"
    request_id: str
    word: Attribution


class Reassigned(AuditedEvent):
    """An approver reassigned the request to the delegate `to`."""

    kind: Literal["reassigned"] = "reassigned"
    request_id: str
    word: Attribution
    to: str


class Escalated(AuditedEvent):
    """The deadline passed, and other approvers are asked instead; earlier approvals are void."""

    kind: Literal["escalated"] = "escalated"
    request_id: str
    stage: Stage
    expires_at: datetime
    at: datetime


class NoticeSent(AuditedEvent):
    """A further notice went into the outbox: to newly asked approvers, or as a reminder."""

    kind: Literal["told"] = "told"
    request_id: str
    occasion: Literal["asked", "reminder"]
    approvers: tuple[str, ...]
    at: datetime


class Decided(AuditedEvent):
    """An approval request was decided."""

    kind: Literal["decided"] = "decided"
    request_id: str
    decision: Decision


class MarkedInDoubt(AuditedEvent):
    """A call is in doubt: it is unknown whether its tool ran, and people were asked."""

    kind: Literal["doubted"] = "doubted"
    doubt: Doubt


class DoubtVoted(AuditedEvent):
    """A person said that a call in doubt did not happen, and others still must."""

    kind: Literal["doubt_voted"] = "doubt_voted"
    request_id: str
    decision: Decision


class DoubtResolved(AuditedEvent):
    """A person answered whether a call in doubt happened. Approve: it did. Reject: it did not."""

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
    | DoubtVoted
    | DoubtResolved
)

CallEvent: TypeAlias = Suspended | Polled | ToolReturned | ConditionReached
InboundEvent: TypeAlias = MessageReceived | SignalReceived | Restored | RestoreCleared

Event: TypeAlias = Annotated[
    Started | ModelReplied | ToolStarted | CallEvent | InboundEvent | ApprovalEvent,
    Field(discriminator="kind"),
]
