"""The one command by which people answer, whatever door they come by.

It checks who says it, what they saw, and whether there still is time; and of all that is said at
once, one is first: what is written holds only if nobody else has answered since the run was loaded.
"""

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.audit_chain import take_in
from agent_continuations.core.approvals.policy import Gate, Risk, person
from agent_continuations.core.approvals.request import ApprovalRequest, Decision, Verdict, Word
from agent_continuations.core.call_hash import hash_of
from agent_continuations.core.continuation import Outcome
from agent_continuations.core.decisions.lookup import Request, find_request
from agent_continuations.core.decisions.responses import (
    Answer,
    PassOn,
    Said,
    Settled,
    TakeBack,
    Written,
)
from agent_continuations.core.events import (
    Decided,
    DoubtSettled,
    Reassigned,
    ToolReturned,
    Voted,
    Withdrawn,
)
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.keys import call_key, trail_key
from agent_continuations.core.path import path_text
from agent_continuations.core.run import Loaded, Register
from agent_continuations.core.transcript import happened_text
from agent_continuations.core.voting import (
    asked_by,
    asked_on,
    check_delegate,
    check_vote,
    place,
    voted,
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
from agent_continuations.ports.queue import Hints
from agent_continuations.ports.store import Store, TrailMove
from agent_continuations.services.decision_checks import (
    check_open,
    check_seen,
    check_signed_in,
    speaker,
)
from agent_continuations.services.edits import given
from agent_continuations.views.decision import decision_view

MAX_TRIES = 20


class Decisions:
    """Takes what people say to the requests of runs.

    Args:
        load: loads a run that may be decided on.
        registry: gives the agents; asked only to check edited arguments and answers.
    """

    def __init__(
        self,
        *,
        store: Store,
        hints: Hints,
        load: Callable[[str], Loaded],
        registry: Callable[[], Registry],
        clock: Clock,
    ) -> None:
        self._store = store
        self._hints = hints
        self._load = load
        self._registry = registry
        self._clock = clock

    def settle(self, loaded: Loaded, request: Request, said: Said) -> Settled:
        """Take what somebody says; see `Runs.decide`."""
        for _ in range(MAX_TRIES):
            try:
                return self._settle(loaded, request, said)
            except Stale:
                loaded = self._load(loaded.head.run_id)
                request = find_request(loaded, request.request_id)
        raise Retryable("too many people answer at once")

    def _settle(self, loaded: Loaded, request: Request, said: Said) -> Settled:
        approver = speaker(request, said)
        if request.decision:
            return self._late(loaded, request, said, approver)
        now = self._clock()
        check_open(loaded, request, said, now)
        event: Written
        approval, gate = request.approval, request.call.gate
        if approval is None or gate is None:
            event = self._of_doubt(loaded, request, said, approver, now)
        else:
            event = self._of_approval(loaded, request, approval, gate, said, approver, now)
            if isinstance(event, Voted) and event.decision in approval.votes:
                return Settled(event, approval)
        return self._write(loaded, request, event, now)

    def _write(self, loaded: Loaded, request: Request, event: Written, now: datetime) -> Settled:
        run_id, before = loaded.head.run_id, loaded.head.trail
        after, event = take_in(before, event)
        stored = self._store.deliver(
            run_id, _registers(request, event), trail=TrailMove(before.number, after), now=now
        )
        if stored is None:
            self._hints.resume(run_id)
            return Settled(event, _after(request, event))
        if any(isinstance(each, ToolReturned) for each in stored.events):
            raise Conflict("the tool's outcome has arrived meanwhile; nothing is left to answer")
        raise Stale(run_id)

    def _late(self, loaded: Loaded, request: Request, said: Said, approver: str) -> Settled:
        """The request is closed: the same words again are answered alike, others are too late."""
        stands = request.decision
        assert stands is not None
        approval = request.approval
        if isinstance(said, Answer):
            again = self._decision(loaded, request, said, approver, self._clock())
            agreed = [vote for vote in approval.votes if _alike(vote, stands)] if approval else []
            if any(_same(each, again) for each in (stands, *agreed)):
                path = path_text(request.path)
                event = Decided(path=path, request_id=request.request_id, decision=stands)
                return Settled(event, approval)
        raise AlreadyDecided(decision_view(loaded.head.run_id, request.request_id, stands))

    # -- what is said, as an event -----------------------------------------------------------------

    def _of_approval(
        self,
        loaded: Loaded,
        request: Request,
        approval: ApprovalRequest,
        gate: Gate,
        said: Said,
        approver: str,
        now: datetime,
    ) -> Voted | Decided | Withdrawn | Reassigned:
        requester = loaded.head.requester
        path, request_id = path_text(request.path), request.request_id
        match said:
            case Answer():
                decision = self._decision(loaded, request, said, approver, now)
                for vote in approval.counted:
                    if _same(vote, decision):
                        return Voted(path=path, request_id=request_id, decision=vote)
                check_seen(loaded, request, said)
                if decision.preview and decision.preview.risk is Risk.HIGH:
                    check_signed_in(said)
                stage, group = place(
                    approval, gate, approver, groups=said.groups, requester=requester
                )
                decision = decision.model_copy(update={"stage": stage, "member_of": group})
                if decision.verdict is Verdict.APPROVE:
                    if voted(approval, decision).open_stage is not None:
                        return Voted(path=path, request_id=request_id, decision=decision)
                    if decision.arguments is None:
                        # What an earlier vote changed is what has been agreed to.
                        changes = {"arguments": approval.arguments, "preview": approval.preview}
                        decision = decision.model_copy(update=changes)
                return Decided(path=path, request_id=request_id, decision=decision)
            case TakeBack():
                check_vote(approval, approver)
                return Withdrawn(path=path, request_id=request_id, word=_word(said, approver, now))
            case PassOn(to=to):
                check_delegate(approval, gate, approver, to, requester)
                word = _word(said, approver, now)
                return Reassigned(path=path, request_id=request_id, word=word, to=to)
            case _:
                assert_never(said)

    def _of_doubt(
        self, loaded: Loaded, request: Request, said: Said, approver: str, now: datetime
    ) -> DoubtSettled:
        if not isinstance(said, Answer):
            raise Invalid("this can only be answered", [("decision", "approve or reject")])
        if request.approvers and not asked_by(request.approvers, approver, said.groups):
            raise Forbidden(
                f"{approver} is not asked for this", [("approver", "not one of the approvers")]
            )
        check_seen(loaded, request, said)
        decision = self._decision(loaded, request, said, approver, now)
        return DoubtSettled(
            path=path_text(request.path), request_id=request.request_id, decision=decision
        )

    def _decision(
        self, loaded: Loaded, request: Request, said: Answer, approver: str, now: datetime
    ) -> Decision:
        head, path, asked = loaded.head, request.path, request.asked
        decision = Decision(
            verdict=said.verdict,
            approver=approver,
            decided_by=said.decided_by or approver,
            via=said.via,
            authentication=said.authentication,
            reason=said.reason or None,
            arguments_hash=hash_of(head, asked, path),
            decided_at=now,
        )
        changes = given(self._registry, loaded, request, said)
        if not changes:
            return decision
        decision = decision.model_copy(update=changes)
        edited = hash_of(head, asked.model_copy(update={"decision": decision}), path)
        return decision.model_copy(update={"arguments_hash": edited})


def _word(said: Said, approver: str, now: datetime) -> Word:
    return Word(
        approver=approver,
        decided_by=said.decided_by or approver,
        via=said.via,
        authentication=said.authentication,
        reason=said.reason or None,
        at=now,
    )


def _same(one: Decision, other: Decision) -> bool:
    """The same words by the same approver: a double click, not a second opinion."""
    return person(one.approver) == person(other.approver) and _alike(one, other)


def _alike(one: Decision, other: Decision) -> bool:
    """The same words, whoever says them."""
    mine, theirs = ((each.verdict, each.arguments_hash) for each in (one, other))
    return mine == theirs and canonical_json(one.answer) == canonical_json(other.answer)


def _registers(request: Request, event: Written) -> list[Register]:
    """What is written, all or nothing. Who says that a doubted call happened writes its outcome,
    too, at the key where a late outcome of the lost owner would stand: only one can.
    """
    registers = [Register(trail_key(event, request.attempt), (event,))]
    if isinstance(event, DoubtSettled) and event.decision.verdict is Verdict.APPROVE:
        outcome = ToolReturned(
            path=event.path,
            outcome=Outcome(kind="ok", content=happened_text(event.decision)),
            attempt=request.attempt,
            started_at=event.decision.decided_at,
            at=event.decision.decided_at,
        )
        registers.append(Register(call_key(request.path, "outcome"), (outcome,)))
    return registers


def _after(request: Request, event: Written) -> ApprovalRequest | None:
    """How the request stands once the event is on record."""
    approval = request.approval
    if approval is None or isinstance(event, DoubtSettled):
        return None
    if isinstance(event, Decided):
        approved = event.decision.verdict is Verdict.APPROVE
        return voted(approval, event.decision) if approved else approval
    return asked_on(approval, event)
