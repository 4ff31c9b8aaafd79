"""Results and exceptions of tools that hypothesis makes. Each is a function, since many can be
used only once.
"""

import asyncio
import contextlib
import io
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

Make = Callable[[], Any]


class Pair(NamedTuple):
    one: Any
    other: Any


@dataclass
class Holder:
    inner: Any


class Model(BaseModel):
    inner: Any = None
    words: set[str] = {"a"}
    secret: SecretStr = SecretStr("s")


class BadRepr:
    def __repr__(self) -> str:
        raise ValueError("no repr")


class BadStr:
    def __str__(self) -> str:
        raise SystemExit(3)

    def __repr__(self) -> str:
        raise SystemExit(4)


class NoText:
    def __repr__(self) -> str:
        return 3  # type: ignore[return-value]


class OddClass:
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise RuntimeError


class OddText(str):
    def encode(self, encoding: str = "", errors: str = "") -> bytes:  # noqa: ARG002
        raise ValueError("no bytes")

    def __str__(self) -> str:
        raise ValueError("no text")


class Refuses(dict[str, Any]):
    def __iter__(self) -> Iterator[str]:
        raise ValueError("not now")


def _recursive_list() -> Any:
    made: list[Any] = [1]
    made += [made, made, (made,), {"x": made}]
    return made


def _recursive_with_work() -> Any:
    made: list[Any] = [iter([1]), _coroutine(2)]
    made += [made, made]
    return made


def _deep() -> Any:
    made: Any = 1
    for _ in range(5000):
        made = [made]
    return made


async def _coroutine(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def _generator(parts: list[Any]) -> Iterator[Any]:
    yield from parts


async def _async_generator(parts: list[Any]) -> AsyncIterator[Any]:
    for each in parts:
        await asyncio.sleep(0)
        yield each


def _endless() -> Iterator[int]:
    while True:
        yield 1


def _local() -> None: ...


def _shared_coroutine() -> Any:
    one = _coroutine(1)
    return [one, {"again": one}]


def _file() -> Any:
    return io.TextIOWrapper(io.BytesIO(b"a line"))


def _closed_file() -> Any:
    with open(__file__) as made:
        return made


LEAVES: dict[str, Make] = {
    "none": lambda: None,
    "huge": lambda: 10**5000,
    "nan": lambda: float("nan"),
    "surrogate": lambda: "a\ud800b",
    "odd text": lambda: OddText("text"),
    "bytes": lambda: b"\xff\x00",
    "set": lambda: {"a", 1, (2,)},
    "decimal": lambda: Decimal("1.10"),
    "datetime": lambda: datetime.now(UTC),
    "exception": lambda: ValueError("as a value"),
    "group": lambda: ExceptionGroup("many", [ValueError(1), KeyError(2)]),
    "bad repr": BadRepr,
    "bad str": BadStr,
    "no text": NoText,
    "odd class": OddClass,
    "refuses": lambda: Refuses(a=1),
    "object": object,
    "function": lambda: _local,
    "lambda": lambda: lambda: 1,
    "partial": lambda: partial(_local),
    "class": lambda: Holder,
    "module": lambda: sys,
    "future": Future,
    "file": _file,
    "closed file": _closed_file,
    "bytes io": lambda: io.BytesIO(b"a\nb"),
    "model": Model,
    "model with work": lambda: Model(inner=_generator([1])),
    "endless in a model": lambda: Model(inner=[{"x": _endless()}]),
    "endless in a class": lambda: Model(inner=Holder({"x": _endless()})),
    "holder with work": lambda: Holder(_generator([1])),
    "set with work": lambda: {_generator([1])},
    "recursive": _recursive_list,
    "recursive with work": _recursive_with_work,
    "deep": _deep,
    "endless": _endless,
    "shared coroutine": _shared_coroutine,
    "zip": lambda: zip([1, 2], "ab", strict=False),
    "map": lambda: map(str, [1]),
    "filter": lambda: filter(None, [1, 0]),
    "keys": lambda: {"a": 1}.keys(),
    "memory": lambda: memoryview(b"a"),
    "lock": contextlib.ExitStack,
    "tuple keys": lambda: {(1, 2): 3},
}


def _made(make: Make) -> Any:
    return make()


def _all(makes: list[Make]) -> list[Any]:
    return [make() for make in makes]


CONTAINERS: dict[str, Callable[[list[Make]], Any]] = {
    "list": _all,
    "tuple": lambda makes: tuple(_all(makes)),
    "dict": lambda makes: {str(n): make() for n, make in enumerate(makes)},
    "defaultdict": lambda makes: defaultdict(list, {"x": _all(makes)}),
    "ordered": lambda makes: OrderedDict(x=_all(makes)),
    "deque": lambda makes: deque(_all(makes)),
    "named": lambda makes: Pair(_all(makes), 1),
    "holder": lambda makes: Holder(_all(makes)),
    "model": lambda makes: Model(inner=_all(makes)),
    "generator": lambda makes: _generator(_all(makes)),
    "async generator": lambda makes: _async_generator(_all(makes)),
    "coroutine": lambda makes: _coroutine(_all(makes)),
    "coroutine of one": lambda makes: _coroutine(_coroutine(makes[0]())),
    "map": lambda makes: map(_made, makes),
    "lazy": lambda makes: (make() for make in makes),
}


def results() -> st.SearchStrategy[Make]:
    leaves = st.sampled_from(list(LEAVES.values()))

    def around(inner: st.SearchStrategy[Make]) -> st.SearchStrategy[Make]:
        return st.builds(
            partial,
            st.sampled_from(list(CONTAINERS.values())),
            st.lists(inner, min_size=1, max_size=3),
        )

    return st.recursive(leaves, around, max_leaves=6)


# -- exceptions ------------------------------------------------------------------------------------


class Odd(Exception):
    def __str__(self) -> str:
        raise SystemExit(5)


class OddNotes(Exception):
    __notes__ = 3  # type: ignore[assignment]


def _chained() -> BaseException:
    error = ValueError("outer")
    error.__cause__ = error
    error.add_note("a note \ud800")
    return error


EXCEPTIONS: list[Callable[[], BaseException]] = [
    lambda: ValueError("wrong"),
    lambda: ValueError("\ud800"),
    lambda: KeyError(object()),
    lambda: RuntimeError(10**5000),
    lambda: RuntimeError("x" * 100_000),
    Odd,
    OddNotes,
    _chained,
    lambda: SystemExit(1),
    GeneratorExit,
    asyncio.CancelledError,
    StopIteration,
    StopAsyncIteration,
    lambda: BaseExceptionGroup("all", [SystemExit(2), ValueError(3)]),
    lambda: ExceptionGroup("deep", [ExceptionGroup("in", [Odd()])]),
    RecursionError,
    MemoryError,
]


def _raise(make: Callable[[], BaseException]) -> Any:
    raise make()


async def _raise_later(make: Callable[[], BaseException]) -> Any:
    await asyncio.sleep(0)
    raise make()


def _raise_between(make: Callable[[], BaseException]) -> Iterator[int]:
    yield 1
    raise make()


async def _raise_between_later(make: Callable[[], BaseException]) -> AsyncIterator[int]:
    yield 1
    raise make()


async def _raise_in_task(make: Callable[[], BaseException]) -> Any:
    return await asyncio.gather(_coroutine(1), _raise_later(make))


async def raise_in_group(make: Callable[[], BaseException]) -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(_raise_later(make))
        await _coroutine(2)


RAISING: list[Callable[[Callable[[], BaseException]], Any]] = [
    _raise,
    _raise_later,
    _raise_between,
    _raise_between_later,
    _raise_in_task,
    raise_in_group,
    lambda make: [_coroutine(1), _raise_later(make), _coroutine(2)],
    lambda make: {"x": map(_raise, [make])},
]
