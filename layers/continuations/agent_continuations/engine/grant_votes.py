"""Votes of standing approvals (grants) on a new approval request."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.approvals.policy import AUTHENTICATED_SOURCES, ApprovalPolicy, Risk
from agent_continuations.core.approvals.request import ApprovalRequest, Decision, Verdict
from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.events import ApprovalRequested, Decided, Voted
from agent_continuations.core.path import parse_path
from agent_continuations.core.plans import RefusedPlan
from agent_continuations.core.requesters import requesters
from agent_continuations.core.run import RunHead
from agent_continuations.core.voting import eligible_stage, with_vote
from agent_continuations.errors import Forbidden

# A grant by the API does not say whether it was known who gave it.
PROVEN = AUTHENTICATED_SOURCES - {"api"}


def grant_votes(
    head: RunHead,
    root: Continuation,
    requested: ApprovalRequested,
    grants: Sequence[Grant],
    now: datetime,
) -> Iterator[tuple[Grant, Voted | Decided]]:
    """The votes that grants cast on a request, one after the other, until it is decided.

    Args:
        head: the run's head.
        root: the run, without the request.
        requested: the request.
        grants: the tenant's grants for the tool.
        now: the time.
    """
    path = parse_path(requested.path)
    call, agent = root.call_at(path), root.frame_at(path[:-1]).agent
    request, policy = requested.request, call.gate
    if policy is None or isinstance(call.plan, RefusedPlan):
        return
    asked_by = requesters(head, root, path)
    for grant in grants:
        if not _grant_applies(grant, call, agent, policy, now):
            continue
        decision = _decision(request, policy, grant, asked_by, now)
        if decision is None:
            continue
        after = with_vote(request, decision)
        closes = after.open_stage is None
        kind = Decided if closes else Voted
        yield grant, kind(path=requested.path, request_id=request.request_id, decision=decision)
        if closes:
            return
        request = after


def _grant_applies(
    grant: Grant, call: Call, agent: str, policy: ApprovalPolicy, now: datetime
) -> bool:
    if isinstance(call.plan, RefusedPlan) or not policy.grant_seconds or not grant.is_active(now):
        return False
    if policy.risk is Risk.HIGH and grant.via not in PROVEN:
        return False
    return grant.covers(
        agent=agent,
        tool=call.plan.tool,
        schema_version=call.plan.schema_version,
        arguments=call.plan.arguments,
    )


def _decision(
    request: ApprovalRequest,
    policy: ApprovalPolicy,
    grant: Grant,
    asked_by: Sequence[str],
    now: datetime,
) -> Decision | None:
    """The vote of a grant's approver; None if the request does not ask that approver now."""
    groups = (grant.member_of,) if grant.member_of else ()
    try:
        stage, group = eligible_stage(
            request, policy, grant.approver, groups=groups, requesters=asked_by
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
