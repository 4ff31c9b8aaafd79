"""The timeline of a run: its events in order of time, worded for people."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

from agent_continuations.core.approvals.request import Attribution, Decision
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import (
    ApprovalRequested,
    ConditionReached,
    Decided,
    DoubtResolved,
    DoubtVoted,
    Escalated,
    Event,
    MarkedInDoubt,
    MessageReceived,
    ModelReplied,
    NoticeSent,
    Reassigned,
    RestoreCleared,
    Restored,
    SignalReceived,
    Started,
    Suspended,
    ToolReturned,
    Voted,
    Withdrawn,
)
from agent_continuations.core.path import Path, parse_path, path_text
from agent_continuations.core.run import RunHead, Snapshot, Status
from agent_continuations.views.base import ApiModel, Rfc3339, moment
from agent_continuations.views.labels import LABELS


class Entry(ApiModel):
    """One entry of a timeline."""

    at: Rfc3339
    kind: Literal[
        "started",
        "model",
        "tool",
        "approval",
        "decision",
        "escalation",
        "doubt",
        "answer",
        "wait",
        "condition",
        "message",
        "event",
        "restore",
        "ended",
    ]
    path: str
    agent: str
    text: str
    tool: str | None = None
    arguments: dict[str, Any] | None = None
    request_id: str | None = None
    verdict: str | None = None
    approver: str | None = None
    decided_by: str | None = None
    via: str | None = None
    reason: str | None = None


class Timeline(ApiModel):
    """All entries, in order of time, on one page."""

    items: tuple[Entry, ...]
    next: None = None


def timeline(snapshot: Snapshot, root: Continuation) -> list[Entry]:
    """The entries of a run, in order of time."""
    entries = [
        entry for event in snapshot.events() for entry in _entries(event, snapshot.head, root)
    ]
    head = snapshot.head
    if head.status is Status.PARKED or (head.status.ended and head.status is not Status.MOVED):
        ended = root.outcome.content if root.outcome else (head.note or "")
        text = f"{head.status.value}: {ended}" if ended else head.status.value
        entries.append(
            Entry(at=head.updated_at, kind="ended", path="", agent=head.agent, text=text)
        )
    return sorted(entries, key=lambda entry: entry.at)


def _entries(event: Event, head: RunHead, root: Continuation) -> Iterator[Entry]:
    path = parse_path(getattr(event, "path", ""))
    match event:
        case Started():
            yield Entry(
                at=event.at, kind="started", path="", agent=head.agent, text=root.input[:500]
            )
        case ModelReplied():
            for read in event.reads:
                yield from _entries(read, head, root)
            names = ", ".join(plan.tool for plan in event.calls)
            text = f"asks for {names}" if names else (event.reply.content or "")[:500]
            yield Entry(
                at=event.at,
                kind="model",
                path=event.path,
                agent=root.frame_at(path).agent,
                text=text or f"gave no usable answer ({event.reply.fault})",
            )
        case ToolReturned():
            yield _call_entry(
                root, path, at=event.at, kind="tool", text=event.outcome.content[:500]
            )
        case Suspended(wait=wait):
            yield _call_entry(root, path, at=event.at, kind="wait", text=LABELS[wait.kind].state)
        case ConditionReached(plan=plan):
            why = plan.gate.preview.effect if plan.gate.preview else ""
            at = (root.frame_at(path[:-1]).started_at or head.created_at) + timedelta(
                seconds=plan.tally.seconds
            )
            yield _call_entry(root, path, at=at, kind="condition", text=f"held: {why}")
        case MessageReceived(message=message):
            text = f"{message.sender}: {message.text}" if message.sender else message.text
            yield Entry(at=message.at, kind="message", path="", agent=head.agent, text=text[:500])
        case SignalReceived(signal=signal):
            yield Entry(at=signal.at, kind="event", path="", agent=head.agent, text=signal.name)
        case Restored() | RestoreCleared():
            yield _restore_entry(event, head)
        case _:
            yield from _approval_entry(event, root, path)


def _restore_entry(event: Restored | RestoreCleared, head: RunHead) -> Entry:
    match event:
        case Restored(restore=restore):
            at, text = restore.at, f"records from {moment(restore.since)} on are lost"
        case RestoreCleared():
            at, text = event.at, f"checked by {event.by}"
    return Entry(at=at, kind="restore", path="", agent=head.agent, text=text)


def _approval_entry(event: Event, root: Continuation, path: Path) -> Iterator[Entry]:
    """The entry of an approval event; none for other events."""

    def entry(**more: Any) -> Entry:
        return _call_entry(root, path, **more)

    match event:
        case ApprovalRequested(request=asked):
            first = ", ".join(asked.stages[0].approvers)
            yield entry(
                at=asked.requested_at,
                kind="approval",
                text=f"asked {first}",
                request_id=asked.request_id,
            )
        case NoticeSent(approvers=approvers, occasion=occasion):
            what = "reminded" if occasion == "reminder" else "asked"
            names = ", ".join(approvers)
            yield entry(
                at=event.at, kind="approval", text=f"{what} {names}", request_id=event.request_id
            )
        case Escalated(stage=stage):
            names = ", ".join(stage.approvers)
            yield entry(
                at=event.at,
                kind="escalation",
                text=f"the deadline passed; asked {names} instead",
                request_id=event.request_id,
            )
        case MarkedInDoubt(doubt=doubt):
            yield entry(
                at=doubt.requested_at,
                kind="doubt",
                text="asked whether it happened",
                request_id=doubt.request_id,
            )
        case Voted(decision=decision) | Decided(decision=decision):
            yield entry(kind="decision", request_id=event.request_id, **_decision_fields(decision))
        case DoubtVoted(decision=decision) | DoubtResolved(decision=decision):
            yield entry(kind="answer", request_id=event.request_id, **_decision_fields(decision))
        case Withdrawn(word=attribution):
            text = f"{attribution.approver} took the approval back"
            yield entry(
                kind="decision",
                request_id=event.request_id,
                text=text,
                **_attribution_fields(attribution),
            )
        case Reassigned(word=attribution, to=to):
            text = f"{attribution.approver} passed this on to {to}"
            yield entry(
                kind="decision",
                request_id=event.request_id,
                text=text,
                **_attribution_fields(attribution),
            )
        case _:
            pass


def _decision_fields(decision: Decision) -> dict[str, Any]:
    return {
        "at": decision.decided_at,
        "text": f"{decision.verdict.value} by {decision.approver}",
        "verdict": decision.verdict.value,
        "approver": decision.approver,
        "decided_by": decision.decided_by,
        "via": decision.via,
        "reason": decision.reason,
    }


def _attribution_fields(attribution: Attribution) -> dict[str, Any]:
    return {
        "at": attribution.at,
        "approver": attribution.approver,
        "decided_by": attribution.decided_by,
        "via": attribution.via,
        "reason": attribution.reason,
    }


def _call_entry(root: Continuation, path: Path, **more: Any) -> Entry:
    call = root.call_at(path)
    return Entry(
        path=path_text(path),
        agent=root.frame_at(path[:-1]).agent,
        tool=call.plan.tool,
        arguments=call.arguments,
        **more,
    )
