"""Executors whose execution looks at its run when the test wants it to."""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_all
from threading import Semaphore
from typing import Any, TypeVar

from agent_continuations.engine.executor import ThreadExecutor

Answer = TypeVar("Answer")


class ImpatientExecutor(ThreadExecutor):
    """Threads; the execution looks at the run again and again while they work."""

    def __init__(self) -> None:
        super().__init__(8)
        self._waits = Semaphore(0)

    def wait(self, futures: Collection["Future[Any]"], seconds: float) -> None:
        self._waits.release()
        super().wait(futures, min(seconds, 0.01))

    def until_looked(self) -> None:
        """Wait, as a piece of work, until the execution has looked at the run."""
        while self._waits.acquire(blocking=False):
            pass
        # Between the first two waits that begin from now on the execution has looked.
        assert all(self._waits.acquire(timeout=20) for _ in range(2))


class PatientExecutor(ThreadExecutor):
    """Threads; the execution goes on when all of them are done."""

    def wait(self, futures: Collection["Future[Any]"], seconds: float) -> None:
        wait_for_all(futures, timeout=max(seconds, 20))


class OneAtATime:
    """Does one piece of work whenever the execution waits, or when told to, in their order."""

    def __init__(self) -> None:
        self._work: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, work: Callable[[], Answer]) -> "Future[Answer]":
        future: Future[Answer] = Future()
        self._work.append((future, work))
        return future

    def wait(self, futures: Collection["Future[Any]"], seconds: float) -> None:
        del futures, seconds
        self.do_one()

    def do_one(self) -> None:
        if self._work:
            future, work = self._work.pop(0)
            future.set_result(work())

    def shutdown(self) -> None:
        self._work.clear()
