"""The event that a response makes of a request, and what is stored for it."""

from collections.abc import Callable
from typing import assert_never

from agent_continuations.authoring.registry import Registry
from agent_continuations.core import doubts
from agent_continuations.core.approvals.policy import ApprovalPolicy, Risk, normalized
from agent_continuations.core.approvals.request import (
    ApprovalRequest,
    Attribution,
    Decision,
    Verdict,
)
from agent_continuations.core.call_hash import call_hash_of
from agent_continuations.core.decisions.lookup import Request
from agent_continuations.core.decisions.responses import (
    Decide,
    Reassign,
    WithdrawApproval,
    Written,
)
from agent_continuations.core.events import (
    Decided,
    DoubtResolved,
    DoubtVoted,
    Reassigned,
    ToolReturned,
    Voted,
    Withdrawn,
)
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.keys import call_key, trail_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import path_text
from agent_continuations.core.run import JournalEntry
from agent_continuations.core.transcript import happened_text
from agent_continuations.core.voting import (
    apply_to_request,
    approver_name,
    check_delegate,
    check_vote,
    eligible_stage,
    is_barred,
    with_vote,
)
from agent_continuations.errors import (
    Forbidden,
    Invalid,
)
from agent_continuations.services.decision_checks import (
    DecisionAttempt,
    check_seen,
    check_signed_in,
)
from agent_continuations.services.edits import validated_changes


def event_of(attempt: DecisionAttempt, registry: Callable[[], Registry]) -> Written:
    """The event that the response makes of an open request.

    Raises:
        Invalid: the request does not take this kind of response.
        Forbidden: the approver is not eligible now.
        Conflict: the arguments have changed since the approver saw them.
    """
    request, response = attempt.request, attempt.response
    approval, policy = request.approval, request.call.gate
    path, request_id = path_text(request.path), request.request_id
    if approval is None or policy is None:
        return _doubt_event(attempt, _doubt_decision(attempt, registry))
    match response:
        case Decide():
            decision = decision_of(attempt, response, registry)
            return _vote(attempt, approval, policy, decision)
        case WithdrawApproval():
            check_vote(approval, attempt.approver)
            return Withdrawn(path=path, request_id=request_id, word=_attribution(attempt))
        case Reassign(to=to):
            asked_by, former = attempt.requesters, _former_approvers(attempt)
            check_delegate(approval, policy, attempt.approver, to, asked_by, former=former)
            attribution = _attribution(attempt)
            return Reassigned(path=path, request_id=request_id, word=attribution, to=to)
        case _:
            assert_never(response)


def _former_approvers(attempt: DecisionAttempt) -> list[str]:
    """Those who have reassigned the request before."""
    return [
        event.word.approver
        for event in attempt.loaded.snapshot.events()
        if isinstance(event, Reassigned) and event.request_id == attempt.request.request_id
    ]


def _doubt_event(attempt: DecisionAttempt, decision: Decision) -> DoubtVoted | DoubtResolved:
    """The event of a word on a call in doubt: a vote while others still must say that it did not
    happen, else it resolves the doubt.

    Raises:
        Forbidden: enough have said so in the stage of the person.
    """
    request, doubt = attempt.request, attempt.request.call.doubt
    about = {"path": path_text(request.path), "request_id": request.request_id}
    if decision.verdict is Verdict.APPROVE or doubt is None or not doubt.stages:
        return DoubtResolved(**about, decision=decision)
    said = doubts.vote_of(doubt, attempt.approver)
    if said is not None:
        return DoubtVoted(**about, decision=said)
    stage, group = doubts.stage_of(doubt, attempt.approver, attempt.response.groups)
    decision = decision.model_copy(update={"stage": stage, "member_of": group})
    agreed = doubts.is_agreed(doubts.with_vote(doubt, decision))
    return (DoubtResolved if agreed else DoubtVoted)(**about, decision=decision)


def _doubt_decision(attempt: DecisionAttempt, registry: Callable[[], Registry]) -> Decision:
    """The decision on a call in doubt: whether it happened."""
    request, response = attempt.request, attempt.response
    if not isinstance(response, Decide):
        raise Invalid(
            "this request takes only an answer", [("decision", "must be approve or reject")]
        )
    if request.approvers and not approver_name(
        request.approvers, attempt.approver, response.groups
    ):
        fields = [("approver", "must be an approver")]
        raise Forbidden(f"{attempt.approver} was not asked for this decision", fields)
    if response.verdict is Verdict.REJECT:
        _check_may_run_again(attempt)
    check_seen(attempt)
    return decision_of(attempt, response, registry)


def _check_may_run_again(attempt: DecisionAttempt) -> None:
    """Check that a person who may not approve a call does not have it run again.

    Raises:
        Forbidden: they asked for the call themselves, and it needed an approval.
    """
    gate = attempt.request.call.gate
    if gate and is_barred(gate, attempt.approver, attempt.requesters):
        fields = [("approver", "must be another approver")]
        why = (
            f"{attempt.approver} started this run or wrote to it,"
            " and cannot have its call run again"
        )
        raise Forbidden(why, fields)


def decision_of(
    attempt: DecisionAttempt, response: Decide, registry: Callable[[], Registry]
) -> Decision:
    """The decision of a response, with its edits checked and hashed."""
    head, request = attempt.loaded.head, attempt.request
    decision = Decision(
        verdict=response.verdict,
        approver=attempt.approver,
        decided_by=response.decided_by or attempt.approver,
        via=response.via,
        authentication=response.authentication,
        reason=response.reason or None,
        arguments_hash=attempt.shown_hash,
        decided_at=attempt.now,
    )
    changes = validated_changes(registry, attempt.loaded, request, response)
    if not changes:
        return decision
    decision = decision.model_copy(update=changes)
    edited = request.asked.model_copy(update={"decision": decision})
    edited_hash = call_hash_of(head, edited, request.path)
    return decision.model_copy(update={"arguments_hash": edited_hash})


def _vote(
    attempt: DecisionAttempt, approval: ApprovalRequest, policy: ApprovalPolicy, decision: Decision
) -> Voted | Decided:
    """The event of a decision: a vote while others still must approve, else it closes the
    request.
    """
    request, response = attempt.request, attempt.response
    path, request_id = path_text(request.path), request.request_id
    for vote in approval.counted:
        if same_vote(vote, decision):
            return Voted(path=path, request_id=request_id, decision=vote)
    check_seen(attempt)
    if decision.preview and decision.preview.risk is Risk.HIGH:
        check_signed_in(response)
    stage, group = eligible_stage(
        approval,
        policy,
        attempt.approver,
        groups=response.groups,
        requesters=attempt.requesters,
    )
    decision = decision.model_copy(update={"stage": stage, "member_of": group})
    if decision.verdict is Verdict.APPROVE:
        if with_vote(approval, decision).open_stage is not None:
            return Voted(path=path, request_id=request_id, decision=decision)
        if decision.arguments is None:
            # The decision repeats the edits of earlier votes, because they are approved with it.
            edits = ("arguments", "raw", "raw_digest", "preview")
            decision = decision.model_copy(update={name: getattr(approval, name) for name in edits})
    return Decided(path=path, request_id=request_id, decision=decision)


def _attribution(attempt: DecisionAttempt) -> Attribution:
    response = attempt.response
    return Attribution(
        approver=attempt.approver,
        decided_by=response.decided_by or attempt.approver,
        via=response.via,
        authentication=response.authentication,
        reason=response.reason or None,
        at=attempt.now,
    )


def same_vote(one: Decision, other: Decision) -> bool:
    """Whether two decisions are the same by the same approver, as of a double click."""
    return normalized(one.approver) == normalized(other.approver) and same_content(one, other)


def same_content(one: Decision, other: Decision) -> bool:
    """Whether two decisions have the same verdict, arguments and answer; approvers may differ."""
    mine, theirs = ((each.verdict, each.arguments_hash) for each in (one, other))
    return mine == theirs and canonical_json(one.answer) == canonical_json(other.answer)


def entries_of(request: Request, event: Written) -> list[JournalEntry]:
    """The journal entries of an event, all stored or none. A decision that a call in doubt did
    happen is also the call's outcome, at the key where a late outcome of the lost execution would
    stand: only one of the two can be stored.
    """
    entries = [JournalEntry(trail_key(event, request.attempt), (event,))]
    if isinstance(event, DoubtResolved) and event.decision.verdict is Verdict.APPROVE:
        outcome = ToolReturned(
            path=event.path,
            outcome=Outcome(kind="ok", content=happened_text(event.decision)),
            attempt=request.attempt,
            started_at=event.decision.decided_at,
            at=event.decision.decided_at,
        )
        entries.append(JournalEntry(call_key(request.path, "outcome"), (outcome,)))
    return entries


def request_after(request: Request, event: Written) -> ApprovalRequest | None:
    """The request with the event applied; None for a doubt."""
    approval = request.approval
    if approval is None or isinstance(event, DoubtResolved | DoubtVoted):
        return None
    if isinstance(event, Decided):
        approved = event.decision.verdict is Verdict.APPROVE
        return with_vote(approval, event.decision) if approved else approval
    return apply_to_request(approval, event)
