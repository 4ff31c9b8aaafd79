"""One owner's time with one run, from its claim to its release."""

from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum, auto

from agent_continuations.core.backoff import next_backoff
from agent_continuations.core.effects import CallModel, PollJob, RunTool
from agent_continuations.core.events import ModelReplied, Polled, Suspended, ToolReturned
from agent_continuations.core.keys import call_entry_key, call_key, reply_key
from agent_continuations.core.path import parse_path, path_text
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import JournalEntry, RunHead, Status
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.executor import EffectExecutor
from agent_continuations.engine.in_flight import InFlight, InFlightEffect, has_intent
from agent_continuations.engine.next_wake import next_wake
from agent_continuations.engine.pending_writes import PendingWrites
from agent_continuations.engine.planning import plan_calls, validate_reply
from agent_continuations.engine.scheduler import EffectScheduler
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.errors import Fatal, Fenced, ModelUnavailable, Retryable
from agent_continuations.ports.limits import MAX_FRUITLESS_CLAIMS


class _Stop(Enum):
    """Why an owner begins nothing new."""

    CANCELLED = auto()
    FENCED = auto()
    PAUSED = auto()
    OUT_OF_TIME = auto()


class RunExecution:
    """One owner's time with one run: what it begins, what comes back, and how it leaves."""

    def __init__(
        self,
        context: EngineContext,
        head: RunHead,
        executor: EffectExecutor,
        deadline: datetime | None,
    ) -> None:
        self.context = context
        self.limits = context.limits
        self.run = RunUnitOfWork(context, head)
        self.in_flight = InFlight(executor, context.limits.workers)
        self.deadline = deadline
        self.stop: _Stop | None = None
        self.outcomes: list[ToolReturned | Suspended | Polled] = []
        self.scheduler = EffectScheduler(context, self.run, self.in_flight, deadline)
        self.model_backoff = head.model_pause
        self.look_up_at = context.clock()

    def run_to_rest(self) -> Status | None:
        """Advance the run as far as it goes; the status that it is left in, None if it was lost."""
        try:
            if self.run.head.stalls > 2 * MAX_FRUITLESS_CLAIMS:
                # Not even the load is survived: without this, it would be tried for ever.
                return self._park(f"{self.run.head.stalls} claims came to nothing")
            self.run.load()
            if self._makes_no_progress():
                return self._park(f"{MAX_FRUITLESS_CLAIMS} claims without progress")
            return self._work()
        except Fenced:
            return None
        except Fatal as error:
            return self._park(str(error))

    @property
    def has_abandoned_tools(self) -> bool:
        """Whether a tool is still running that this owner no longer waits for."""
        return self.in_flight.abandoned

    def _park(self, note: str) -> Status | None:
        """What is stored cannot be gone on from; a person has to look. Intents stay on record."""
        try:
            if not self.run.verify_ownership():
                return None
            self.run.pending = PendingWrites()
            status = Status.CANCELLED if self.run.head.cancelled else Status.PARKED
            return status if self.run.release(status, None, note) else None
        except Fenced:
            return None

    def _makes_no_progress(self) -> bool:
        if self.run.head.stalls < MAX_FRUITLESS_CLAIMS:
            return False
        if self.run.entry_count == self.run.head.registers:
            return True
        self.run.record_progress()
        return False

    def _work(self) -> Status | None:
        give_up_at = self._in(self.limits.store_retry_seconds)
        while True:
            try:
                status = self._step()
                if status or (self.stop is _Stop.FENCED and not self.in_flight):
                    return status
                give_up_at = self._in(self.limits.store_retry_seconds)
            except Fenced:
                self._fenced()
            except Retryable:
                in_hand = self.in_flight.recorded or self.outcomes
                if not in_hand or self.context.clock() >= give_up_at:
                    raise
                self.context.pause(1)

    def _step(self) -> Status | None:
        """Record what came back, begin what can be done, and wait; or leave, if nothing can."""
        self._refresh_stop_reason()
        self._record_outcomes()
        if not self.stop:
            self.scheduler.start_ready(self.model_backoff)
        if not self.in_flight:
            return self._release()
        if self.run.pending.staged and not self.stop:
            self.run.flush()
        self._collect()
        return None

    def _refresh_stop_reason(self) -> None:
        """Find out whether to stop."""
        if self.stop is _Stop.FENCED:
            self.look_up_at = self._in(self.limits.lease_renewal)  # it has nothing more to find out
            return
        self.look_up_at = self.run.refresh()
        if self.run.head.cancelled:
            self.stop = _Stop.CANCELLED
            self.run.pending.drop_questions()
        elif self.run.head.paused:
            self.stop = _Stop.PAUSED
            self.run.pending.drop_questions()
        elif self.stop is _Stop.PAUSED:
            self.stop = None
        elif self.deadline and self._in(self.limits.stop_margin) >= self.deadline:
            self.stop = _Stop.OUT_OF_TIME

    def _fenced(self) -> None:
        """The run is somebody else's, or was cancelled or paused: begin nothing, but record late
        outcomes.
        """
        if self.stop is _Stop.FENCED:
            return
        mine = self.run.verify_ownership()
        if mine and self.run.head.cancelled:
            self.stop = _Stop.CANCELLED
        else:
            self.stop = _Stop.PAUSED if mine and self.run.head.paused else _Stop.FENCED
        if self.stop is _Stop.FENCED and not (self.in_flight.recorded or self.outcomes):
            # An outcome that it stored before it knew of this has woken nobody. One that is still
            # to come will. Where the store does not answer, the run's due time must do.
            with suppress(Retryable):
                self.run.wake()

    def _in(self, seconds: float) -> datetime:
        return self.context.clock() + timedelta(seconds=seconds)

    # -- taking in what was done -----------------------------------------------------------------

    def _collect(self) -> None:
        """Wait until something has come back or it is time to look up, and take it in."""
        if self.stop in (_Stop.CANCELLED, _Stop.FENCED):
            self.in_flight.drop_unrecorded()
        if not self.in_flight:
            return
        wake_at = self.look_up_at
        if self.deadline:
            leave_at = self.deadline - timedelta(seconds=self.limits.abandon_margin)
            if self.context.clock() >= leave_at:
                self.in_flight.abandon_all()
                return
            wake_at = min(wake_at, leave_at)
        for finished in self.in_flight.wait_completed(
            (wake_at - self.context.clock()).total_seconds()
        ):
            if isinstance(finished.effect, CallModel):
                self._model_returned(finished.effect, finished)
            else:
                self._returned(finished.effect, finished.future.result())

    def _model_returned(self, effect: CallModel, finished: InFlightEffect) -> None:
        try:
            reply: Reply = finished.future.result()
        except ModelUnavailable as error:
            self._pause_model(error)
            return
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the run is told why
            self.scheduler.blocked[effect.path] = f"the model call failed: {error}"
            return
        if self.model_backoff and self.model_backoff.until <= self.context.clock():
            self.model_backoff = None
        frame = self.run.continuation.frame_at(effect.path)
        if self.stop is _Stop.FENCED or len(frame.turns) != effect.turn:
            return  # another owner's reply is on record
        agent = self.context.registry.find(frame.agent)
        if agent is None:
            self.scheduler.blocked[effect.path] = f"there is no agent named {frame.agent}"
            return
        mine = self.run.pending.reads_of(effect.path)
        reply = validate_reply(agent, frame, reply)
        event = ModelReplied(
            path=path_text(effect.path),
            turn=effect.turn,
            reply=reply,
            calls=plan_calls(agent, effect.path, reply, frame.turns),
            reads=mine,
            heard=effect.heard,
            at=self.context.clock(),
        )
        self.run.record(reply_key(effect.path, effect.turn), event)
        self.run.pending.drop_reads(mine)

    def _pause_model(self, error: ModelUnavailable) -> None:
        self.model_backoff = next_backoff(
            self.model_backoff,
            error,
            self.context.clock(),
            shortest=self.limits.model_retry,
            longest=self.limits.model_retry_longest,
        )

    def _returned(
        self, effect: RunTool | PollJob, event: ToolReturned | Suspended | Polled
    ) -> None:
        if has_intent(effect):
            self.outcomes.append(event)
        elif self.stop is _Stop.FENCED:
            return  # whoever has the run now will ask again
        elif isinstance(event, ToolReturned) and isinstance(effect, RunTool):
            self.run.stage_read(event)
        else:
            self.outcomes.append(event)

    def _record_outcomes(self) -> None:
        """Store what tools with an intent came to, and reads that no reply will carry."""
        while self.outcomes:
            event = self.outcomes[0]
            key = call_entry_key(event)
            if self.stop is _Stop.FENCED:
                self.run.deliver_late(JournalEntry(key, (event,)))
            else:
                self.run.record(key, event)
                if event.path in self.run.head.intents:
                    self.run.pending.settled.append(event.path)
            del self.outcomes[0]
        for read in list(self.run.pending.reads):
            path = parse_path(read.path)
            # A frame that has ended has no next reply; but its caller may reply at once, and what
            # that is made from must be on record before.
            if self.run.continuation.frame_at(path[:-1]).outcome:
                self.run.record(call_key(path, "outcome"), read)
                self.run.pending.drop_reads((read,))

    # -- leaving -----------------------------------------------------------------------------------

    def _release(self) -> Status | None:
        """Leave the run, if nothing has happened that this owner does not know; else None."""
        if self.stop is _Stop.FENCED:
            return None
        status, due, note = self._rest()
        if not self.run.release(status, due, note, self.model_backoff):
            self.run.load()
            return None
        if status is Status.READY:
            self.context.queue.resume(self.run.run_id)
        return status

    def _rest(self) -> tuple[Status, datetime | None, str | None]:
        now = self.context.clock()
        if self.stop is _Stop.CANCELLED:
            return Status.CANCELLED, None, None
        ended = self.run.continuation.outcome
        if ended:
            if ended.kind == "ok":
                return Status.COMPLETED, None, None
            return Status.FAILED, None, ended.content
        if self.stop is _Stop.PAUSED:
            return Status.SUSPENDED, None, None
        if self.stop is _Stop.OUT_OF_TIME:
            return Status.READY, now, None
        waits = next_wake(
            self.run.continuation,
            model_backoff=self.model_backoff,
            clock_skew=self.limits.clock_skew,
            blocked=self.scheduler.blocked,
        )
        note = "; ".join(self.scheduler.blocked.values()) or None
        if not waits.asked and not waits.times:
            return Status.PARKED, None, note
        return Status.SUSPENDED, waits.due, note
