"""The one command by which people answer, whatever door they come by.

It checks who says it, what they saw, and whether there still is time; and of all that is said at
once, one is first: what is written holds only if nobody else has answered since the run was loaded.
"""

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.audit_chain import append
from agent_continuations.core.approvals.policy import ApprovalPolicy, Risk, normalized
from agent_continuations.core.approvals.request import (
    ApprovalRequest,
    Attribution,
    Decision,
    Verdict,
)
from agent_continuations.core.call_hash import call_hash_of
from agent_continuations.core.continuation import Outcome
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
from agent_continuations.ports.clock import Clock
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import Store, TrailMove
from agent_continuations.services.decision_checks import (
    check_open,
    check_seen,
    check_signed_in,
    resolve_approver,
)
from agent_continuations.services.edits import validated_changes
from agent_continuations.views.decision import decision_view

MAX_TRIES = 20


class DecisionService:
    """Takes what people say to the requests of runs.

    Args:
        load: loads a run that may be decided on.
        registry: gives the agents; asked only to check edited arguments and answers.
    """

    def __init__(
        self,
        *,
        store: Store,
        queue: WorkQueue,
        load: Callable[[str], LoadedRun],
        registry: Callable[[], Registry],
        clock: Clock,
    ) -> None:
        self._store = store
        self._queue = queue
        self._load = load
        self._registry = registry
        self._clock = clock

    def settle(self, loaded: LoadedRun, request: Request, said: Response) -> DecisionResult:
        """Take what somebody says; see `Runs.decide`."""
        for _ in range(MAX_TRIES):
            try:
                return self._settle(loaded, request, said)
            except Stale:
                loaded = self._load(loaded.head.run_id)
                request = find_request(loaded, request.request_id)
        raise Retryable("too many people are answering at once: try again")

    def _settle(self, loaded: LoadedRun, request: Request, said: Response) -> DecisionResult:
        approver = resolve_approver(request, said)
        if request.decision:
            return self._result_of_closed(loaded, request, said, approver)
        now = self._clock()
        check_open(loaded, request, said, now)
        event: Written
        approval, gate = request.approval, request.call.gate
        if approval is None or gate is None:
            event = self._event_for_doubt(loaded, request, said, approver, now)
        else:
            event = self._event_for_approval(loaded, request, approval, gate, said, approver, now)
            if isinstance(event, Voted) and event.decision in approval.votes:
                return DecisionResult(event, approval)
        return self._write(loaded, request, event, now)

    def _write(
        self, loaded: LoadedRun, request: Request, event: Written, now: datetime
    ) -> DecisionResult:
        run_id, before = loaded.head.run_id, loaded.head.trail
        after, event = append(before, event)
        stored = self._store.append_external(
            run_id, _entries(request, event), trail=TrailMove(before.number, after), now=now
        )
        if stored is None:
            self._queue.resume(run_id)
            return DecisionResult(event, _applied(request, event))
        if any(isinstance(each, ToolReturned) for each in stored.events):
            raise Conflict("the outcome of the call is already known; nothing is left to answer")
        raise Stale(run_id)

    def _result_of_closed(
        self, loaded: LoadedRun, request: Request, said: Response, approver: str
    ) -> DecisionResult:
        """The request is closed: the same words again are answered alike, others are too late."""
        stands = request.decision
        assert stands is not None
        approval = request.approval
        if isinstance(said, Decide):
            again = self._decision(loaded, request, said, approver, self._clock())
            agreed = (
                [vote for vote in approval.votes if _same_content(vote, stands)] if approval else []
            )
            if any(_same_vote(each, again) for each in (stands, *agreed)):
                path = path_text(request.path)
                event = Decided(path=path, request_id=request.request_id, decision=stands)
                return DecisionResult(event, approval)
        raise AlreadyDecided(decision_view(loaded.head.run_id, request.request_id, stands))

    # -- what is said, as an event -----------------------------------------------------------------

    def _event_for_approval(
        self,
        loaded: LoadedRun,
        request: Request,
        approval: ApprovalRequest,
        gate: ApprovalPolicy,
        said: Response,
        approver: str,
        now: datetime,
    ) -> Voted | Decided | Withdrawn | Reassigned:
        requester = loaded.head.requester
        path, request_id = path_text(request.path), request.request_id
        match said:
            case Decide():
                decision = self._decision(loaded, request, said, approver, now)
                for vote in approval.counted:
                    if _same_vote(vote, decision):
                        return Voted(path=path, request_id=request_id, decision=vote)
                check_seen(loaded, request, said)
                if decision.preview and decision.preview.risk is Risk.HIGH:
                    check_signed_in(said)
                stage, group = eligible_stage(
                    approval, gate, approver, groups=said.groups, requester=requester
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
            case WithdrawApproval():
                check_vote(approval, approver)
                return Withdrawn(
                    path=path, request_id=request_id, word=_attribution(said, approver, now)
                )
            case Reassign(to=to):
                check_delegate(approval, gate, approver, to, requester)
                word = _attribution(said, approver, now)
                return Reassigned(path=path, request_id=request_id, word=word, to=to)
            case _:
                assert_never(said)

    def _event_for_doubt(
        self, loaded: LoadedRun, request: Request, said: Response, approver: str, now: datetime
    ) -> DoubtResolved:
        if not isinstance(said, Decide):
            raise Invalid(
                "this request takes only an answer", [("decision", "must be approve or reject")]
            )
        if request.approvers and not approver_name(request.approvers, approver, said.groups):
            raise Forbidden(
                f"{approver} was not asked for this decision", [("approver", "must be an approver")]
            )
        check_seen(loaded, request, said)
        decision = self._decision(loaded, request, said, approver, now)
        return DoubtResolved(
            path=path_text(request.path), request_id=request.request_id, decision=decision
        )

    def _decision(
        self, loaded: LoadedRun, request: Request, said: Decide, approver: str, now: datetime
    ) -> Decision:
        head, path, asked = loaded.head, request.path, request.asked
        decision = Decision(
            verdict=said.verdict,
            approver=approver,
            decided_by=said.decided_by or approver,
            via=said.via,
            authentication=said.authentication,
            reason=said.reason or None,
            arguments_hash=call_hash_of(head, asked, path),
            decided_at=now,
        )
        changes = validated_changes(self._registry, loaded, request, said)
        if not changes:
            return decision
        decision = decision.model_copy(update=changes)
        edited = call_hash_of(head, asked.model_copy(update={"decision": decision}), path)
        return decision.model_copy(update={"arguments_hash": edited})


def _attribution(said: Response, approver: str, now: datetime) -> Attribution:
    return Attribution(
        approver=approver,
        decided_by=said.decided_by or approver,
        via=said.via,
        authentication=said.authentication,
        reason=said.reason or None,
        at=now,
    )


def _same_vote(one: Decision, other: Decision) -> bool:
    """The same words by the same approver: a double click, not a second opinion."""
    return normalized(one.approver) == normalized(other.approver) and _same_content(one, other)


def _same_content(one: Decision, other: Decision) -> bool:
    """The same words, whoever says them."""
    mine, theirs = ((each.verdict, each.arguments_hash) for each in (one, other))
    return mine == theirs and canonical_json(one.answer) == canonical_json(other.answer)


def _entries(request: Request, event: Written) -> list[JournalEntry]:
    """What is written, all or nothing. Who says that a doubted call happened writes its outcome,
    too, at the key where a late outcome of the lost owner would stand: only one can.
    """
    registers = [JournalEntry(trail_key(event, request.attempt), (event,))]
    if isinstance(event, DoubtResolved) and event.decision.verdict is Verdict.APPROVE:
        outcome = ToolReturned(
            path=event.path,
            outcome=Outcome(kind="ok", content=happened_text(event.decision)),
            attempt=request.attempt,
            started_at=event.decision.decided_at,
            at=event.decision.decided_at,
        )
        registers.append(JournalEntry(call_key(request.path, "outcome"), (outcome,)))
    return registers


def _applied(request: Request, event: Written) -> ApprovalRequest | None:
    """How the request stands once the event is on record."""
    approval = request.approval
    if approval is None or isinstance(event, DoubtResolved):
        return None
    if isinstance(event, Decided):
        approved = event.decision.verdict is Verdict.APPROVE
        return with_vote(approval, event.decision) if approved else approval
    return apply_to_request(approval, event)
