"""Keys."""

from typing import Literal, TypeAlias, assert_never

from agent_continuations.core.events import (
    ApprovalEvent,
    ApprovalRequested,
    CallEvent,
    ConditionReached,
    Decided,
    DoubtResolved,
    Escalated,
    InboundEvent,
    MarkedInDoubt,
    MessageReceived,
    NoticeSent,
    Polled,
    Reassigned,
    SignalReceived,
    Suspended,
    ToolReturned,
    Voted,
    Withdrawn,
)
from agent_continuations.core.path import Path, parse_path

CallEntryKind: TypeAlias = Literal[
    "hold", "approval", "then", "decision", "doubt", "answer", "wait", "poll", "outcome"
]


START_KEY = "!start"


# '!' < '.' < '/' < digits < '~': what happens to a call before it runs sorts before its child,
# the child before the call's outcome, and all of that before the frame's next turn. One query in
# key order is therefore a legal order to fold the events in.
_RANK: dict[CallEntryKind, str] = {
    "hold": "!0hold",
    # Before the question to people that it may lead to.
    "wait": "!0wait",
    "approval": "!1approval",
    "then": "!1then.{attempt:06d}",
    "decision": "!2decision",
    "doubt": "!3.{attempt:03d}.1doubt",
    "answer": "!3.{attempt:03d}.2answer",
    "poll": "!4poll.{attempt:06d}",
    "outcome": "~outcome",
}


def _sortable(path: Path) -> str:
    return "/".join(f"{turn:05d}.{call:03d}" for turn, call in path)


def reply_key(frame: Path, turn: int) -> str:
    """The register of a frame's model reply."""
    prefix = f"{_sortable(frame)}/" if frame else ""
    return f"{prefix}{turn:05d}!reply"


def inbound_key(name: str) -> str:
    """The register of what came from outside without having been asked for: after the start, and
    before all else, so that it is known whenever something is made of it.
    """
    return f"!told.{name}"


def call_key(call: Path, register: CallEntryKind, attempt: int = 0) -> str:
    """The register of what happened to one call. Doubt can come back, so it counts attempts; what
    happens to a request between the question and the decision has its number in the run's trail;
    polls are numbered.
    """
    return _sortable(call) + _RANK[register].format(attempt=attempt)


def call_entry_key(event: CallEvent) -> str:
    """The register of what happened to one call apart from the audit trail."""
    path = parse_path(event.path)
    match event:
        case Suspended():
            return call_key(path, "wait")
        case Polled(number=number):
            return call_key(path, "poll", number)
        case ToolReturned():
            return call_key(path, "outcome")
        case ConditionReached():
            return call_key(path, "hold")
        case _:
            assert_never(event)


def inbound_register_key(event: InboundEvent) -> str:
    """The register of what came from outside; the same id is the same thing."""
    match event:
        case MessageReceived(message=message):
            return inbound_key(f"message.{message.message_id}")
        case SignalReceived(signal=signal):
            return inbound_key(f"signal.{signal.event_id}")
        case _:
            assert_never(event)


def trail_key(event: ApprovalEvent, attempt: int = 0) -> str:
    """The register of an event of the audit trail.

    What can happen once to a call, or once an attempt, excludes itself by its key. What can happen
    again and again is told apart by its number in the trail.

    Args:
        event: with its link, where it can happen again.
        attempt: of the doubt that an answer is for.
    """
    path = parse_path(event.path)
    match event:
        case ApprovalRequested():
            return call_key(path, "approval")
        case Decided():
            return call_key(path, "decision")
        case MarkedInDoubt(doubt=doubt):
            return call_key(path, "doubt", doubt.intent.attempt)
        case DoubtResolved():
            return call_key(path, "answer", attempt)
        case Voted() | Withdrawn() | Reassigned() | Escalated() | NoticeSent():
            return call_key(path, "then", event.link.number if event.link else 0)
        case _:
            assert_never(event)
