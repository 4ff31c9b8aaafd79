"""Notices: the outbox messages that ask people, built from state."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agent_continuations.core.approvals.policy import ApprovalPolicy, is_group
from agent_continuations.core.approvals.request import ApprovalRequest
from agent_continuations.core.call_hash import call_hash
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import (
    ApprovalRequested,
    MarkedInDoubt,
    NoticeSent,
)
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.notice import Notice
from agent_continuations.core.path import parse_path
from agent_continuations.core.plans import RefusedPlan
from agent_continuations.core.requesters import requesters
from agent_continuations.core.run import RunHead
from agent_continuations.core.voting import is_barred
from agent_continuations.errors import IllegalEvent
from agent_continuations.ports.limits import WAKE_UP_GRACE

MAX_GOAL_CHARACTERS = 2000
MAX_NOTICE_CHARACTERS = 8000


def notice(
    head: RunHead,
    root: Continuation,
    event: ApprovalRequested | MarkedInDoubt | NoticeSent,
    *,
    now: datetime,
) -> Notice:
    """The outbox message for a request, a reminder or a call in doubt. It names no addresses.

    Args:
        head: the run's head.
        root: the run, with the event applied.
        event: the event that the notice goes out with.
        now: the time.

    Raises:
        IllegalEvent: the call has no request.
    """
    path = parse_path(event.path)
    call, asked_by = root.call_at(path), requesters(head, root, path)
    request, plan = call.approval, call.plan
    if isinstance(plan, RefusedPlan):
        raise IllegalEvent(f"nothing is asked at {event.path}")
    if isinstance(event, MarkedInDoubt):
        asked, expires_at, notice_id = event.doubt.approvers, None, event.doubt.request_id
        question = event.doubt.request_id
    elif request:
        asked = event.approvers if isinstance(event, NoticeSent) else request.told
        expires_at, question = request.expires_at, request.request_id
        # Each execution gives the same notice the same id; a further notice has another id.
        notice_id = question if request.notices == 1 else f"{question}-{request.notices}"
    else:
        raise IllegalEvent(f"nothing is asked at {event.path}")
    return Notice(
        notice_id=notice_id,
        run_id=head.run_id,
        tenant=head.tenant,
        kind="doubt" if isinstance(event, MarkedInDoubt) else call.asks,
        request_id=question,
        path=event.path,
        agents=root.agents_to(path),
        goal=root.input[:MAX_GOAL_CHARACTERS],
        tool=plan.tool,
        arguments=_shortened(call.arguments),
        arguments_hash=call_hash(head, root, path),
        expires_at=expires_at,
        created_at=now,
        approvers=tuple(asked),
        answerers=tuple(each for each in asked if _may_answer(each, asked_by, call.gate)),
        obstacle=_obstacle(request, asked_by, call.gate),
        # The queue's message comes first; the sweeper only finds a notice whose message was lost.
        due=now + WAKE_UP_GRACE,
        occasion=event.occasion if isinstance(event, NoticeSent) else "asked",
        risk=call.risk,
        preview=call.preview,
    )


def _may_answer(approver: str, asked_by: Sequence[str], policy: ApprovalPolicy | None) -> bool:
    """False for those who asked for the call, unless the policy allows self-approval."""
    return policy is None or not is_barred(policy, approver, asked_by)


def _obstacle(
    request: ApprovalRequest | None, asked_by: Sequence[str], policy: ApprovalPolicy | None
) -> str | None:
    """Why the request cannot be approved by those it asks; None if it can."""
    for stage in request.stages if request else ():
        left = [each for each in stage.approvers if _may_answer(each, asked_by, policy)]
        if len(left) < stage.needed and not any(map(is_group, stage.approvers)):
            return (
                f"of {', '.join(stage.approvers)}, {len(left)} may approve and {stage.needed} must:"
                " the others started the run or wrote to it"
            )
    return None


def _shortened(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, or only their size if they are too long for an e-mail and an outbox item."""
    size = len(canonical_json(arguments))
    if size <= MAX_NOTICE_CHARACTERS:
        return arguments
    return {"…": f"{size} characters, too much for a message; the page shows them all"}
