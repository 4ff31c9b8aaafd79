"""Pages of model requests that are small enough for a response.

A page ends after so many requests or bytes, if need be between two messages of a request. Only a
text that alone is too large for a page is cut.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from agent_continuations.errors import Invalid
from agent_continuations.views.model_requests import ModelRequestView, ReplyView

_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_CURSOR = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
# The lengths to which texts are cut, one after the other, until the value is small enough.
_LENGTHS = (500_000, 100_000, 20_000, 4000, 500, 100)


class PageLimits(NamedTuple):
    """Limits of a page.

    Attributes:
        items: the number of requests.
        bytes: the size of the requests as JSON. A page may have up to twice as much, because it
            has at least one message, however long.
    """

    items: int
    bytes: int


class Position(NamedTuple):
    """A place in a list of requests: a request, and one of its messages."""

    request: int
    message: int

    def __str__(self) -> str:
        return f"{self.request}.{self.message}"


def read_cursor(cursor: str | None, numbers: range) -> Position:
    """The position of a cursor; without one, the beginning of the requests `numbers`.

    Raises:
        Invalid: the cursor is not one of this list.
    """
    if cursor is None:
        return Position(numbers.start, 0)
    found = _CURSOR.fullmatch(cursor)
    if not found or int(found[1]) not in numbers:
        raise Invalid("not a cursor of this list", [("cursor", "unknown")])
    return Position(int(found[1]), int(found[2]))


def page(
    views: Iterator[ModelRequestView], start: Position, limits: PageLimits
) -> tuple[list[ModelRequestView], Position | None]:
    """The items of a page, and the position of the next page; None if there is none.

    Args:
        views: the requests, beginning with the first of the page.
        start: the position at which the page begins.
        limits: limits of the page.
    """
    items: list[ModelRequestView] = []
    room = limits.bytes
    for view in views:
        first = view.offset
        if view.turn == start.request:
            first = min(max(start.message, first), view.message_count)
        if room <= 0 or len(items) == limits.items:
            return items, Position(view.turn, first)
        item = _part(view, first, room, limits.bytes // 2)
        items.append(item)
        room -= _size(item)
        end = first + len(item.messages)
        if end < view.message_count:
            return items, Position(view.turn, end)
    return items, None


def _part(view: ModelRequestView, first: int, room: int, most: int) -> ModelRequestView:
    """The request from its message number `first` on, with the messages that there is room for.

    Args:
        view: the request.
        first: the number of its first message to include.
        room: bytes that are left on the page. One message is included in any case.
        most: the size above which a message, or all else of the request, has its texts cut.
    """
    given = view.model_dump(include={"tools", "settings", "output", "reply"})
    rest = _cut(given, most)
    cut = rest is not given
    room -= _size(rest)
    messages: list[Any] = []
    for message in view.messages[first - view.offset :]:
        if messages and room <= 0:
            break
        messages.append(_cut(message, most))
        cut = cut or messages[-1] is not message
        room -= _size(messages[-1])
    reply = ReplyView.model_validate(rest["reply"]) if rest["reply"] else None
    changes = {"offset": first, "messages": tuple(messages), "truncated": cut}
    return view.model_copy(update={**rest, "reply": reply, **changes})


def _cut(value: Any, most: int) -> Any:
    """The JSON value itself, or one with its long texts cut if it has more than `most` bytes."""
    cut = value
    for length in _LENGTHS:
        if _size(cut) <= most:
            break
        cut = _with_short_texts(value, length)
    return cut


def _with_short_texts(value: Any, length: int) -> Any:
    match value:
        case str() if len(value) > length:
            return f"{value[:length]}\n[{len(value) - length} characters more are not shown]"
        case list() | tuple():
            return type(value)(_with_short_texts(each, length) for each in value)
        case dict():
            return {name: _with_short_texts(each, length) for name, each in value.items()}
        case _:
            return value


def _size(value: Any) -> int:
    return len(_JSON.dump_json(value))
