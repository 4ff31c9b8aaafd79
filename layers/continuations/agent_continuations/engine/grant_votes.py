"""What was agreed to in advance, when a call is asked about."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.approvals.policy import AUTHENTICATED_SOURCES, ApprovalPolicy, Risk
from agent_continuations.core.approvals.request import ApprovalRequest, Decision, Verdict
from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.events import ApprovalRequested, Decided, Voted
from agent_continuations.core.path import parse_path
from agent_continuations.core.plans import RefusedPlan
from agent_continuations.core.run import RunHead
from agent_continuations.core.voting import eligible_stage, with_vote
from agent_continuations.errors import Forbidden


def grant_votes(
    head: RunHead,
    root: Continuation,
    asked: ApprovalRequested,
    grants: Sequence[Grant],
    now: datetime,
) -> Iterator[tuple[Grant, Voted | Decided]]:
    """The votes that grants cast on a call, one after the other, until it is decided.

    Args:
        head: of the run.
        root: the run, before the question.
        asked: the question.
        grants: of the tenant, for the tool.
        now: the time.
    """
    path = parse_path(asked.path)
    call, agent = root.call_at(path), root.frame_at(path[:-1]).agent
    request, gate = asked.request, call.gate
    if gate is None or isinstance(call.plan, RefusedPlan):
        return
    for grant in grants:
        if not _grant_applies(grant, call, agent, gate, now):
            continue
        decision = _decision(head, request, gate, grant, now)
        if decision is None:
            continue
        after = with_vote(request, decision)
        closes = after.open_stage is None
        kind = Decided if closes else Voted
        yield grant, kind(path=asked.path, request_id=request.request_id, decision=decision)
        if closes:
            return
        request = after


def _grant_applies(
    grant: Grant, call: Call, agent: str, gate: ApprovalPolicy, now: datetime
) -> bool:
    if isinstance(call.plan, RefusedPlan) or not gate.grant_seconds or not grant.is_active(now):
        return False
    if gate.risk is Risk.HIGH and grant.via not in AUTHENTICATED_SOURCES:
        return False
    return grant.covers(
        agent=agent,
        tool=call.plan.tool,
        schema_version=call.plan.schema_version,
        arguments=call.plan.arguments,
    )


def _decision(
    head: RunHead, request: ApprovalRequest, gate: ApprovalPolicy, grant: Grant, now: datetime
) -> Decision | None:
    """The vote of who made a grant, if that person is asked now."""
    groups = (grant.member_of,) if grant.member_of else ()
    try:
        stage, group = eligible_stage(
            request, gate, grant.approver, groups=groups, requester=head.requester
        )
    except Forbidden:
        return None
    return Decision(
        verdict=Verdict.APPROVE,
        approver=grant.approver,
        decided_by=grant.approver,
        via="grant",
        authentication=grant.authentication,
        member_of=group,
        stage=stage,
        arguments_hash=request.arguments_hash,
        grant_id=grant.grant_id,
        decided_at=now,
    )
