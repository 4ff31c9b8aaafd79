"""What comes to a run from outside after its start: messages, events, and outcomes of jobs."""

from hashlib import sha256
from secrets import token_bytes
from typing import Any

from agent_continuations.core.continuation import Message, Signal
from agent_continuations.core.events import (
    Event,
    InboundEvent,
    MessageReceived,
    SignalReceived,
    ToolReturned,
)
from agent_continuations.core.ids import canonical_json, opaque_id
from agent_continuations.core.keys import call_key, inbound_entry_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import parse_path
from agent_continuations.core.plans import ToolPlan
from agent_continuations.core.run import JournalEntry, Status
from agent_continuations.core.waits import JobWait
from agent_continuations.core.waits.event import MAX_EVENT_NAME_CHARACTERS
from agent_continuations.errors import Conflict, Invalid, KeyReused, NotFound
from agent_continuations.services.runs import MAX_INPUT_BYTES, RunService

MAX_UNHEARD = 100


class RunInbound:
    """Stores what comes to the runs of one tenant from outside."""

    def __init__(self, runs: RunService) -> None:
        self._runs = runs
        self._store = runs.store
        self._queue = runs.queue
        self._clock = runs.clock

    def message(
        self, run_id: str, text: str, *, key: str | None = None, sender: str | None = None
    ) -> Message:
        """Say something to a run. Its model hears it with its next turn; a run that is completed
        goes on with it.

        Args:
            key: with the same one again, it is the same message.
            sender: who says it, as far as that is known.

        Raises:
            NotFound: there is no such run for this tenant.
            Invalid: the text is empty or too large.
            Conflict: the run has ended in another way, was started by another run and has given
                its answer, or has not heard what was said to it before.
            KeyReused: the key came with another text.
        """
        if not text.strip() or len(text.encode()) > MAX_INPUT_BYTES:
            raise Invalid(
                "invalid message", [("content", f"must have 1 to {MAX_INPUT_BYTES} bytes")]
            )
        loaded = self._runs.load(run_id)
        if loaded.head.status is Status.COMPLETED and loaded.head.parent:
            raise Conflict("the run has already returned its result to the run that started it")
        if len(loaded.continuation.messages) >= MAX_UNHEARD:
            raise Conflict(f"{MAX_UNHEARD} messages are already waiting")
        message = Message(message_id=_id(key), text=text, sender=sender, at=self._clock())
        stands = self._send_inbound(run_id, MessageReceived(message=message), reopen=True)
        if not isinstance(stands, MessageReceived) or stands.message.text != text:
            raise KeyReused("this Idempotency-Key was used for another message")
        return stands.message

    def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        correlation: str | None = None,
        key: str | None = None,
    ) -> Signal:
        """Tell a run of an event. The first call that waits for it takes it; one that comes early
        is kept.

        Args:
            key: with the same one again, it is the same event.

        Raises:
            NotFound: there is no such run for this tenant.
            Invalid: the name or the payload does not fit.
            Conflict: the run has ended, or keeps too many events that nothing has waited for.
            KeyReused: the key came with another event.
        """
        for field, text in (("name", name), ("correlation", correlation)):
            if text is not None and not 1 <= len(text) <= MAX_EVENT_NAME_CHARACTERS:
                raise Invalid(
                    "invalid event",
                    [(field, f"must have 1 to {MAX_EVENT_NAME_CHARACTERS} characters")],
                )
        if len(canonical_json(payload).encode()) > MAX_INPUT_BYTES:
            raise Invalid("invalid event", [("payload", f"over {MAX_INPUT_BYTES} bytes")])
        if len(self._runs.load(run_id).continuation.signals) >= MAX_UNHEARD:
            raise Conflict(f"{MAX_UNHEARD} events are already waiting")
        signal = Signal(
            event_id=_id(key), name=name, correlation=correlation, payload=payload, at=self._clock()
        )
        stands = self._send_inbound(run_id, SignalReceived(signal=signal))
        if not isinstance(stands, SignalReceived) or not _same_signal(stands.signal, signal):
            raise KeyReused("this Idempotency-Key was used for another event")
        return stands.signal

    def _send_inbound(self, run_id: str, event: InboundEvent, *, reopen: bool = False) -> Event:
        """Store what came from outside; what stands then at its place."""
        register = JournalEntry(inbound_entry_key(event), (event,))
        stored = self._store.append_external(run_id, [register], reopen=reopen, now=self._clock())
        if stored is None:
            self._queue.resume(run_id)
        return (stored or register).events[0]

    def complete(self, run_id: str, path: str, outcome: Outcome) -> Outcome:
        """Tell the outcome of what a call has started elsewhere. The first one stands.

        Raises:
            NotFound: there is no such call, or it has started nothing.
            Conflict: its outcome is known already, or the run has ended.
        """
        loaded = self._runs.load(run_id)
        try:
            at = parse_path(path)
            call = loaded.continuation.call_at(at)
        except (ValueError, LookupError):
            raise NotFound(f"there is no call at {path!r}") from None
        # It may call back before the tool has returned, but not before the tool may run.
        other = call.wait is not None and not isinstance(call.wait, JobWait)
        asked = call.gate is not None and call.decision is None
        if not isinstance(call.plan, ToolPlan) or other or asked:
            raise NotFound(f"the call at {path!r} is not waiting for a job")
        now = self._clock()
        event = ToolReturned(path=path, outcome=outcome, started_at=now, at=now)
        stored = self._store.append_external(
            run_id, [JournalEntry(call_key(at, "outcome"), (event,))], now=now
        )
        if stored is None:
            self._queue.resume(run_id)
            return outcome
        stands = next((e for e in stored.events if getattr(e, "path", None) == path), None)
        if isinstance(stands, ToolReturned) and stands.outcome == outcome:
            return outcome
        raise Conflict("the outcome of this call is already known")


def _id(key: str | None) -> str:
    """What tells one thing that came from outside from another; the same for the same key."""
    return opaque_id(sha256(key.encode()).digest()[:15] if key else token_bytes(15))


def _same_signal(one: Signal, other: Signal) -> bool:
    return (one.name, one.correlation, canonical_json(one.payload)) == (
        other.name,
        other.correlation,
        canonical_json(other.payload),
    )
