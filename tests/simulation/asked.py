"""What must hold of every question to people, seen from outside: who was told, what time did, and
what is on record of it.

S6 what somebody was told is on record. L1 whoever must answer is told, and time does what the
policy says. T1 the audit trail is whole.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from agent_continuations.core.approvals.audit_chain import AuditedEvent, audit_entry, faults
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.events import ApprovalRequested, Decided, Escalated, NoticeSent
from agent_continuations.core.notice import Notice
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.run import LoadedRun, Status
from agent_continuations.operations.stuck_runs import SWEEP_GRACE
from tests.crash.agreement import Question, asked_at, moment, trail
from tests.simulation.ledger import Heard
from tests.simulation.scheduler import EPOCH


def broken_questions(
    loaded: LoadedRun, heard: list[Heard], notices: list[Notice], faults_end: float
) -> Iterator[str]:
    """Every promise about what people are asked that a run has broken in the end.

    Args:
        loaded: the run.
        heard: what people were told to be on record.
        notices: what went into the run's outbox.
        faults_end: seconds after `EPOCH`; what is late before has its reasons.
    """
    events = trail(loaded.snapshot.events())
    entries = [audit_entry(each) for each in events if each.link]
    if len(entries) < len(events):
        yield "T1: an event has no place in the trail"
    yield from (f"T1: {fault}" for fault in faults(entries, loaded.head.trail))
    on_record = [_words(each) for each in events]
    for each in heard:
        if each.run_id == loaded.head.run_id and _words(each.event) not in on_record:
            yield f"S6: {each.event} was told, but is not on record"
    yield from _notices(events, notices)
    for path, _ in loaded.continuation.calls():
        clock = _Clock(EPOCH + timedelta(seconds=faults_end))
        yield from (f"{fault} ({path_text(path)})" for fault in _of_question(loaded, path, clock))


def _words(event: AuditedEvent) -> AuditedEvent:
    return event.model_copy(update={"link": None})


def _notices(events: list[AuditedEvent], notices: list[Notice]) -> Iterator[str]:
    """Whoever is told by the record was sent a notice, and nobody else was."""
    told: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for event in events:
        if isinstance(event, ApprovalRequested):
            told[event.request.request_id, event.request.told] += 1
        elif isinstance(event, NoticeSent):
            told[event.request_id, event.approvers] += 1
    sent = Counter((each.request_id, each.approvers) for each in notices if each.kind != "doubt")
    if told != sent:
        yield f"L1: {told - sent} were told by the record, but {sent - told} were sent a notice"


class _Clock:
    """Knows whether something that was due at a time is late at another."""

    def __init__(self, faults_end: datetime) -> None:
        self._faults_end = faults_end

    def late(self, due: datetime, now: datetime) -> bool:
        return now > max(due, self._faults_end) + SWEEP_GRACE


def _of_question(loaded: LoadedRun, path: Path, clock: _Clock) -> Iterator[str]:
    untold: dict[str, datetime] = {}
    since: datetime | None = None
    for question, event in asked_at(loaded, path):
        since = since or question.asked
        if event is None:
            yield from (f"S4: {fault}" for fault in question.wrong)
        if question.closed:
            yield from _closed(loaded, question)
            return
        now = moment(event) if event else loaded.head.updated_at
        missing = question.waits_for - question.told
        untold = {who: untold.get(who, since) for who in missing}
        for who, time in untold.items():
            if clock.late(time, now):
                yield f"L1: {who} must answer since {time}, and was not told until {now}"
        yield from _overdue(question, now, clock)
        yield from _out_of_turn(question, event)
        since = now


def _overdue(question: Question, now: datetime, clock: _Clock) -> Iterator[str]:
    """What time should have done before `now`, the next event or the run's end."""
    if clock.late(question.until, now):
        yield f"L1: it stood open until {now}, long after its deadline"
    reminder = question.next_reminder
    if reminder and clock.late(reminder, min(now, question.until)):
        yield f"L1: nobody was reminded at {reminder}"


def _out_of_turn(question: Question, event: AuditedEvent | None) -> Iterator[str]:
    """What time did before it was due, or otherwise than the policy says."""
    match event:
        case Escalated():
            yield from _escalated(question, event)
        case Decided(decision=decision) if decision.via == "deadline":
            left = question.gate.escalations[question.escalated :]
            if left or decision.decided_at < question.until:
                yield "L1: the deadline decided before its time"
            if decision.verdict is not Verdict.REJECT:
                yield "S4: the deadline approved"
        case NoticeSent(occasion="reminder", at=at):
            reminder = question.next_reminder
            if reminder is None or not reminder <= at < question.until:
                yield f"L1: a reminder at {at}, and none was due"
            yield from _told(event, question.waits_for)
        case NoticeSent():
            yield from _told(event, question.waits_for - question.told)
        case _:
            pass


def _escalated(question: Question, event: Escalated) -> Iterator[str]:
    left = question.gate.escalations[question.escalated :]
    if not left or event.at < question.until:
        yield "L1: it was escalated, but not at its deadline"
        return
    stage, until = event.stage, event.at + timedelta(seconds=left[0].timeout_seconds)
    wanted = (left[0].approvers, left[0].needed, until)
    if (stage.approvers, stage.needed, event.expires_at) != wanted:
        yield f"L1: it was escalated to {stage} until {event.expires_at}, and not by the policy"


def _told(event: NoticeSent, must: set[str]) -> Iterator[str]:
    if set(event.approvers) != must:
        yield f"L1: {event.approvers} were told, but {must} must answer"


def _closed(loaded: LoadedRun, question: Question) -> Iterator[str]:
    by_time = question.closed is not None and question.closed.via == "deadline"
    if by_time and question.gate.on_deadline == "fail":
        status = loaded.head.status
        if status not in (Status.FAILED, Status.CANCELLED):
            yield f"L1: its deadline fails the run, which is {status.value}"
