"""Inbound data for runs after their start: messages, events, and outcomes of jobs."""

from hashlib import sha256
from secrets import token_bytes
from typing import Any

from agent_continuations.core.base import storable
from agent_continuations.core.events import (
    Event,
    InboundEvent,
    MessageReceived,
    SignalReceived,
    ToolReturned,
)
from agent_continuations.core.ids import canonical_json, opaque_id
from agent_continuations.core.inbound import Message, Signal
from agent_continuations.core.keys import call_key, inbound_entry_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import parse_path
from agent_continuations.core.plans import ToolPlan
from agent_continuations.core.run import JournalEntry, LoadedRun, Status
from agent_continuations.core.waits import JobWait
from agent_continuations.core.waits.event import MAX_EVENT_NAME_CHARACTERS
from agent_continuations.errors import Conflict, Invalid, KeyReused, NotFound, Retryable
from agent_continuations.services.runs import MAX_INPUT_BYTES, UNREADABLE_SECONDS, RunService

MAX_PENDING_INBOUND = 100


class RunInbound:
    """Stores inbound messages, events and job outcomes for the runs of one tenant."""

    def __init__(self, runs: RunService) -> None:
        self._runs = runs
        self._store = runs.store
        self._queue = runs.queue
        self._clock = runs.clock

    def message(
        self, run_id: str, text: str, *, key: str | None = None, sender: str | None = None
    ) -> Message:
        """Send a message to a run. The run's next model turn includes it; a completed run continues
        with it.

        Args:
            run_id: the run.
            text: the message.
            key: idempotency key: the same key and text store one message.
            sender: the sender's name, if it is known.

        Raises:
            NotFound: there is no such run for this tenant.
            Invalid: the text is empty or too large.
            Conflict: the run has ended without completing, has already returned its result to the
                run that started it, or has too many messages that no turn includes yet.
            KeyReused: the key was used for another text.
        """
        text, sender = storable(text), storable(sender)
        if not text.strip() or len(text.encode()) > MAX_INPUT_BYTES:
            raise Invalid(
                "invalid message", [("content", f"must have 1 to {MAX_INPUT_BYTES} bytes")]
            )
        loaded = self._runs.look(run_id)
        if loaded.head.status is Status.COMPLETED and loaded.head.parent:
            raise Conflict("the run has already returned its result to the run that started it")
        _check_room(loaded, len(loaded.continuation.messages), "messages")
        message = Message(message_id=_id(key), text=text, sender=sender, at=self._clock())
        # A child run may end right now: then its result is with its parent, and it stays closed.
        reopen = loaded.head.parent is None
        stored_event = self._send_inbound(run_id, MessageReceived(message=message), reopen=reopen)
        if not isinstance(stored_event, MessageReceived) or stored_event.message.text != text:
            raise KeyReused("this Idempotency-Key was used for another message")
        return stored_event.message

    def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        correlation: str | None = None,
        key: str | None = None,
    ) -> Signal:
        """Send an event to a run. The first call that waits for it takes it; an early event is
        kept.

        Args:
            run_id: the run.
            name: the event's name.
            payload: JSON for the call that waits.
            correlation: a call that waits with a correlation takes only events with the same one.
            key: idempotency key: the same key and event store one event.

        Raises:
            NotFound: there is no such run for this tenant.
            Invalid: the name, the correlation or the payload is invalid.
            Conflict: the run has ended, or keeps too many events that no call has taken.
            KeyReused: the key was used for another event.
        """
        name, correlation, payload = storable((name, correlation, payload))
        for field, text in (("name", name), ("correlation", correlation)):
            if text is not None and not 1 <= len(text) <= MAX_EVENT_NAME_CHARACTERS:
                raise Invalid(
                    "invalid event",
                    [(field, f"must have 1 to {MAX_EVENT_NAME_CHARACTERS} characters")],
                )
        if len(canonical_json(payload).encode()) > MAX_INPUT_BYTES:
            raise Invalid("invalid event", [("payload", f"over {MAX_INPUT_BYTES} bytes")])
        loaded = self._runs.look(run_id)
        _check_room(loaded, len(loaded.continuation.signals), "events")
        signal = Signal(
            event_id=_id(key), name=name, correlation=correlation, payload=payload, at=self._clock()
        )
        stored_event = self._send_inbound(run_id, SignalReceived(signal=signal))
        if not isinstance(stored_event, SignalReceived) or not _same_signal(
            stored_event.signal, signal
        ):
            raise KeyReused("this Idempotency-Key was used for another event")
        return stored_event.signal

    def _send_inbound(self, run_id: str, event: InboundEvent, *, reopen: bool = False) -> Event:
        """Store an inbound event. Returns the stored event, which is an earlier one if its key was
        used before.
        """
        entry = JournalEntry(inbound_entry_key(event), (event,))
        stored = self._store.append_external(run_id, [entry], reopen=reopen, now=self._clock())
        if stored is None:
            self._queue.resume(run_id)
        return (stored or entry).events[0]

    def complete(self, run_id: str, path: str, outcome: Outcome) -> Outcome:
        """Store the outcome of the job that a call has started. The first outcome stands.

        Args:
            run_id: the run.
            path: the call's path, as text.
            outcome: the job's outcome.

        Raises:
            NotFound: there is no such call, or it does not wait for a job.
            Conflict: another outcome is stored already, or the run has ended.
        """
        loaded = self._runs.load(run_id)
        try:
            at = parse_path(path)
            call = loaded.continuation.call_at(at)
        except (ValueError, LookupError):
            raise NotFound(f"there is no call at {path!r}") from None
        # The job may call back before the tool has returned, but not before the call is approved.
        waits_for_other = call.wait is not None and not isinstance(call.wait, JobWait)
        undecided = call.gate is not None and call.decision is None
        if not isinstance(call.plan, ToolPlan) or waits_for_other or undecided:
            raise NotFound(f"the call at {path!r} is not waiting for a job")
        now, outcome = self._clock(), storable(outcome)
        event = ToolReturned(path=path, outcome=outcome, started_at=now, at=now)
        stored = self._store.append_external(
            run_id, [JournalEntry(call_key(at, "outcome"), (event,))], now=now
        )
        if stored is None:
            self._queue.resume(run_id)
            return outcome
        stored_event = next((e for e in stored.events if getattr(e, "path", None) == path), None)
        if isinstance(stored_event, ToolReturned) and stored_event.outcome == outcome:
            return outcome
        raise Conflict("the outcome of this call is already known")


def _check_room(loaded: LoadedRun, waiting: int, noun: str) -> None:
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


def _id(key: str | None) -> str:
    """The id of a message or an event: derived from its idempotency key, or random."""
    return opaque_id(
        sha256(key.encode("utf-8", "surrogatepass")).digest()[:15] if key else token_bytes(15)
    )


def _same_signal(one: Signal, other: Signal) -> bool:
    return (one.name, one.correlation, canonical_json(one.payload)) == (
        other.name,
        other.correlation,
        canonical_json(other.payload),
    )
