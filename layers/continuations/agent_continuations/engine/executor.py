"""The executor for model calls, tools and polls. Only the calling thread writes to the store."""

from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class EffectExecutor(Protocol):
    """Runs pieces of work concurrently."""

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Start a piece of work."""

    def wait(self, futures: Collection["Future[Any]"], seconds: float) -> None:
        """Wait until one of these is done, but at most for so many seconds."""

    def shutdown(self) -> None:
        """Start nothing more, and do not wait for running work."""


class ThreadExecutor:
    """Runs each piece of work in a thread of its own, in a copy of the caller's context."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="effect")

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        return self._pool.submit(copy_context().run, work)

    def wait(self, futures: Collection["Future[Any]"], seconds: float) -> None:
        wait(futures, timeout=seconds, return_when=FIRST_COMPLETED)

    def shutdown(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
