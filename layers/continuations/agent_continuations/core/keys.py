"""Keys of journal entries. A run's entries in key order are a legal order of its events."""

from datetime import datetime
from typing import Literal, TypeAlias, assert_never

from agent_continuations.core.events import (
    ApprovalEvent,
    ApprovalRequested,
    CallEvent,
    ConditionReached,
    Decided,
    DoubtResolved,
    DoubtVoted,
    Escalated,
    InboundEvent,
    MarkedInDoubt,
    MessageReceived,
    NoticeSent,
    Polled,
    Reassigned,
    RestoreCleared,
    Restored,
    SignalReceived,
    Suspended,
    ToolReturned,
    Voted,
    Withdrawn,
)
from agent_continuations.core.path import Path, parse_path

CallEntryKind: TypeAlias = Literal[
    "hold", "approval", "then", "decision", "doubt", "word", "answer", "wait", "poll", "outcome"
]

START_KEY = "!start"

# '!' < '.' < '/' < digits < '~': the events of a call before it runs sort before its child, the
# child before the call's outcome, and all of these before the frame's next turn. One query in key
# order is therefore a legal order to fold the events in.
_RANK: dict[CallEntryKind, str] = {
    "hold": "!0hold",
    # Before the approval entry, because the wait may be a question to people.
    "wait": "!0wait",
    "approval": "!1approval",
    "then": "!1then.{attempt:06d}",
    "decision": "!2decision",
    "doubt": "!3.{attempt:03d}.1doubt",
    "word": "!3.{attempt:03d}.1then.{number:06d}",
    "answer": "!3.{attempt:03d}.2answer",
    "poll": "!4poll.{attempt:06d}",
    "outcome": "~outcome",
}


def _sort_key(path: Path) -> str:
    return "/".join(f"{turn:05d}.{call:03d}" for turn, call in path)


def reply_key(frame: Path, turn: int) -> str:
    """The key of a frame's model reply."""
    prefix = f"{_sort_key(frame)}/" if frame else ""
    return f"{prefix}{turn:05d}!reply"


def inbound_key(name: str) -> str:
    """The key of an external event, such as a message or a signal.

    It sorts after the start event and before all others, so a fold sees the event before its use.
    """
    return f"!told.{name}"


def call_key(call: Path, kind: CallEntryKind, attempt: int = 0, number: int = 0) -> str:
    """The key of an event of one call.

    Args:
        call: the call's path.
        kind: the kind of entry.
        attempt: the number that separates entries of one kind: the tool's attempt for a doubt, the
            number in the audit trail for events of an open request, the number of a poll.
        number: the number in the audit trail, for events of a request about an attempt.
    """
    return _sort_key(call) + _RANK[kind].format(attempt=attempt, number=number)


def call_entry_key(event: CallEvent) -> str:
    """The key of a call's event that is not part of the audit trail."""
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


def inbound_entry_key(event: InboundEvent) -> str:
    """The key of an external event; an event with the same id has the same key."""
    match event:
        case MessageReceived(message=message):
            return inbound_key(f"message.{message.message_id}")
        case SignalReceived(signal=signal):
            return inbound_key(f"signal.{signal.event_id}")
        case Restored(restore=restore):
            return _restore_key(restore.since)
        case RestoreCleared(since=since):
            return f"{_restore_key(since)}.cleared"
        case _:
            assert_never(event)


def _restore_key(since: datetime) -> str:
    # By time, so that of several restores the last one is folded last.
    return inbound_key(f"restore.{int(since.timestamp() * 1000):015d}")


def trail_key(event: ApprovalEvent, attempt: int = 0) -> str:
    """The key of an event of the audit trail.

    An event that can happen once to a call, or once in each attempt, has a key that admits no
    second one. Events that can repeat are numbered by their place in the trail.

    Args:
        event: the event, with its link if it can repeat.
        attempt: the attempt that was in doubt, for the answer to it.
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
        case DoubtVoted():
            return call_key(path, "word", attempt, event.link.number if event.link else 0)
        case Voted() | Withdrawn() | Reassigned() | Escalated() | NoticeSent():
            return call_key(path, "then", event.link.number if event.link else 0)
        case _:
            assert_never(event)
