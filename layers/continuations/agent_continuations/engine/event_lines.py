"""The log lines of stored events: for each event a message, and details without any text of it."""

import re
from datetime import datetime
from typing import Any, NamedTuple

from agent_continuations.core.awaiting import RequestKind
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import (
    ApprovalRequested,
    Decided,
    DoubtResolved,
    DoubtVoted,
    Escalated,
    Event,
    MarkedInDoubt,
    ModelReplied,
    NoticeSent,
    Polled,
    Reassigned,
    Suspended,
    ToolReturned,
    Voted,
    Withdrawn,
)
from agent_continuations.core.path import parse_path
from agent_continuations.core.waits import ChildWait

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Completed(NamedTuple):
    """How this execution performed an effect: how long it took, and which poll it was, if any."""

    duration_ms: int
    poll: int | None = None


class EventLine(NamedTuple):
    """A log line about an event.

    Attributes:
        path: the path of the call or frame.
        agent: its agent.
    """

    message: str
    path: str
    agent: str
    details: dict[str, Any]


def event_line(root: Continuation, event: Event, completed: Completed | None) -> EventLine | None:
    """The line about a stored event; None if it has none.

    Args:
        root: the run with the event's call.
        event: the event.
        completed: how its effect was performed; None if it follows from time or from outside.
    """
    match event:
        case ModelReplied():
            agent = root.frame_at(parse_path(event.path)).agent
            return EventLine("model replied", event.path, agent, _reply(event, completed))
        case ToolReturned() | Suspended() | Polled():
            message, details = _progress(root, event, completed)
        case ApprovalRequested() | MarkedInDoubt() | NoticeSent():
            message, details = "people asked", _request(root, event)
        case (
            Decided()
            | DoubtResolved()
            | DoubtVoted()
            | Voted()
            | Withdrawn()
            | Reassigned()
            | Escalated()
        ):
            message, details = _response(root, event)
        case _:
            return None
    path = parse_path(event.path)
    details = {"tool": root.call_at(path).plan.tool, **details}
    return EventLine(message, event.path, root.frame_at(path[:-1]).agent, details)


def time_text(time: datetime | None) -> str | None:
    """A time as it appears in log lines."""
    return time.isoformat(timespec="seconds") if time else None


def _reply(event: ModelReplied, completed: Completed | None) -> dict[str, Any]:
    reply = event.reply
    return {
        "turn": event.turn,
        "model": reply.model,
        "duration_ms": completed.duration_ms if completed else None,
        "input_tokens": reply.usage.input_tokens,
        "output_tokens": reply.usage.output_tokens,
        # A model can write anything in place of a tool's name.
        "calls": [each.tool if _TOOL_NAME.fullmatch(each.tool) else "?" for each in event.calls],
        "fault": reply.fault,
    }


def _progress(
    root: Continuation, event: ToolReturned | Suspended | Polled, completed: Completed | None
) -> tuple[str, dict[str, Any]]:
    """A tool returned, a job was polled, a child run was started, or a wait has ended."""
    took = {"duration_ms": completed.duration_ms if completed else None}
    match event:
        case Suspended(wait=ChildWait(run_id=run_id)):
            return "child run started", {"child_run_id": run_id}
        case Suspended():
            return "tool returned", {"wait": event.wait.kind, "attempt": event.attempt, **took}
        case Polled():
            return "job polled", {"poll": event.number, "outcome": "pending", **took}
    outcome = {"outcome": event.outcome.kind}
    if completed is None:
        wait = root.call_at(parse_path(event.path)).wait
        by = "event" if event.took else "time"
        return "wait ended", {"wait": wait.kind if wait else None, "by": by, **outcome}
    if completed.poll is not None:
        return "job polled", {"poll": completed.poll, **outcome, **took}
    return "tool returned", {**outcome, "attempt": event.attempt, **took}


def _request(
    root: Continuation, event: ApprovalRequested | MarkedInDoubt | NoticeSent
) -> dict[str, Any]:
    """People were asked or reminded. Of the people only the number appears."""
    call = root.call_at(parse_path(event.path))
    kind: RequestKind = call.asks
    occasion, expires_at = "asked", None
    match event:
        case ApprovalRequested(request=request):
            request_id, expires_at = request.request_id, request.expires_at
            approvers = request.pending_approvers
        case MarkedInDoubt(doubt=doubt):
            kind, request_id, approvers = "doubt", doubt.request_id, doubt.approvers
        case NoticeSent():
            request_id, occasion, approvers = event.request_id, event.occasion, event.approvers
            expires_at = call.approval.expires_at if call.approval else None
    return {
        "kind": kind,
        "request_id": request_id,
        "occasion": occasion,
        "approvers": len(approvers),
        "expires_at": time_text(expires_at),
    }


def _response(
    root: Continuation,
    event: Decided | DoubtResolved | DoubtVoted | Voted | Withdrawn | Reassigned | Escalated,
) -> tuple[str, dict[str, Any]]:
    """A person, a grant or a deadline has responded to a request. No person is named."""
    kind = (
        "doubt"
        if isinstance(event, DoubtResolved | DoubtVoted)
        else root.call_at(parse_path(event.path)).asks
    )
    request = {"kind": kind, "request_id": event.request_id}
    details: dict[str, Any]
    match event:
        case Decided(decision=decision) | DoubtResolved(decision=decision):
            message = "request decided"
            details = {"decision": decision.verdict.value, "via": decision.via}
        case Voted(decision=decision) | DoubtVoted(decision=decision):
            message = "vote counted"
            details = {"decision": decision.verdict.value, "via": decision.via}
        case Withdrawn(word=word):
            message, details = "vote withdrawn", {"via": word.via}
        case Reassigned(word=word):
            message, details = "request reassigned", {"via": word.via}
        case Escalated():
            message = "request escalated"
            details = {
                "approvers": len(event.stage.approvers),
                "expires_at": time_text(event.expires_at),
            }
    return message, {**request, **details}
