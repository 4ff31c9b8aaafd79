"""Those who make model calls and run tools, while the owner of a run stays its only writer."""

from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class EffectExecutor(Protocol):
    """Does work at the side, each piece by itself."""

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Have a piece of work done."""

    def wait(self, begun: Collection["Future[Any]"], seconds: float) -> None:
        """Until one of these is done, or so much time has passed."""

    def shutdown(self) -> None:
        """Begin nothing more; do not wait for what was begun."""


class ThreadExecutor:
    """A thread for each piece of work."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="effect")

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        return self._pool.submit(work)

    def wait(self, begun: Collection["Future[Any]"], seconds: float) -> None:
        wait(begun, timeout=seconds, return_when=FIRST_COMPLETED)

    def shutdown(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
