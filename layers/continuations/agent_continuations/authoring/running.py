"""Running of authors' functions: sync ones here, async ones on one event loop for the process.

The loop lives as long as the process, so that what async code keeps between calls works: locks,
queues, pooled connections, background tasks.
"""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from itertools import islice
from threading import Lock, Thread, current_thread
from typing import Any

MAX_ITEMS = 10_000
MAX_DEPTH = 32


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="tools' loop", daemon=True)
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether the caller runs on this loop, and would wait for itself."""
        return current_thread() is self._thread

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine to its end, in a copy of the caller's context."""
        value, error = asyncio.run_coroutine_threadsafe(_caught(work), self._loop).result()
        if error is not None:
            raise error
        return value


_loop: _Loop | None = None
_lock = Lock()


def run_function(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls a function and resolves its result, see `resolved`."""
    return resolved(function(*args, **kwargs))


def resolved(value: Any) -> Any:
    """A result with everything done that it still has to do: awaitables are awaited, the items of
    generators and other iterators are collected, also in lists, tuples and dicts.

    Of an iterator at most `MAX_ITEMS` items are read.

    Raises:
        BaseException: whatever the awaited or iterated code raises.
    """
    if not _is_open(value, MAX_DEPTH):
        return value
    if not _needs_loop(value, MAX_DEPTH):
        return _collected(value, MAX_DEPTH)
    return run_async(_awaited(value, MAX_DEPTH))


def run_async(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine on the process's event loop, and waits for its end."""
    global _loop
    with _lock:
        if _loop is None or _loop.process != os.getpid():  # a fork has no threads
            _loop = _Loop()
        loop = _loop
    return (_Loop() if loop.is_current else loop).run(work)


async def _caught(work: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    """The result or the exception, since some exceptions would end the loop."""
    try:
        return await work, None
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        return None, error


def _is_open(value: Any, depth: int) -> bool:
    """Whether a value, or a part of it, is work that is not done yet."""
    if isinstance(value, Iterator | AsyncIterator) or inspect.isawaitable(value):
        return True
    return depth > 0 and any(_is_open(each, depth - 1) for each in _parts(value))


def _needs_loop(value: Any, depth: int) -> bool:
    if isinstance(value, AsyncIterator) or inspect.isawaitable(value):
        return True
    # The items of an iterator are not known yet, and may be awaitable.
    return depth > 0 and any(_needs_loop(each, depth - 1) for each in _parts(value))


def _parts(value: Any) -> list[Any]:
    if type(value) is dict:
        return list(value.values())
    return list(value) if type(value) in (list, tuple) else []


def _collected(value: Any, depth: int) -> Any:
    if isinstance(value, Iterator):
        items = list(islice(value, MAX_ITEMS))
        _close(value)
        return resolved(items)
    if depth <= 0:
        return value
    if type(value) is dict:
        return {name: _collected(each, depth - 1) for name, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_collected(each, depth - 1) for each in value)
    return value


async def _awaited(value: Any, depth: int) -> Any:
    if inspect.isawaitable(value):
        return await _awaited(await value, depth - 1)
    if isinstance(value, AsyncIterator):
        items: list[Any] = []
        async for each in value:
            items.append(each)
            if len(items) == MAX_ITEMS:
                break
        closing = getattr(value, "aclose", None)
        if closing:
            await closing()
        return await _awaited(items, depth - 1)
    if isinstance(value, Iterator):
        items = list(islice(value, MAX_ITEMS))
        _close(value)
        return await _awaited(items, depth - 1)
    if depth <= 0:
        return value
    if type(value) is dict:
        return {name: await _awaited(each, depth - 1) for name, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)([await _awaited(each, depth - 1) for each in value])
    return value


def _close(iterator: Any) -> None:
    closing = getattr(iterator, "close", None)
    if closing:
        closing()
