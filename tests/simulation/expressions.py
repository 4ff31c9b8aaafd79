"""DynamoDB's condition and update expressions, as far as the store uses them.

Each text is compiled once. What real DynamoDB refuses, a name or value that is not used, a path
into a map that is not there, is refused here, too.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

Typed: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Typed]


class Refused(Exception):
    """What DynamoDB calls a ValidationException."""


@dataclass(frozen=True)
class Place:
    """An item, with the names and values of a request."""

    item: Item
    names: Mapping[str, str]
    values: Mapping[str, Typed]

    def path(self, path: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.names[step] if step.startswith("#") else step for step in path)

    def at(self, path: tuple[str, ...]) -> Typed | None:
        here: Any = {"M": self.item}
        for step in self.path(path):
            if here is None or "M" not in here:
                return None
            here = here["M"].get(step)
        return here  # type: ignore[no-any-return]


Value: TypeAlias = Callable[[Place], Typed | None]
Condition: TypeAlias = Callable[[Place], bool]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[()=<>,+]|[#:\w.]+)")


@dataclass
class _Reader:
    """A recursive descent over the tokens of one expression."""

    tokens: list[str]
    at: int = 0
    used: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, text: str) -> "_Reader":
        tokens, place = [], 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if not found:
                raise Refused(f"not an expression: {text[place:]!r}")
            tokens.append(found[1])
            place = found.end()
        return cls(tokens)

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.peek()
        if not token or (wanted and token.upper() != wanted):
            raise Refused(f"{wanted or 'more'} expected, not {token!r}")
        self.at += 1
        return token

    def accept(self, word: str) -> bool:
        if self.peek().upper() != word:
            return False
        self.at += 1
        return True

    def path(self) -> tuple[str, ...]:
        steps = tuple(self.take().split("."))
        self.used |= {step for step in steps if step.startswith("#")}
        return steps

    def value(self) -> Value:
        if self.peek().startswith(":"):
            name = self.take()
            self.used.add(name)
            return lambda place: place.values[name]
        path = self.path()
        return lambda place: place.at(path)

    # -- conditions ------------------------------------------------------------------------------

    def condition(self) -> Condition:
        parts = [self.conjunction()]
        while self.accept("OR"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else lambda place: any(part(place) for part in parts)

    def conjunction(self) -> Condition:
        parts = [self.test()]
        while self.accept("AND"):
            parts.append(self.test())
        return parts[0] if len(parts) == 1 else lambda place: all(part(place) for part in parts)

    def test(self) -> Condition:
        if self.accept("("):
            inner = self.condition()
            self.take(")")
            return inner
        if self.peek() in ("attribute_exists", "attribute_not_exists"):
            wanted = self.take() == "attribute_exists"
            self.take("(")
            path = self.path()
            self.take(")")
            return lambda place: (place.at(path) is not None) is wanted
        return self.comparison(self.value())

    def comparison(self, left: Value) -> Condition:
        if self.accept("IN"):
            self.take("(")
            choices = [self.value()]
            while self.accept(","):
                choices.append(self.value())
            self.take(")")
            return lambda place: any(left(place) == choice(place) for choice in choices)
        if self.accept("BETWEEN"):
            low = self.value()
            self.take("AND")
            high = self.value()
            return lambda place: (
                _ordered("<=", low(place), left(place)) and _ordered("<=", left(place), high(place))
            )
        sign = self.take()
        right = self.value()
        return lambda place: _ordered(sign, left(place), right(place))

    # -- updates ---------------------------------------------------------------------------------

    def sets(self) -> list[tuple[tuple[str, ...], Value]]:
        found: list[tuple[tuple[str, ...], Value]] = []
        if not self.accept("SET"):
            return found
        while True:
            path = self.path()
            self.take("=")
            value = self.value()
            if self.accept("+"):
                value = _sum(value, self.value())
            found.append((path, value))
            if not self.accept(","):
                return found

    def removes(self) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = []
        if self.accept("REMOVE"):
            found.append(self.path())
            while self.accept(","):
                found.append(self.path())
        return found


def _sum(one: Value, other: Value) -> Value:
    def total(place: Place) -> Typed:
        numbers = one(place), other(place)
        if any(number is None or "N" not in number for number in numbers):
            raise Refused("a sum of what are no numbers")
        return {"N": str(sum(int(number["N"]) for number in numbers if number))}

    return total


def _ordered(sign: str, left: Typed | None, right: Typed | None) -> bool:
    if left is None or right is None:
        return False
    if sign == "=":
        return _plain(left) == _plain(right)
    if sign == "<>":
        return _plain(left) != _plain(right)
    (kind, one), (other_kind, other) = _plain(left), _plain(right)
    if kind != other_kind:
        return False
    return bool({"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[sign])


def _plain(value: Typed) -> tuple[str, Any]:
    ((kind, content),) = value.items()
    return kind, int(content) if kind == "N" else content


@cache
def _condition(text: str) -> tuple[Condition, frozenset[str]]:
    reader = _Reader.of(text)
    condition = reader.condition()
    if reader.peek():
        raise Refused(f"too much: {reader.peek()!r}")
    return condition, frozenset(reader.used)


_Change: TypeAlias = tuple[
    list[tuple[tuple[str, ...], Value]], list[tuple[str, ...]], frozenset[str]
]


@cache
def _update(text: str) -> _Change:
    reader = _Reader.of(text)
    sets, removes = reader.sets(), reader.removes()
    if reader.peek():
        raise Refused(f"too much: {reader.peek()!r}")
    return sets, removes, frozenset(reader.used)


def holds(text: str | None, place: Place) -> bool:
    """Whether an item fits a condition; a condition that is not there always holds."""
    return _condition(text)[0](place) if text else True


def updated(text: str, place: Place) -> Item:
    """The item after an update; all values are those of the item before it."""
    sets, removes, _ = _update(text)
    paths = [place.path(path) for path, _ in sets] + [place.path(path) for path in removes]
    for number, path in enumerate(paths):
        for other in paths[number + 1 :]:
            short = min(len(path), len(other))
            if path[:short] == other[:short]:
                raise Refused(f"two paths overlap: {path} and {other}")
    values = [value(place) for _, value in sets]
    item: Item = dict(place.item)
    for path, value in zip(paths, values, strict=False):
        if value is None:
            raise Refused(f"a value for {path} that is not there")
        _parent(item, path)[path[-1]] = value
    for path in paths[len(sets) :]:
        _parent(item, path).pop(path[-1], None)
    return item


def _parent(item: Item, path: tuple[str, ...]) -> dict[str, Any]:
    here: dict[str, Any] = item
    for step in path[:-1]:
        if step not in here or "M" not in here[step]:
            raise Refused(f"the path {path} leads into nothing")
        here[step] = {"M": dict(here[step]["M"])}
        here = here[step]["M"]
    return here


def check_used(request: Mapping[str, Any]) -> None:
    """Make sure that a request uses each name and value that it defines, and no others."""
    used: set[str] = set()
    for kind in ("ConditionExpression", "KeyConditionExpression"):
        if kind in request:
            used |= _condition(request[kind])[1]
    if "UpdateExpression" in request:
        used |= _update(request["UpdateExpression"])[2]
    given = {
        *request.get("ExpressionAttributeNames", {}),
        *request.get("ExpressionAttributeValues", {}),
    }
    if used != given:
        raise Refused(f"unused or undefined: {sorted(used ^ given)}")
