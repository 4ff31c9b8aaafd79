"""The promises about requests to people: notices, deadlines, and the audit trail.

S6 a confirmed answer is on record. L1 every pending approver is notified, and reminders, deadlines
and escalations follow the policy. T1 the audit trail is intact.
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
from tests.crash.approval_oracle import RequestHistory, audit_events, event_time, request_history
from tests.simulation.ground_truth import ConfirmedVote
from tests.simulation.scheduler import EPOCH


def broken_request_promises(
    loaded: LoadedRun,
    confirmed_votes: list[ConfirmedVote],
    notices: list[Notice],
    faults_end: float,
) -> Iterator[str]:
    """Every promise about requests that a finished run has broken.

    Args:
        loaded: the run.
        heard: the votes that users were shown as recorded.
        notices: the notices of the run's outbox.
        faults_end: seconds after `EPOCH`; until then, delays are allowed.
    """
    events = audit_events(loaded.snapshot.events())
    entries = [audit_entry(each) for each in events if each.link]
    if len(entries) < len(events):
        yield "T1: an event has no place in the trail"
    yield from (f"T1: {fault}" for fault in faults(entries, loaded.head.trail))
    on_record = [_without_link(each) for each in events]
    for each in confirmed_votes:
        if each.run_id == loaded.head.run_id and _without_link(each.event) not in on_record:
            yield f"S6: {each.event} was told, but is not on record"
    yield from _check_notices(events, notices)
    for path, _ in loaded.continuation.calls():
        late_check = _LateCheck(EPOCH + timedelta(seconds=faults_end))
        yield from (
            f"{fault} ({path_text(path)})" for fault in _check_request(loaded, path, late_check)
        )


def _without_link(event: AuditedEvent) -> AuditedEvent:
    return event.model_copy(update={"link": None})


def _check_notices(events: list[AuditedEvent], notices: list[Notice]) -> Iterator[str]:
    """Exactly the approvers who are notified according to the record were sent a notice."""
    recorded: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for event in events:
        if isinstance(event, ApprovalRequested):
            recorded[event.request.request_id, event.request.told] += bool(event.request.told)
        elif isinstance(event, NoticeSent):
            recorded[event.request_id, event.approvers] += 1
    sent = Counter((each.request_id, each.approvers) for each in notices if each.kind != "doubt")
    if recorded != sent:
        yield f"L1: {recorded - sent} recorded as notified, but {sent - recorded} were notified"


class _LateCheck:
    """Decides whether something that was due at a time is late at another."""

    def __init__(self, faults_end: datetime) -> None:
        self._faults_end = faults_end

    def is_late(self, due: datetime, now: datetime) -> bool:
        return now > max(due, self._faults_end) + SWEEP_GRACE


def _check_request(loaded: LoadedRun, path: Path, late_check: _LateCheck) -> Iterator[str]:
    unnotified: dict[str, datetime] = {}
    since: datetime | None = None
    for question, event in request_history(loaded, path):
        since = since or question.requested_at
        if event is None:
            yield from (f"S4: {fault}" for fault in question.faults)
        if question.closed:
            yield from _check_closed(loaded, question)
            return
        now = event_time(event) if event else loaded.head.updated_at
        missing = question.pending - question.notified
        unnotified = {who: unnotified.get(who, since) for who in missing}
        for who, time in unnotified.items():
            if late_check.is_late(time, now):
                yield f"L1: {who} must answer since {time}, and was not told until {now}"
        yield from _check_deadlines(question, now, late_check)
        yield from _check_timed_event(question, event)
        since = now


def _check_deadlines(
    question: RequestHistory, now: datetime, late_check: _LateCheck
) -> Iterator[str]:
    """Reminders and deadlines that were missed before `now`, the next event or the run's end."""
    if late_check.is_late(question.expires_at, now):
        yield f"L1: it stood open until {now}, long after its deadline"
    reminder = question.next_reminder
    if reminder and late_check.is_late(reminder, min(now, question.expires_at)):
        yield f"L1: nobody was reminded at {reminder}"


def _check_timed_event(question: RequestHistory, event: AuditedEvent | None) -> Iterator[str]:
    """Reminders, deadlines and escalations that came too early, or not as the policy says."""
    match event:
        case Escalated():
            yield from _check_escalation(question, event)
        case Decided(decision=decision) if decision.via == "deadline":
            left = question.policy.escalations[question.escalated :]
            if left or decision.decided_at < question.expires_at:
                yield "L1: the deadline decided before its time"
            if decision.verdict is not Verdict.REJECT:
                yield "S4: the deadline approved"
        case NoticeSent(occasion="reminder", at=at):
            reminder = question.next_reminder
            if reminder is None or not reminder <= at < question.expires_at:
                yield f"L1: a reminder at {at}, and none was due"
            yield from _check_notified(event, question.pending)
        case NoticeSent():
            yield from _check_notified(event, question.pending - question.notified)
        case _:
            pass


def _check_escalation(question: RequestHistory, event: Escalated) -> Iterator[str]:
    left = question.policy.escalations[question.escalated :]
    if not left or event.at < question.expires_at:
        yield "L1: it was escalated, but not at its deadline"
        return
    stage, until = event.stage, event.at + timedelta(seconds=left[0].timeout_seconds)
    wanted = (left[0].approvers, left[0].needed, until)
    if (stage.approvers, stage.needed, event.expires_at) != wanted:
        yield f"L1: it was escalated to {stage} until {event.expires_at}, and not by the policy"


def _check_notified(event: NoticeSent, expected: set[str]) -> Iterator[str]:
    if set(event.approvers) != expected:
        yield f"L1: {event.approvers} were told, but {expected} must answer"


def _check_closed(loaded: LoadedRun, question: RequestHistory) -> Iterator[str]:
    by_time = question.closed is not None and question.closed.via == "deadline"
    if by_time and question.policy.on_deadline == "fail":
        status = loaded.head.status
        if status not in (Status.FAILED, Status.CANCELLED):
            yield f"L1: its deadline fails the run, which is {status.value}"
