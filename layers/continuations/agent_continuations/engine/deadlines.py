"""Deadlines: the events that follow from time alone."""

from datetime import datetime, timedelta

from agent_continuations.core.approvals.policy import ApprovalPolicy, Stage
from agent_continuations.core.approvals.request import ApprovalRequest, Decision, Verdict
from agent_continuations.core.awaiting import Await
from agent_continuations.core.call_hash import call_hash
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.effects import NotifyApprovers, TakeSignal
from agent_continuations.core.events import Decided, Escalated, NoticeSent, ToolReturned
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import path_text
from agent_continuations.core.run import RunHead
from agent_continuations.errors import IllegalEvent


def is_due(effect: Await, now: datetime) -> bool:
    """Whether the reminder, deadline or poll of a wait is due."""
    return effect.until is not None and effect.until <= now


def timed_out(root: Continuation, effect: Await, now: datetime) -> ToolReturned | None:
    """The outcome of a call whose wait has timed out; None if only its next poll is due."""
    wait = root.call_at(effect.path).wait
    outcome = wait.timed_out(now) if wait else None
    if wait is None or wait.deadline is None or outcome is None:
        return None
    return ToolReturned(
        path=path_text(effect.path), outcome=outcome, started_at=wait.deadline, at=now
    )


def signal_outcome(effect: TakeSignal, now: datetime) -> ToolReturned:
    """The outcome of a call that waited for an event: the event's payload."""
    signal = effect.signal
    payload = signal.payload
    return ToolReturned(
        path=path_text(effect.path),
        outcome=Outcome(
            kind="ok", content=payload if isinstance(payload, str) else canonical_json(payload)
        ),
        took=signal.event_id,
        started_at=signal.at,
        at=now,
    )


def on_deadline(
    head: RunHead, root: Continuation, effect: Await, now: datetime
) -> NoticeSent | Escalated | Decided:
    """The reminder, escalation or rejection that is due on an unanswered request.

    A deadline never approves.
    """
    request, policy = open_request(root, effect)
    path = path_text(effect.path)
    reminder = request.reminder_at(policy)
    if reminder and reminder <= now < request.expires_at:
        return NoticeSent(
            path=path,
            request_id=request.request_id,
            occasion="reminder",
            approvers=request.pending_approvers,
            at=now,
        )
    if request.escalated < len(policy.escalations):
        escalation = policy.escalations[request.escalated]
        return Escalated(
            path=path,
            request_id=request.request_id,
            stage=Stage(approvers=escalation.approvers, needed=escalation.needed),
            expires_at=now + timedelta(seconds=escalation.timeout_seconds),
            at=now,
        )
    unanswered = (
        "nobody answered" if root.call_at(effect.path).asks == "question" else "nobody decided"
    )
    missed = "not everybody agreed" if request.counted else unanswered
    decision = Decision(
        verdict=Verdict.REJECT,
        approver="deadline",
        decided_by="deadline",
        via="deadline",
        reason=f"{missed} before the deadline",
        arguments_hash=call_hash(head, root, effect.path),
        decided_at=now,
    )
    return Decided(path=path, request_id=request.request_id, decision=decision)


def open_request(
    root: Continuation, effect: NotifyApprovers | Await
) -> tuple[ApprovalRequest, ApprovalPolicy]:
    """The open request of a call, and its pinned policy.

    Raises:
        IllegalEvent: the call has no request.
    """
    call = root.call_at(effect.path)
    if call.approval is None or call.gate is None:
        raise IllegalEvent(f"nobody is asked at {path_text(effect.path)}")
    return call.approval, call.gate
