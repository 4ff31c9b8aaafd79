"""Inbound data for runs after their start: messages, events, and outcomes of jobs and tools."""

from datetime import datetime
from typing import Any

from agent_continuations.core.base import storable
from agent_continuations.core.events import (
    Event,
    InboundEvent,
    MessageReceived,
    SignalReceived,
    ToolReturned,
)
from agent_continuations.core.inbound import Message, Signal
from agent_continuations.core.keys import call_key, inbound_entry_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path
from agent_continuations.core.run import JournalEntry, LoadedRun, Status
from agent_continuations.errors import Conflict, Invalid, KeyReused
from agent_continuations.services.inbound_checks import (
    begun_call,
    call_path,
    check_open,
    check_room,
    check_same_outcome,
    inbound_id,
    job_call,
    outcome_on_record,
    same_signal,
    stored_entry,
    valid_signal,
)
from agent_continuations.services.runs import MAX_INPUT_BYTES, RunService


class RunInbound:
    """Stores inbound messages, events and outcomes for the runs of one tenant."""

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
        check_room(loaded, len(loaded.continuation.messages), "messages")
        message = Message(message_id=inbound_id(key), text=text, sender=sender, at=self._clock())
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
        at: datetime | None = None,
    ) -> Signal:
        """Send an event to a run. The first call that waits for it takes it; an early event is
        kept.

        Args:
            run_id: the run.
            name: the event's name.
            payload: JSON for the call that waits.
            correlation: a call that waits with a correlation takes only events with the same one.
            key: idempotency key: the same key and event store one event.
            at: when the event was accepted, if that was earlier than now.

        Raises:
            NotFound: there is no such run for this tenant.
            Invalid: the name, the correlation or the payload is invalid.
            Conflict: the run has ended, or keeps too many events that no call has taken.
            KeyReused: the key was used for another event.
        """
        signal = valid_signal(
            name, payload, correlation=correlation, key=key, at=at or self._clock()
        )
        loaded = self._runs.look(run_id)
        if not _on_record(loaded, signal):
            check_room(loaded, len(loaded.continuation.signals), "events")
        return _same_signal(self._send_inbound(run_id, SignalReceived(signal=signal)), signal)

    def check_signal(
        self, run_id: str, name: str, payload: Any, *, correlation: str | None, key: str
    ) -> bool:
        """Whether an event is stored. Writes nothing; an event that `signal` would refuse now is
        refused with the same errors.
        """
        signal = valid_signal(name, payload, correlation=correlation, key=key, at=self._clock())
        loaded = self._runs.look(run_id)
        if _on_record(loaded, signal):
            return True
        check_open(loaded)
        check_room(loaded, len(loaded.continuation.signals), "events")
        return False

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
        at, now = job_call(self._runs.load(run_id), path), self._clock()
        return self._store_outcome(
            run_id, ToolReturned(path=path, outcome=storable(outcome), started_at=now, at=now), at
        )

    def check_complete(self, run_id: str, path: str, outcome: Outcome) -> bool:
        """Whether an outcome of a job is stored. Writes nothing; an outcome that `complete` would
        refuse now is refused with the same errors.
        """
        loaded = self._runs.load(run_id)
        if outcome_on_record(loaded, job_call(loaded, path), storable(outcome)):
            return True
        check_open(loaded)
        return False

    def settle(self, run_id: str, path: str, attempt: int, outcome: Outcome) -> Outcome:
        """Store the outcome of a tool's attempt that came after its execution had ended, or beside
        the execution that waits for it. The first outcome of a call stands.

        Args:
            run_id: the run.
            path: the call's path, as text.
            attempt: the number of the attempt, from 1.
            outcome: the attempt's outcome.

        Raises:
            NotFound: there is no such call, or it has not begun this attempt.
            Conflict: another outcome is stored already, the call waits for an outcome from another
                source, or the run has ended.
        """
        loaded, outcome = self._runs.load(run_id), storable(outcome)
        at = call_path(loaded, path)
        if outcome_on_record(loaded, at, outcome):
            return outcome
        begun = begun_call(loaded, at, attempt)
        event = ToolReturned(
            path=path,
            outcome=outcome,
            attempt=attempt,
            started_at=begun.intent.started_at if begun.intent else self._clock(),
            at=self._clock(),
        )
        return self._store_outcome(run_id, event, at)

    def _store_outcome(self, run_id: str, event: ToolReturned, at: Path) -> Outcome:
        entry = JournalEntry(call_key(at, "outcome"), (event,))
        stored = self._store.append_external(run_id, [entry], now=event.at)
        if stored is None:
            self._queue.resume(run_id)
        else:
            check_same_outcome(stored, event.path, event.outcome)
        return event.outcome


def _on_record(loaded: LoadedRun, signal: Signal) -> bool:
    """Whether an event is stored.

    Raises:
        KeyReused: another event is stored under its key.
    """
    stored = stored_entry(loaded, inbound_entry_key(SignalReceived(signal=signal)))
    if stored:
        _same_signal(stored.events[0], signal)
    return stored is not None


def _same_signal(stored: Event, signal: Signal) -> Signal:
    if not isinstance(stored, SignalReceived) or not same_signal(stored.signal, signal):
        raise KeyReused("this Idempotency-Key was used for another event")
    return stored.signal
