"""The state of a request for a visitor, and what the visitor can do with it."""

from datetime import datetime

from agent_continuations.core.approvals.policy import normalized
from agent_continuations.core.doubts import vote_of
from agent_continuations.core.requesters import requesters
from agent_continuations.core.voting import approver_name, eligible_stage
from agent_continuations.errors import Forbidden
from approvals_api.access import RequestAccess


def state_of(visit: RequestAccess, now: datetime) -> tuple[str, str]:
    """The state of the request for this visitor, and the reason where it needs one."""
    head, request = visit.loaded.head, visit.request
    approval = request.approval
    if request.decision:
        return "decided", ""
    if head.cancelled or head.status.ended:
        return "ended", "cancelled" if head.cancelled else head.status.value
    if request.already_resolved:
        return "settled", ""
    if request.in_doubt:
        return "doubted", ""
    if approval and approval.expires_at <= now:
        return "expired", ""
    return _state_of_open(visit)


def _state_of_open(visit: RequestAccess) -> tuple[str, str]:
    head, request = visit.loaded.head, visit.request
    approval, doubt = request.approval, request.call.doubt
    if approval and request.call.gate:
        if any(
            normalized(vote.approver) == normalized(visit.approver) for vote in approval.counted
        ):
            return "voted", ""
        try:
            eligible_stage(
                approval,
                request.call.gate,
                visit.approver,
                groups=visit.groups,
                requesters=requesters(head, visit.loaded.continuation, request.path),
            )
        except Forbidden as error:
            return "looking", str(error)
    elif doubt and vote_of(doubt, visit.approver):
        return "looking", "you have said that it did not happen; others must still say so"
    elif request.approvers and not approver_name(request.approvers, visit.approver, visit.groups):
        return "looking", f"{visit.approver} was not asked for this decision"
    return "open", ""


def may_reassign(visit: RequestAccess) -> bool:
    """Whether the visitor can reassign the request."""
    approval, policy = visit.request.call.approval, visit.request.call.gate
    if approval is None or policy is None or policy.delegates == ():
        return False
    return normalized(visit.approver) in map(normalized, approval.pending_approvers)


def other_approvers(visit: RequestAccess) -> tuple[str, ...]:
    """The approvers of the request but the visitor."""
    return tuple(
        each for each in visit.request.approvers if normalized(each) != normalized(visit.approver)
    )
