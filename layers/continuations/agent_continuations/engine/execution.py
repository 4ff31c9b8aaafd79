"""One execution of one run, from the claim of its lease to the release.

The life of an execution:

1. The runner has claimed the run: the head has a new epoch, and this execution holds the lease.
   Each write under the lease is refused once another execution has claimed the run (it is fenced).
2. Load: fold the journal into the continuation. If the last `MAX_FRUITLESS_CLAIMS` claims ended
   without a new journal entry, park the run, because it may crash every process that claims it.
3. Step, again and again: refresh the head and renew the lease, record the outcomes that have come
   back, start each effect that is ready, and wait until one completes. Model calls, tools and
   polls run in the executor; all writes happen in this thread.
4. A stop reason ends the starting of effects, but not the recording of outcomes: a tool with an
   intent may have changed the world. An execution that was fenced stores such an outcome without
   the lease, as an external entry that wakes the run.
5. With nothing in flight, release: commit the pending writes and leave the status and the time of
   the next wake in the head, in one transaction. If the head's `wake` has moved since the load, an
   external event has arrived; then nothing is released, and the execution loads and steps again.

A process may die between any two of these lines. The lease expires, another execution claims the
run and continues from the journal; pending writes and reads are recomputed.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from agent_continuations.core.backoff import next_backoff
from agent_continuations.core.effects import CallModel, PollJob, RunTool
from agent_continuations.core.events import Polled, Suspended, ToolReturned
from agent_continuations.core.keys import call_entry_key, call_key, reply_key
from agent_continuations.core.path import Path, parse_path
from agent_continuations.core.run import JournalEntry, RunHead, Status
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.executor import EffectExecutor
from agent_continuations.engine.in_flight import InFlight, InFlightEffect, has_intent
from agent_continuations.engine.pending_writes import PendingWrites
from agent_continuations.engine.planning import model_replied
from agent_continuations.engine.release_status import StopReason, release_status
from agent_continuations.engine.scheduler import EffectScheduler
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.errors import Fatal, Fenced, ModelUnavailable, Retryable
from agent_continuations.ports.limits import MAX_FRUITLESS_CLAIMS


class RunExecution:
    """One execution: starts effects, records their outcomes and releases the run.

    Args:
        head: the run's head as it was claimed.
        deadline: when this process will end; None if it has no deadline.
    """

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
        self.stop_reason: StopReason | None = None
        self.unrecorded_outcomes: list[ToolReturned | Suspended | Polled] = []
        self.scheduler = EffectScheduler(context, self.run, self.in_flight, deadline)
        self.model_backoff = head.model_pause
        self.refresh_at = context.clock()

    def execute(self) -> Status | None:
        """Advance the run until it ends or can only wait.

        Returns:
            The status that the run was left in; None if the lease was lost.

        Raises:
            Retryable: the store did not answer.
        """
        try:
            if self.run.head.stalls > 2 * MAX_FRUITLESS_CLAIMS:
                # Even the load crashes the process: without this check, claims would never end.
                return self._park(f"{self.run.head.stalls} claims came to nothing")
            self.run.load()
            if self._makes_no_progress():
                return self._park(f"{MAX_FRUITLESS_CLAIMS} claims without progress")
            return self._run_steps()
        except Fenced:
            return None
        except Fatal as error:
            return self._park(str(error))

    @property
    def has_abandoned_tools(self) -> bool:
        """Whether a tool still runs that this execution no longer waits for."""
        return self.in_flight.has_abandoned_tools

    def _park(self, note: str) -> Status | None:
        """Park the run until an operator redrives it. Pending writes are dropped, intents stay."""
        try:
            if not self.run.verify_lease():
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

    def _run_steps(self) -> Status | None:
        give_up_at = self._after(self.limits.store_retry_seconds)
        while True:
            try:
                status = self._step()
                if status or (self.stop_reason is StopReason.FENCED and not self.in_flight):
                    return status
                give_up_at = self._after(self.limits.store_retry_seconds)
            except Fenced:
                self._handle_fenced()
            except Retryable:
                has_unsaved_results = self.in_flight.has_intents or self.unrecorded_outcomes
                if not has_unsaved_results or self.context.clock() >= give_up_at:
                    raise
                self.context.pause(1)

    def _step(self) -> Status | None:
        """Record outcomes, start ready effects and wait for one; release if none is in flight."""
        self._refresh_stop_reason()
        self._record_outcomes()
        if not self.stop_reason:
            self.scheduler.start_ready(self.model_backoff)
        if not self.in_flight:
            return self._release()
        if self.run.pending.staged and not self.stop_reason:
            self.run.flush()
        self._collect()
        return None

    def _refresh_stop_reason(self) -> None:
        """Renew the lease if it is time, and read from the head whether to stop."""
        if self.stop_reason is StopReason.FENCED:
            # Another execution holds the lease, and the stop reasons in the head are for that one.
            self.refresh_at = self._after(self.limits.lease_renewal)
            return
        self.refresh_at = self.run.refresh()
        if self.run.head.cancelled:
            self.stop_reason = StopReason.CANCELLED
            self.run.pending.drop_questions()
        elif self.run.head.paused:
            self.stop_reason = StopReason.PAUSED
            self.run.pending.drop_questions()
        elif self.stop_reason is StopReason.PAUSED:
            self.stop_reason = None
        elif self.deadline and self._after(self.limits.stop_margin) >= self.deadline:
            self.stop_reason = StopReason.OUT_OF_TIME

    def _handle_fenced(self) -> None:
        """Set the stop reason after a refused write: cancelled, paused, or the lease is lost."""
        if self.stop_reason is StopReason.FENCED:
            return
        holds_lease = self.run.verify_lease()
        if holds_lease and self.run.head.cancelled:
            self.stop_reason = StopReason.CANCELLED
            return
        if holds_lease and self.run.head.paused:
            self.stop_reason = StopReason.PAUSED
            return
        self.stop_reason = StopReason.FENCED
        if not (self.in_flight.has_intents or self.unrecorded_outcomes):
            # An outcome that this execution stored after it lost the lease, but before it knew, has
            # not woken the run. An outcome that is still in flight will. If the store does not
            # answer, the run's due time wakes it.
            with suppress(Retryable):
                self.run.wake()

    def _after(self, seconds: float) -> datetime:
        return self.context.clock() + timedelta(seconds=seconds)

    # -- outcomes ----------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Wait until an effect completes or the next refresh is due, and process the results."""
        if self.stop_reason in (StopReason.CANCELLED, StopReason.FENCED):
            self.in_flight.drop_without_intent()
        if not self.in_flight:
            return
        wait_until = self.refresh_at
        if self.deadline:
            abandon_at = self.deadline - timedelta(seconds=self.limits.abandon_margin)
            if self.context.clock() >= abandon_at:
                self.in_flight.abandon_all()
                return
            wait_until = min(wait_until, abandon_at)
        seconds = (wait_until - self.context.clock()).total_seconds()
        interrupt: KeyboardInterrupt | None = None
        for finished in self.in_flight.wait_completed(seconds):
            self.run.log.completed(finished)
            try:
                if isinstance(finished.effect, CallModel):
                    self._model_returned(finished.effect, finished)
                else:
                    self._effect_returned(finished.effect, finished.future.result())
            except KeyboardInterrupt as error:  # it ends the process, after the results beside it
                interrupt = error
        if interrupt:
            self._record_outcomes()
            raise interrupt

    def _model_returned(self, effect: CallModel, finished: InFlightEffect) -> None:
        try:
            reply, profile = finished.future.result()
        except ModelUnavailable as error:
            self._back_off_model(effect.path, error)
            return
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - any adapter's error becomes the run's note
            self.scheduler.blocked[effect.path] = f"the model call failed: {error}"
            self.run.log.model_failed(self.run.continuation, effect.path, error)
            return
        if self.model_backoff and self.model_backoff.until <= self.context.clock():
            self.model_backoff = None
        frame = self.run.continuation.frame_at(effect.path)
        if self.stop_reason is StopReason.FENCED or len(frame.turns) != effect.turn:
            return  # another execution's reply is on record
        agent = self.context.registry.find(frame.agent)
        if agent is None:
            self.scheduler.blocked[effect.path] = f"there is no agent named {frame.agent}"
            return
        reads = self.run.pending.reads_of(effect.path)
        event = model_replied(agent, frame, effect, reply, reads, profile, self.context.clock())
        self.run.record(reply_key(effect.path, effect.turn), event)
        self.run.pending.drop_reads(reads)

    def _back_off_model(self, path: Path, error: ModelUnavailable) -> None:
        root, now = self.run.continuation, self.context.clock()
        shortest, longest = self.limits.model_retry, self.limits.model_retry_longest
        self.model_backoff = next_backoff(
            self.model_backoff, error, now, shortest=shortest, longest=longest
        )
        self.run.log.model_unavailable(root, path, self.model_backoff, now)

    def _effect_returned(
        self, effect: RunTool | PollJob, event: ToolReturned | Suspended | Polled
    ) -> None:
        must_record = has_intent(effect)
        if self.stop_reason is StopReason.FENCED and not must_record:
            return  # the current lease holder will run it again
        if isinstance(effect, RunTool) and isinstance(event, ToolReturned) and not must_record:
            self.run.stage_read(event)
        else:
            self.unrecorded_outcomes.append(event)

    def _record_outcomes(self) -> None:
        """Store the outcomes of effects, and the reads that no reply of their frame will carry."""
        while self.unrecorded_outcomes:
            event = self.unrecorded_outcomes[0]
            key = call_entry_key(event)
            if self.stop_reason is StopReason.FENCED:
                self.run.append_late_outcome(JournalEntry(key, (event,)))
            else:
                self.run.record(key, event)
                if event.path in self.run.head.intents:
                    self.run.pending.settled.append(event.path)
            del self.unrecorded_outcomes[0]
        for read in list(self.run.pending.reads):
            path = parse_path(read.path)
            # A frame that has ended has no next reply. Its caller may reply at once, though, and a
            # reply must only be made from what is on record.
            if self.run.continuation.frame_at(path[:-1]).outcome:
                self.run.record(call_key(path, "outcome"), read)
                self.run.pending.drop_reads((read,))

    # -- release -----------------------------------------------------------------------------------

    def _release(self) -> Status | None:
        """Release the run. None if it was not: the lease is lost, or an external event arrived."""
        if self.stop_reason is StopReason.FENCED:
            return None
        status, due, note = release_status(
            self.run.continuation,
            self.stop_reason,
            now=self.context.clock(),
            model_backoff=self.model_backoff,
            clock_skew=self.limits.clock_skew,
            blocked=self.scheduler.blocked,
        )
        if not self.run.release(status, due, note, self.model_backoff):
            self.run.load()
            return None
        if status is Status.READY:
            self.context.queue.resume(self.run.run_id)
        return status
