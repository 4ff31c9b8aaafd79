"""Conversion of tool results and exceptions to text for the model."""

import json
import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from agent_continuations.authoring.running import attempted
from agent_continuations.core.base import storable

MAX_ERROR_DEPTH = 5
MAX_ERROR_CHARACTERS = 8000


# Where an object is in memory, in the text that Python makes of it.
_ADDRESS = re.compile(r"(<[^<>]*?) at 0x[0-9a-fA-F]+")
# What pydantic adds to each fault; of no use to models and people who approve.
_ADVICE = re.compile(r"\n +For further information visit https://errors\.pydantic\.dev/\S+")
_UNFINISHED = re.compile(r"<(async_)?(generator|coroutine)( object|_wrapper)? ")


def result_text(result: Any) -> str:
    """Converts a tool's result to text: strings unchanged, other values as JSON if possible.

    The call has happened, so it is never a failure if its result has no text.
    """
    if issubclass(type(result), str):
        return storable(str.__str__(result))
    made, error = attempted(_json_text, result)
    return storable(_represented(result) if error else made)


def error_text(error: BaseException) -> str:
    """An exception as text: its type and message, its notes, its cause, the members of a group."""
    lines, failed = attempted(_error_lines, error, MAX_ERROR_DEPTH)
    return storable(type(error).__name__ if failed else "\n".join(lines))[:MAX_ERROR_CHARACTERS]


def _json_text(result: Any) -> str:
    if issubclass(type(result), BaseModel):
        return str(result.model_dump_json())
    return json.dumps(result, ensure_ascii=False, default=_to_json_value)


def _error_lines(error: BaseException, depth: int) -> list[str]:
    name = type(error).__name__
    message = _said(lambda: f"{name}: {_ADVICE.sub('', _without_addresses(str(error)))}", name)
    notes = _said(lambda: [str(each) for each in getattr(error, "__notes__", ())], [])
    lines = [message, *notes]
    if depth <= 0:
        return lines
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions[:20]:
            lines += [f"- {line}" for line in _error_lines(each, depth - 1)]
    cause = error.__cause__
    if cause is not None:
        first, *rest = _error_lines(cause, depth - 1)
        lines += [f"caused by {first}", *rest]
    return lines


def _said(make: Callable[[], Any], otherwise: Any) -> Any:
    made, error = attempted(make)
    return otherwise if error else made


def _to_json_value(value: Any) -> Any:
    if issubclass(type(value), BaseModel):
        return value.model_dump(mode="json")
    if issubclass(type(value), BaseException):
        return error_text(value)
    return _represented(value, str)


def _represented(value: Any, convert: Callable[[Any], Any] = repr) -> str:
    """The value in words; a sentence if it has none."""
    kind = type(value)
    sentence = f"The call is done. Its result, of the type {kind.__name__}, has no text."
    if callable(value) or not _has_own_text(kind):
        return sentence
    text = str(_said(lambda: f"{convert(value)}", sentence))
    return sentence if _UNFINISHED.search(text) else _without_addresses(text)


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub(r"\1", text)


def _has_own_text(kind: type[Any]) -> bool:
    """Whether a type says more of its values than where they are in memory."""
    return any(name in vars(each) for each in kind.__mro__[:-1] for name in ("__str__", "__repr__"))
