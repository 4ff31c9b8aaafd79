"""Requests to people: approval requests, further notices, and requests about a call in doubt."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agent_continuations.core.approvals.request import ApprovalRequest
from agent_continuations.core.call_hash import call_hash
from agent_continuations.core.continuation import Continuation, Doubt
from agent_continuations.core.effects import AskApproval, AskIfHappened, NotifyApprovers
from agent_continuations.core.events import ApprovalRequested, MarkedInDoubt, NoticeSent
from agent_continuations.core.ids import policy_hash, request_id
from agent_continuations.core.path import path_text
from agent_continuations.core.run import RunHead
from agent_continuations.engine.deadlines import open_request


def approval_request(
    head: RunHead, root: Continuation, effect: AskApproval, now: datetime
) -> ApprovalRequested:
    """The request whether a call may run; for a question, the request for its answer."""
    policy = effect.policy
    request = ApprovalRequest(
        request_id=request_id(head.run_id, effect.path, "approval"),
        arguments_hash=call_hash(head, root, effect.path),
        stages=policy.stages,
        requested_at=now,
        expires_at=now + timedelta(seconds=policy.timeout_seconds),
        told=policy.stages[0].approvers,
        policy_hash=policy_hash(policy),
    )
    return ApprovalRequested(path=path_text(effect.path), request=request)


def further_notice(root: Continuation, effect: NotifyApprovers, now: datetime) -> NoticeSent:
    """The notice to approvers who are asked only now, such as those of a later stage."""
    return NoticeSent(
        path=path_text(effect.path),
        request_id=open_request(root, effect)[0].request_id,
        occasion="asked",
        approvers=effect.approvers,
        at=now,
    )


def doubt_request(
    head: RunHead,
    root: Continuation,
    effect: AskIfHappened,
    now: datetime,
    operators: Sequence[str],
) -> MarkedInDoubt:
    """The request whether a call happened, to its approvers or, without any, to the operators."""
    attempt, call = effect.intent.attempt, root.call_at(effect.path)
    if call.approval:
        approvers, stages = call.approval.approvers, call.approval.stages
    elif call.gate:
        approvers, stages = call.gate.approvers, call.gate.stages
    else:
        approvers, stages = tuple(operators), ()
    doubt = Doubt(
        request_id=request_id(head.run_id, effect.path, "doubt", attempt),
        intent=effect.intent,
        approvers=approvers,
        stages=stages,
        requested_at=now,
    )
    return MarkedInDoubt(path=path_text(effect.path), doubt=doubt)
