"""The one command by which people answer requests, whatever its source: page, link, chat or API.

A response is decided in six steps: find the request, resolve the approver and hash the call, check
that the request is open, build the event that the response makes, prepare a grant where one is
asked for, commit. The commit holds only if the run's audit trail has not moved since the run was
loaded; otherwise all is done again on what stands then. So of all responses sent at once, one is
first, and each is checked against what was decided before it.
"""

from typing import assert_never

from agent_continuations.core.approvals.audit_chain import append
from agent_continuations.core.approvals.policy import ApprovalPolicy, Risk, normalized
from agent_continuations.core.approvals.request import (
    ApprovalRequest,
    Attribution,
    Decision,
    Verdict,
)
from agent_continuations.core.call_hash import call_hash_of
from agent_continuations.core.decisions.lookup import Request, find_request
from agent_continuations.core.decisions.responses import (
    Decide,
    DecisionResult,
    Reassign,
    Response,
    WithdrawApproval,
    Written,
)
from agent_continuations.core.events import (
    Decided,
    DoubtResolved,
    Reassigned,
    ToolReturned,
    Voted,
    Withdrawn,
)
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.keys import call_key, trail_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import path_text
from agent_continuations.core.run import JournalEntry, LoadedRun
from agent_continuations.core.transcript import happened_text
from agent_continuations.core.voting import (
    apply_to_request,
    approver_name,
    check_delegate,
    check_vote,
    eligible_stage,
    with_vote,
)
from agent_continuations.errors import (
    AlreadyDecided,
    Conflict,
    Forbidden,
    Invalid,
    Retryable,
    Stale,
)
from agent_continuations.ports.store import TrailMove
from agent_continuations.services.decision_checks import (
    DecisionAttempt,
    check_open,
    check_seen,
    check_signed_in,
    new_attempt,
)
from agent_continuations.services.edits import validated_changes
from agent_continuations.services.grants import GrantService
from agent_continuations.services.runs import RunService
from agent_continuations.views.decision import decision_view

MAX_TRIES = 20


class DecisionService:
    """Accepts responses to the requests of one tenant's runs.

    Args:
        runs: loads runs; its registry is used only to check edited arguments and answers.
        grants: keeps the grants that approvers give with an approval.
    """

    def __init__(self, runs: RunService, grants: GrantService) -> None:
        self._runs = runs
        self._grants = grants

    def decide(self, run_id: str, request_id: str, response: Response) -> DecisionResult:
        """Answer a request. The first decision stands; the same one again gets the same result.

        Returns:
            What stands.

        Raises:
            NotFound: there is no such run or request.
            Forbidden: the approver is not one of those who are asked now, or has started the run,
                or must be signed in.
            Invalid: several were asked, and no approver is named; the edited arguments do not fit
                the tool, or the request takes none; the request cannot be reassigned to this
                person.
            AlreadyDecided: another decision stands.
            Conflict: too late: the deadline has passed, or the run has ended, or what the approver
                saw has changed.
        """
        return self.decide_loaded(*self._runs.find_request(run_id, request_id), response)

    def decide_loaded(
        self, loaded: LoadedRun, request: Request, response: Response
    ) -> DecisionResult:
        """`decide`, for a caller that has loaded the run already."""
        for _ in range(MAX_TRIES):
            attempt = new_attempt(loaded, request, response, self._runs.clock())
            try:
                return self._closed(attempt) if request.decision else self._open(attempt)
            except Stale:
                loaded = self._runs.load(loaded.head.run_id)
                request = find_request(loaded, request.request_id)
        raise Retryable("too many people answer at once")

    def _open(self, attempt: DecisionAttempt) -> DecisionResult:
        """The request is open: its response is checked, built and stored."""
        response, approval = attempt.response, attempt.request.approval
        wanted = response.grant if isinstance(response, Decide) else None
        # Prepared before, so that a grant that cannot be made leaves the request open; stored
        # after, so that only an approver whose approval counts grants anything.
        grant = self._grants.prepare(attempt.loaded, attempt.request, response, wanted)
        check_open(attempt)
        event = self._event(attempt)
        if approval and isinstance(event, Voted) and event.decision in approval.votes:
            result = DecisionResult(event, approval)  # the same vote again
        else:
            result = self._commit(attempt, event)
        if grant:
            self._grants.store(grant)
        return result

    def _closed(self, attempt: DecisionAttempt) -> DecisionResult:
        """The request is decided: the same response again gets the same result, another is too
        late.
        """
        request, approval = attempt.request, attempt.request.approval
        stands = request.decision
        assert stands is not None
        if isinstance(attempt.response, Decide):
            again = self._decision(attempt, attempt.response)
            agreed = (
                [vote for vote in approval.votes if _same_content(vote, stands)] if approval else []
            )
            if any(_same_vote(each, again) for each in (stands, *agreed)):
                path = path_text(request.path)
                event = Decided(path=path, request_id=request.request_id, decision=stands)
                return DecisionResult(event, approval)
        run_id = attempt.loaded.head.run_id
        raise AlreadyDecided(decision_view(run_id, request.request_id, stands))

    def _event(self, attempt: DecisionAttempt) -> Written:
        """The event that the response makes of an open request."""
        request, response = attempt.request, attempt.response
        approval, policy = request.approval, request.call.gate
        path, request_id = path_text(request.path), request.request_id
        if approval is None or policy is None:
            decision = self._resolution(attempt)
            return DoubtResolved(path=path, request_id=request_id, decision=decision)
        match response:
            case Decide():
                decision = self._decision(attempt, response)
                return _vote(attempt, approval, policy, decision)
            case WithdrawApproval():
                check_vote(approval, attempt.approver)
                return Withdrawn(path=path, request_id=request_id, word=_attribution(attempt))
            case Reassign(to=to):
                requester = attempt.loaded.head.requester
                check_delegate(approval, policy, attempt.approver, to, requester)
                word = _attribution(attempt)
                return Reassigned(path=path, request_id=request_id, word=word, to=to)
            case _:
                assert_never(response)

    def _resolution(self, attempt: DecisionAttempt) -> Decision:
        """The decision on a call in doubt: whether it happened."""
        request, response = attempt.request, attempt.response
        if not isinstance(response, Decide):
            raise Invalid("this can only be answered", [("decision", "approve or reject")])
        if request.approvers and not approver_name(
            request.approvers, attempt.approver, response.groups
        ):
            fields = [("approver", "not one of the approvers")]
            raise Forbidden(f"{attempt.approver} is not asked for this", fields)
        check_seen(attempt)
        return self._decision(attempt, response)

    def _decision(self, attempt: DecisionAttempt, response: Decide) -> Decision:
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
        changes = validated_changes(self._runs.registry, attempt.loaded, request, response)
        if not changes:
            return decision
        decision = decision.model_copy(update=changes)
        edited = request.asked.model_copy(update={"decision": decision})
        edited_hash = call_hash_of(head, edited, request.path)
        return decision.model_copy(update={"arguments_hash": edited_hash})

    def _commit(self, attempt: DecisionAttempt, event: Written) -> DecisionResult:
        run_id, before = attempt.loaded.head.run_id, attempt.loaded.head.trail
        after, event = append(before, event)
        entries, move = _entries(attempt.request, event), TrailMove(before.number, after)
        store, queue = self._runs.store, self._runs.queue
        stored = store.append_external(run_id, entries, trail=move, now=attempt.now)
        if stored is None:
            queue.resume(run_id)
            return DecisionResult(event, _applied(attempt.request, event))
        if any(isinstance(each, ToolReturned) for each in stored.events):
            raise Conflict("the tool's outcome has arrived meanwhile; nothing is left to answer")
        raise Stale(run_id)


def _vote(
    attempt: DecisionAttempt, approval: ApprovalRequest, policy: ApprovalPolicy, decision: Decision
) -> Voted | Decided:
    """The event of a decision: a vote while others still must approve, else it closes the
    request.
    """
    request, response = attempt.request, attempt.response
    path, request_id = path_text(request.path), request.request_id
    for vote in approval.counted:
        if _same_vote(vote, decision):
            return Voted(path=path, request_id=request_id, decision=vote)
    check_seen(attempt)
    if decision.preview and decision.preview.risk is Risk.HIGH:
        check_signed_in(response)
    stage, group = eligible_stage(
        approval,
        policy,
        attempt.approver,
        groups=response.groups,
        requester=attempt.loaded.head.requester,
    )
    decision = decision.model_copy(update={"stage": stage, "member_of": group})
    if decision.verdict is Verdict.APPROVE:
        if with_vote(approval, decision).open_stage is not None:
            return Voted(path=path, request_id=request_id, decision=decision)
        if decision.arguments is None:
            # What an earlier vote changed is what has been agreed to.
            changes = {"arguments": approval.arguments, "preview": approval.preview}
            decision = decision.model_copy(update=changes)
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


def _same_vote(one: Decision, other: Decision) -> bool:
    """Whether two decisions are the same by the same approver, as of a double click."""
    return normalized(one.approver) == normalized(other.approver) and _same_content(one, other)


def _same_content(one: Decision, other: Decision) -> bool:
    """Whether two decisions say the same, whoever made them."""
    mine, theirs = ((each.verdict, each.arguments_hash) for each in (one, other))
    return mine == theirs and canonical_json(one.answer) == canonical_json(other.answer)


def _entries(request: Request, event: Written) -> list[JournalEntry]:
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


def _applied(request: Request, event: Written) -> ApprovalRequest | None:
    """The request with the event applied; None for a doubt."""
    approval = request.approval
    if approval is None or isinstance(event, DoubtResolved):
        return None
    if isinstance(event, Decided):
        approved = event.decision.verdict is Verdict.APPROVE
        return with_vote(approval, event.decision) if approved else approval
    return apply_to_request(approval, event)
