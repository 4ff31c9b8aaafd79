"""Commands that stop runs and let them continue: cancel, pause, resume, redrive."""

from agent_continuations.core.run import RunHead, Status
from agent_continuations.errors import Conflict, NotFound
from agent_continuations.services.runs import RunService


class RunControl:
    """Stops the runs of one tenant, and lets them continue."""

    def __init__(self, runs: RunService) -> None:
        self._runs = runs
        self._store = runs.store
        self._queue = runs.queue
        self._clock = runs.clock

    def cancel(self, run_id: str) -> RunHead:
        """Cancel a run: no new effect starts, and outcomes of running effects are still recorded.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it has ended in another way.
        """
        self._runs.head(run_id)
        head = self._store.wake(run_id, now=self._clock(), cancel=True)
        if head is None:
            raise NotFound(f"there is no run {run_id!r}")
        if head.status.ended and head.status is not Status.CANCELLED:
            raise Conflict(head.closed_reason)
        if not head.status.ended:
            self._queue.resume(run_id)
        return head

    def pause(self, run_id: str) -> RunHead:
        """Pause a run: no new effect starts until it is resumed. Decisions are still accepted.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it has ended, or is being cancelled.
        """
        return self._set_paused(run_id, paused=True)

    def resume(self, run_id: str) -> RunHead:
        """Resume a paused run; one that is not paused is only woken.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it has ended.
        """
        head = self._set_paused(run_id, paused=False)
        self._queue.resume(run_id)
        return head

    def redrive(self, run_id: str) -> RunHead:
        """Retry a run at once that is parked, blocked or backing off.

        Raises:
            NotFound: there is no such run for this tenant.
            Conflict: it is in none of these states.
        """
        before = self._runs.head(run_id)
        head = self._store.redrive(run_id, now=self._clock())
        if head is None:
            if before.status is Status.MOVED:
                raise Conflict(before.closed_reason)
            raise Conflict("the run is neither parked nor blocked")
        self._queue.resume(run_id)
        return head

    def _set_paused(self, run_id: str, *, paused: bool) -> RunHead:
        self._runs.head(run_id)
        head = self._store.pause(run_id, paused=paused, now=self._clock())
        if head is None or head.status.ended:
            raise Conflict(head.closed_reason if head else "the run is gone")
        if paused and not head.paused:
            raise Conflict("the run is being cancelled")
        return head
