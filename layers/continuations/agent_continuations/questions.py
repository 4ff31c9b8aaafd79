"""Questions to people as events: what is asked, of whom, and what time says when nobody does."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from agent_continuations.core.continuation import (
    ApprovalRequest,
    Continuation,
    Decision,
    Doubt,
    Verdict,
)
from agent_continuations.core.effects import AskApproval, Await, ClearDoubt
from agent_continuations.core.event import ApprovalRequested, Decided, Doubted
from agent_continuations.core.identity import request_id
from agent_continuations.core.path import call_key, path_text
from agent_continuations.dispatch import call_hash
from agent_continuations.ports import Head


class Question(NamedTuple):
    """An event that asks, and the key of its register."""

    key: str
    event: ApprovalRequested | Doubted


def approval_question(
    head: Head, root: Continuation, effect: AskApproval, now: datetime
) -> Question:
    """May this call run?"""
    request = ApprovalRequest(
        request_id=request_id(head.run_id, effect.path, "approval"),
        arguments_hash=call_hash(head, root, effect.path),
        approvers=effect.gate.approvers,
        requested_at=now,
        expires_at=now + timedelta(seconds=effect.gate.timeout_seconds),
    )
    event = ApprovalRequested(path=path_text(effect.path), request=request)
    return Question(call_key(effect.path, "approval"), event)


def doubt_question(
    head: Head,
    root: Continuation,
    effect: ClearDoubt,
    now: datetime,
    operators: Sequence[str],
) -> Question:
    """Did this call happen? It goes to those who approved it, or else to the operators."""
    attempt, approval = effect.intent.attempt, root.call_at(effect.path).approval
    doubt = Doubt(
        request_id=request_id(head.run_id, effect.path, "doubt", attempt),
        intent=effect.intent,
        approvers=approval.approvers if approval else tuple(operators),
        requested_at=now,
    )
    event = Doubted(path=path_text(effect.path), doubt=doubt)
    return Question(call_key(effect.path, "doubt", attempt), event)


def rejected_by_time(head: Head, root: Continuation, effect: Await, now: datetime) -> Decided:
    """What stands where nobody decided before the deadline. It is never an approval."""
    decision = Decision(
        verdict=Verdict.REJECT,
        approver="deadline",
        decided_by="deadline",
        via="deadline",
        reason="nobody decided before the deadline",
        arguments_hash=call_hash(head, root, effect.path),
        decided_at=now,
    )
    return Decided(path=path_text(effect.path), request_id=effect.request_id, decision=decision)
