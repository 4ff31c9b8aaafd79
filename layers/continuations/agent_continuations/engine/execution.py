"""One execution of one run, from the claim of its lease to the release.

The life of an execution:

1. The runner has claimed the run: the head has a new epoch, and this execution holds the lease.
   Each write under the lease is refused once another execution has claimed the run (it is fenced).
2. Load: fold the journal into the continuation. If the last `MAX_FRUITLESS` executions ended
   without a new journal entry, park the run, because it may crash every process that has it.
3. Step, again and again: refresh the head and renew the lease, record the results that have come
   back, start each effect that is ready, and wait until one completes. Model calls, tools and
   polls run in the executor; all writes happen in this thread.
4. A stop reason ends the starting of effects, but not the recording of outcomes: a tool with an
   intent may have changed the world. An execution that was fenced, or that can no longer read the
   run, stores such an outcome without the lease, as an external entry that wakes the run.
5. With nothing in flight, release: commit the pending writes and leave the status and the time of
   the next wake in the head, in one transaction. If the head's `wake` has moved since the load, an
   external event has arrived; then nothing is released, and the execution loads and steps again.

A process may die between any two of these lines. The lease expires, another execution claims the
run and continues from the journal; pending writes and reads are recomputed.

A service that does not answer is no fault of the run. While an outcome is in hand, the execution
tries again for as long as its process may live; otherwise it hands the run back, and the sweeper
wakes it in a minute. Such an execution does not count as fruitless.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from agent_continuations.authoring.result_text import error_text
from agent_continuations.core.run import RunHead, Status
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.executor import EffectExecutor
from agent_continuations.engine.in_flight import InFlight
from agent_continuations.engine.pending_writes import PendingWrites
from agent_continuations.engine.release_status import ReleaseStatus, StopReason, release_status
from agent_continuations.engine.results import EffectResults
from agent_continuations.engine.scheduler import EffectScheduler
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.errors import Fatal, Fenced, NewerForm, Retryable
from agent_continuations.ports.limits import MAX_FRUITLESS

HAND_BACK_SECONDS = 60
PARK_TRIES, HAND_BACK_TRIES, LONGEST_PAUSE_SECONDS = 4, 10, 30.0


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
        self.unreadable: Fatal | NewerForm | None = None
        self.scheduler = EffectScheduler(context, self.run, self.in_flight, deadline)
        self.results = EffectResults(context, self.run, self.scheduler)
        self.refresh_at = context.clock()

    def execute(self) -> Status | None:
        """Advance the run until it ends or can only wait.

        Returns:
            The status that the run was left in; None if the lease was lost.

        Raises:
            Retryable: a service did not answer. The run is handed back.
        """
        try:
            head = self.run.head
            if head.lost_execution:
                head = self.run.head = self.context.store.count_stall(head)
            # Even the load may crash the process: without this check, claims would never end.
            most = MAX_FRUITLESS if head.cancelled else 2 * MAX_FRUITLESS
            if head.stalls >= most:
                return self._park(self._fruitless(head.stalls))
            self.run.load()
            if self._makes_no_progress():
                return self._park(self._fruitless(self.run.head.stalls))
            return self._run_steps()
        except Fenced:
            return None
        except Fatal as error:
            return self._park(str(error))
        except NewerForm as error:
            self._hand_back(str(error), counted=False)
            return Status.READY
        except Retryable as error:
            self._hand_back(str(error), counted=False)
            raise
        except Exception as error:
            self._hand_back(error_text(error), counted=True)
            raise

    @property
    def has_abandoned_tools(self) -> bool:
        """Whether a tool still runs that this execution no longer waits for."""
        return self.in_flight.has_abandoned_tools

    def _fruitless(self, executions: int) -> str:
        """The note of a run that is parked after so many fruitless executions."""
        why = f": {self.run.head.note}" if self.run.head.note else ""
        return f"{executions} executions without progress{why}"

    def _park(self, note: str) -> Status | None:
        """Park the run until an operator redrives it. Pending writes are dropped, intents stay."""
        with suppress(Fenced):
            for _ in range(PARK_TRIES):  # what arrives meanwhile moves the head's `wake`
                if not self.run.verify_lease():
                    return None
                self.run.pending = PendingWrites()
                status = Status.CANCELLED if self.run.head.cancelled else Status.PARKED
                if self.run.release(ReleaseStatus(status, note=note)):
                    return status
        return None

    def _hand_back(self, note: str, *, counted: bool) -> None:
        """Give up the lease, so that the run is claimed again soon, if the store answers."""
        for tries in range(HAND_BACK_TRIES):
            due = self._after(HAND_BACK_SECONDS)
            try:
                self.run.hand_back(due, note, counted=counted)
            except Retryable:
                if self.deadline and self._after(self.limits.abandon_margin) >= self.deadline:
                    return
                self.context.pause(min(2.0**tries, LONGEST_PAUSE_SECONDS))
            except (Fenced, Fatal):
                return
            else:
                return

    def _makes_no_progress(self) -> bool:
        if self.run.head.stalls < MAX_FRUITLESS:
            return False
        if self.run.entry_count == self.run.head.registers:
            return True
        self.run.record_progress()
        return False

    def _run_steps(self) -> Status | None:
        failing_since: datetime | None = None
        refused = False
        while True:
            try:
                if refused:
                    self._handle_fenced()
                    refused = False
                status = self._step()
                if status or (self.stop_reason is StopReason.FENCED and not self.in_flight):
                    return status
                failing_since = None
            except Fenced:
                refused = True
            except (Fatal, NewerForm) as error:
                if self.unreadable or not self._has_outcomes:
                    raise
                self.stop_reason, self.unreadable = StopReason.UNREADABLE, error
            except Retryable:
                failing_since = failing_since or self.context.clock()
                if self.context.clock() >= self._give_up_at(failing_since):
                    raise
                self.context.pause(1)

    @property
    def _has_outcomes(self) -> bool:
        """Whether a tool that may have changed the world runs, or has an outcome to store."""
        return self.in_flight.has_intents or self.results.has_outcomes

    def _give_up_at(self, failing_since: datetime) -> datetime:
        """Until when to try again; an outcome, or a doubt to avoid, is worth all the time left."""
        if self._has_outcomes or self.run.unstarted_intents:
            if self.deadline:
                return self.deadline - timedelta(seconds=self.limits.abandon_margin)
            return failing_since + timedelta(seconds=self.limits.default_tool_timeout)
        in_hand = self.in_flight or self.results
        seconds = self.limits.store_retry_seconds if in_hand else 0
        return failing_since + timedelta(seconds=seconds)

    def _step(self) -> Status | None:
        """Record results, start ready effects and wait for one; release if none is in flight."""
        self._refresh_stop_reason()
        self.results.record_outcomes(late=not self._is_leased)
        if self._is_leased:
            self.results.record_replies()
            self.run.withdraw_intents()
        if not self.stop_reason:
            self.stop_reason = self.scheduler.start_ready(self.results.model_backoff)
        if not self.in_flight:
            return self._release()
        if self.run.pending.staged and not self.stop_reason:
            self.run.flush()
        self._collect()
        return None

    @property
    def _is_leased(self) -> bool:
        """Whether writes under the lease are still possible."""
        return self.stop_reason not in (StopReason.FENCED, StopReason.UNREADABLE)

    def _refresh_stop_reason(self) -> None:
        """Renew the lease if it is time, and read from the head whether to stop."""
        if not self._is_leased:
            # Another execution holds the lease, or will, and the head's stop reasons are for it.
            self.refresh_at = self._after(self.limits.lease_renewal)
            self.results.drop_replies()
            return
        self.refresh_at = self.run.refresh()
        if self.run.head.cancelled:
            self.stop_reason = StopReason.CANCELLED
            self.run.pending.drop_questions()
        elif self.run.head.paused:
            self.stop_reason = StopReason.PAUSED
            self.run.pending.drop_questions()
        elif self.deadline and self._after(self.limits.stop_margin) >= self.deadline:
            self.stop_reason = StopReason.OUT_OF_TIME
        elif self.stop_reason is StopReason.PAUSED:
            self.stop_reason = None

    def _handle_fenced(self) -> None:
        """Set the stop reason after a refused write: cancelled, paused, or the lease is lost."""
        if not self._is_leased:
            return
        holds_lease = self.run.verify_lease()
        if holds_lease and self.run.head.cancelled:
            self.stop_reason = StopReason.CANCELLED
            return
        if holds_lease and self.run.head.paused:
            self.stop_reason = StopReason.PAUSED
            return
        self.stop_reason = StopReason.FENCED
        if not self._has_outcomes:
            # An outcome that this execution stored after it lost the lease, but before it knew, has
            # not woken the run. An outcome that is still in flight will. If the store does not
            # answer, the run's due time wakes it.
            with suppress(Retryable):
                self.run.wake()

    def _after(self, seconds: float) -> datetime:
        return self.context.clock() + timedelta(seconds=seconds)

    def _collect(self) -> None:
        """Wait until an effect completes or the next refresh is due, and take the results."""
        if self.stop_reason is StopReason.CANCELLED or not self._is_leased:
            self.in_flight.drop_without_intent()
        if not self.in_flight:
            return
        wait_until = self.refresh_at
        if self.deadline:
            abandon_at = self.deadline - timedelta(seconds=self.limits.abandon_margin)
            if self.context.clock() >= abandon_at:
                self.results.add(self.in_flight.completed(), leased=self._is_leased)
                self.in_flight.abandon_all()
                return
            wait_until = min(wait_until, abandon_at)
        seconds = (wait_until - self.context.clock()).total_seconds()
        self.results.add(self.in_flight.wait_completed(seconds), leased=self._is_leased)

    def _release(self) -> Status | None:
        """Release the run. None if it was not: the lease is lost, or an external event arrived."""
        if self.unreadable:
            raise self.unreadable
        if self.stop_reason is StopReason.FENCED:
            return None
        head, now = self.run.head, self.context.clock()
        released = release_status(
            self.run.continuation,
            self.stop_reason,
            now=now,
            model_backoff=self.results.model_backoff,
            limits=self.limits,
            blocked=self.scheduler.blocked,
            obstacle=head.obstacle,
        )
        if not self.run.release(released, self.results.model_backoff):
            self.run.load()
            return None
        if released.status is Status.READY:
            self.context.queue.resume(self.run.run_id)
        self._tell_of_obstacle(released, now)
        return released.status

    def _tell_of_obstacle(self, released: ReleaseStatus, now: datetime) -> None:
        blocked = released.obstacle
        if blocked and (now - blocked.since).total_seconds() >= self.limits.blocked_alarm:
            self.run.log.blocked(blocked, released.note)
            self.context.on_blocked()
