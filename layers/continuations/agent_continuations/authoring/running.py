"""Running of authors' functions: sync ones here, async ones on an event loop for the process.

The loop lives as long as the process, so that what async code keeps between calls works: locks,
queues, pooled connections, background tasks.
"""

import asyncio
import inspect
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from contextvars import ContextVar
from copy import copy
from dataclasses import fields, is_dataclass
from io import IOBase
from itertools import islice
from threading import Lock, Thread
from types import GeneratorType
from typing import Any

from pydantic import BaseModel

MAX_ITEMS = 10_000
MAX_DEPTH = 32
_CONTAINERS = (list, tuple, set, frozenset, deque)


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self, number: int) -> None:
        self._loop = asyncio.new_event_loop()
        Thread(target=self._run, name=f"tools' loop {number}", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine to its end, in a copy of the caller's context."""
        value, error = asyncio.run_coroutine_threadsafe(_caught(work), self._loop).result()
        if error is not None:
            raise error
        return value

    def _run(self) -> None:
        while not self._loop.is_closed():
            # `SystemExit` of a background task, or a tool that stops the loop, ends only this.
            with suppress(BaseException):
                self._loop.run_forever()


# Code on a loop may block it until other async code is done, such as that of a `LocalRunner`. So
# each such depth has a loop of its own.
_loops: list[_Loop] = []
_lock = Lock()
_depth: ContextVar[int] = ContextVar("depth", default=0)


def _forget_loops() -> None:
    """After a fork there are no threads, and the lock may be held by one of them."""
    global _lock
    _loops.clear()
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_loops)


def attempted(
    function: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> tuple[Any, BaseException | None]:
    """The result of an author's function, or whatever it raises.

    Raises:
        KeyboardInterrupt: it is for the process.
    """
    try:
        return function(*args, **kwargs), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - such as SystemExit
        return None, error


def run_function(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Calls a function and resolves its result, see `resolved`."""
    return resolved(function(*args, **kwargs))


def resolved(value: Any) -> Any:
    """A result with everything done that it still has to do: awaitables are awaited, the items of
    generators and other iterators are collected, also in lists, tuples, sets,
    dicts, models and dataclasses.

    Of an iterator at most `MAX_ITEMS` items are read. Files are not read.

    Raises:
        BaseException: whatever the awaited or iterated code raises.
    """
    for _ in range(MAX_DEPTH):
        found = _open_parts(value)
        if not found:
            break
        waiting = [each for each in found if _needs_loop(each)]
        if waiting:
            found, results = waiting, run_async(_awaited(waiting))
        else:
            results = [_items(each) for each in found]
        by_id = {id(each): result for each, result in zip(found, results, strict=True)}
        value = _substituted(value, by_id, MAX_DEPTH)
    return value


def run_async(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine on an event loop of the process, and waits for its end."""
    depth = _depth.get()
    with _lock:
        while len(_loops) <= depth:
            _loops.append(_Loop(len(_loops)))
    token = _depth.set(depth + 1)
    try:
        return _loops[depth].run(work)
    finally:
        _depth.reset(token)


async def _caught(work: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    """The result or the exception, since some exceptions would end the loop."""
    try:
        return await work, None
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        return None, error


def _is_iterator(value: Any) -> bool:
    kind = type(value)  # an object's own `__class__` may raise
    return issubclass(kind, Iterator) and not issubclass(kind, IOBase)


def _needs_loop(value: Any) -> bool:
    return issubclass(type(value), AsyncIterator | Awaitable) or (
        type(value) is GeneratorType and inspect.isawaitable(value)
    )


def _open_parts(value: Any) -> list[Any]:
    """The parts of a value, itself included, that are work that is not done yet."""
    seen: dict[int, Any] = {}
    level = [value]
    for _ in range(MAX_DEPTH):
        new = {id(each): each for each in level if id(each) not in seen}
        seen.update(new)
        level = [part for each in new.values() for part in _parts(each)]
    return [each for each in seen.values() if _is_iterator(each) or _needs_loop(each)]


def _parts(value: Any) -> list[Any]:
    kind = type(value)
    if issubclass(kind, dict):
        return list(dict.values(value))
    if issubclass(kind, BaseModel):
        return list(vars(value).values())
    if is_dataclass(kind):
        return [getattr(value, each.name, None) for each in fields(kind)]
    return next((list(base.__iter__(value)) for base in _CONTAINERS if issubclass(kind, base)), [])


def _substituted(value: Any, results: dict[int, Any], depth: int) -> Any:
    """A copy of a value with results in place of the work. A set that holds work becomes a list."""
    if id(value) in results:
        return results[id(value)]
    old = _parts(value) if depth else []
    if not old:
        return value
    kind = type(value)
    made: Any = {} if issubclass(kind, dict) else []
    if issubclass(kind, dict | list):
        results[id(value)] = made  # it may hold itself
    new = [_substituted(each, results, depth - 1) for each in old]
    if issubclass(kind, dict):
        made.update(zip(dict.keys(value), new, strict=True))
    elif issubclass(kind, list):
        made.extend(new)
    elif all(one is other for one, other in zip(new, old, strict=True)):
        made = value
    elif issubclass(kind, BaseModel):
        made = value.model_copy(update=dict(zip(vars(value), new, strict=True)))
    elif is_dataclass(kind):
        made = copy(value)
        for field, each in zip(fields(kind), new, strict=True):
            object.__setattr__(made, field.name, each)
    else:
        made = tuple(new) if kind is tuple else new
    return made


def _items(iterator: Iterator[Any]) -> list[Any]:
    items = list(islice(iterator, MAX_ITEMS))
    closing = getattr(iterator, "close", None)
    if closing:
        closing()
    return items


async def _awaited(waiting: list[Any]) -> list[Any]:
    """The results of awaitables and asynchronous iterators, one after the other."""
    results: list[Any] = []
    try:
        for each in waiting:
            is_iterator = isinstance(each, AsyncIterator)
            results.append(await _async_items(each) if is_iterator else await each)
    finally:
        for each in waiting[len(results) + 1 :]:
            if inspect.iscoroutine(each):
                each.close()
    return results


async def _async_items(iterator: AsyncIterator[Any]) -> list[Any]:
    items: list[Any] = []
    async for each in iterator:
        items.append(each)
        if len(items) == MAX_ITEMS:
            break
    closing = getattr(iterator, "aclose", None)
    if closing:
        await closing()
    return items
