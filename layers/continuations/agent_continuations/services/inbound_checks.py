"""Checks of inbound data against a loaded run. They write nothing."""

from datetime import datetime
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from agent_continuations.core.base import storable
from agent_continuations.core.continuation import Call
from agent_continuations.core.events import ToolReturned
from agent_continuations.core.ids import canonical_json, opaque_id
from agent_continuations.core.inbound import Signal
from agent_continuations.core.keys import call_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, parse_path, path_text
from agent_continuations.core.plans import ToolPlan
from agent_continuations.core.run import JournalEntry, LoadedRun
from agent_continuations.core.waits import JobWait
from agent_continuations.core.waits.event import MAX_EVENT_NAME_CHARACTERS
from agent_continuations.errors import Conflict, Invalid, NotFound, Retryable
from agent_continuations.services.runs import MAX_INPUT_BYTES, UNREADABLE_SECONDS

MAX_PENDING_INBOUND = 100


def valid_signal(
    name: str, payload: Any, *, correlation: str | None, key: str | None, at: datetime
) -> Signal:
    """A signal as it is stored.

    Raises:
        Invalid: the name, the correlation or the payload is invalid.
    """
    name, correlation, payload = storable((name, correlation, payload))
    for field, text in (("name", name), ("correlation", correlation)):
        if text is not None and not 1 <= len(text) <= MAX_EVENT_NAME_CHARACTERS:
            raise Invalid(
                "invalid event",
                [(field, f"must have 1 to {MAX_EVENT_NAME_CHARACTERS} characters")],
            )
    try:
        size = len(canonical_json(payload).encode())
    except (ValueError, RecursionError):
        why = "must be a JSON value that can be written again"
        raise Invalid("invalid event", [("payload", why)]) from None
    if size > MAX_INPUT_BYTES:
        raise Invalid("invalid event", [("payload", f"over {MAX_INPUT_BYTES} bytes")])
    return Signal(
        event_id=inbound_id(key), name=name, correlation=correlation, payload=payload, at=at
    )


def check_room(loaded: LoadedRun, waiting: int, noun: str) -> None:
    """Check that a run keeps one more message or event.

    Raises:
        Conflict: too many are waiting already.
        Retryable: perhaps too many are, but the run cannot be read as a whole.
    """
    if waiting < MAX_PENDING_INBOUND:
        return
    if loaded.snapshot.unreadable:
        raise Retryable("the run cannot be read now", UNREADABLE_SECONDS)
    raise Conflict(f"{MAX_PENDING_INBOUND} {noun} are already waiting")


def check_open(loaded: LoadedRun) -> None:
    """Check that a run takes input.

    Raises:
        Conflict: it has ended.
    """
    if loaded.head.status.ended:
        raise Conflict(loaded.head.closed_reason)


def call_path(loaded: LoadedRun, path: str) -> Path:
    """The path of a call, read from its text.

    Raises:
        NotFound: there is no such call.
    """
    try:
        at = parse_path(path)
        loaded.continuation.call_at(at)
    except (ValueError, LookupError):
        raise NotFound(f"there is no call at {path!r}") from None
    return at


def job_call(loaded: LoadedRun, path: str) -> Path:
    """The path of a call that waits for a job, or that may still start one.

    Raises:
        NotFound: there is no such call, or it does not wait for a job.
    """
    at = call_path(loaded, path)
    call = loaded.continuation.call_at(at)
    # The job may call back before the tool has returned, but not before the call is approved.
    waits_for_other = call.wait is not None and not isinstance(call.wait, JobWait)
    if not isinstance(call.plan, ToolPlan) or waits_for_other or _undecided(call):
        raise NotFound(f"the call at {path!r} is not waiting for a job")
    return at


def begun_call(loaded: LoadedRun, at: Path, attempt: int) -> Call:
    """A call that has begun this attempt, and perhaps later ones.

    Raises:
        NotFound: this attempt was not begun.
        Conflict: the call waits for an outcome from another source.
    """
    call, path = loaded.continuation.call_at(at), path_text(at)
    begun = max(call.attempts, call.intent.attempt if call.intent else 0)
    if call.wait is not None:
        raise Conflict(f"the call at {path!r} waits for another outcome")
    if not isinstance(call.plan, ToolPlan) or _undecided(call) or not 1 <= attempt <= begun:
        raise NotFound(f"attempt {attempt} of the call at {path!r} was not begun")
    return call


def _undecided(call: Call) -> bool:
    return call.gate is not None and call.decision is None


def stored_entry(loaded: LoadedRun, key: str) -> JournalEntry | None:
    """The entry that is stored at a key of the journal; None if there is none."""
    return next((entry for entry in loaded.snapshot.entries if entry.key == key), None)


def outcome_on_record(loaded: LoadedRun, at: Path, outcome: Outcome) -> bool:
    """Whether this outcome of a call is stored.

    Raises:
        Conflict: another one is.
    """
    stored = stored_entry(loaded, call_key(at, "outcome"))
    if stored:
        check_same_outcome(stored, path_text(at), outcome)
    return stored is not None


def check_same_outcome(stored: JournalEntry, path: str, outcome: Outcome) -> None:
    """Check that the outcome on record is this one.

    Raises:
        Conflict: it is another one.
    """
    event = next((each for each in stored.events if getattr(each, "path", None) == path), None)
    if not isinstance(event, ToolReturned) or event.outcome != outcome:
        raise Conflict("the outcome of this call is already known")


def same_signal(one: Signal, other: Signal) -> bool:
    """Whether two signals have the same content."""
    return (one.name, one.correlation, canonical_json(one.payload)) == (
        other.name,
        other.correlation,
        canonical_json(other.payload),
    )


def inbound_id(key: str | None) -> str:
    """The id of a message or an event: derived from its idempotency key, or random."""
    return opaque_id(
        sha256(key.encode("utf-8", "surrogatepass")).digest()[:15] if key else token_bytes(15)
    )
