"""DynamoDB's condition expressions, as far as the store uses them.

Each text is compiled once. What DynamoDB refuses is refused here, too. What it admits and the store
does not use raises `NotImplementedError`, or is refused if it is syntax.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import ge, gt, le, lt
from typing import Any, TypeAlias

from tests.simulation.dynamodb.indexes import KEY_TYPES
from tests.simulation.dynamodb.reader import Check, Operand, Path, Place, Reader, check_type
from tests.simulation.dynamodb.values import Refused, Typed, number

MAX_IN_OPERANDS = 100

Condition: TypeAlias = Callable[[Place], bool]

ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_ORDERED_TYPES = "SNB"
_OTHER_FUNCTIONS = {"attribute_type", "begins_with", "contains", "size"}


@dataclass
class _ConditionReader(Reader):
    # Where each group in parentheses starts and ends.
    groups: dict[int, int] = field(default_factory=dict)

    def path(self) -> Path:
        path = super().path()
        if len(path) > 1:
            self.checks.append(_check_no_key(path[0]))
        return path

    def condition(self) -> Condition:
        parts = [self.conjunction()]
        while self.accept("OR"):
            self.operators += 1
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else lambda place: any(part(place) for part in parts)

    def conjunction(self) -> Condition:
        parts = [self.test()]
        while self.accept("AND"):
            self.operators += 1
            parts.append(self.test())
        return parts[0] if len(parts) == 1 else lambda place: all(part(place) for part in parts)

    def test(self) -> Condition:
        start = self.at
        if self.accept("("):
            inner = self.condition()
            # One group that is all of another has redundant parentheses.
            if self.groups.get(start + 1) == self.at:
                raise Refused("redundant parentheses")
            self.take(")")
            self.groups[start] = self.at
            return inner
        if self.accept("NOT"):
            raise NotImplementedError("NOT is not simulated")
        if self.tokens[start + 1 : start + 2] == ["("]:
            return self.function()
        return self.comparison(self.operand())

    def function(self) -> Condition:
        name = self.take()
        if name in _OTHER_FUNCTIONS:
            raise NotImplementedError(f"{name} is not simulated")
        if name not in ("attribute_exists", "attribute_not_exists"):
            raise Refused(f"no function: {name}")
        wanted = name == "attribute_exists"
        self.operators += 1
        self.take("(")
        path = self.path()
        self.take(")")
        return lambda place: (place.at(path) is not None) is wanted

    def comparison(self, left: Operand) -> Condition:
        self.operators += 1
        if self.accept("IN"):
            return self._in(left)
        if self.accept("BETWEEN"):
            low = self.operand()
            self.take("AND")
            high = self.operand()
            self._check_distinct(left, (low, high))
            self.checks += [
                *(check_type(each, _ORDERED_TYPES) for each in (left, low, high)),
                _check_bounds(low, high),
            ]
            return lambda place: (
                compares("<=", low.of(place), left.of(place))
                and compares("<=", left.of(place), high.of(place))
            )
        sign = self.take()
        if sign not in (*ORDER, "=", "<>"):
            raise Refused(f"no comparison: {sign}")
        right = self.operand()
        self._check_distinct(left, (right,))
        if sign in ORDER:
            self.checks += (check_type(each, _ORDERED_TYPES) for each in (left, right))
        return lambda place: compares(sign, left.of(place), right.of(place))

    def _in(self, left: Operand) -> Condition:
        self.take("(")
        choices = [self.operand()]
        while self.accept(","):
            choices.append(self.operand())
        self.take(")")
        if len(choices) > MAX_IN_OPERANDS:
            raise Refused(f"{len(choices)} operands of IN are too many")
        self._check_distinct(left, choices)
        return lambda place: any(
            compares("=", left.of(place), choice.of(place)) for choice in choices
        )

    def _check_distinct(self, first: Operand, others: Iterable[Operand]) -> None:
        paths = [other.path for other in others if other.path]

        def check(place: Place) -> None:
            if place.path(first.path) in map(place.path, paths):
                raise Refused("an operand is compared with itself")

        if first.path and paths:
            self.checks.append(check)


def _check_no_key(step: str) -> Check:
    def check(place: Place) -> None:
        if place.names.get(step, step) in KEY_TYPES:
            raise Refused("a path leads into a key")

    return check


def _check_bounds(low: Operand, high: Operand) -> Check:
    def check(place: Place) -> None:
        if low.literal and high.literal and not compares("<=", low.of(place), high.of(place)):
            raise Refused("the lower bound is above the upper one, or of another type")

    return check


def compares(sign: str, left: Typed | None, right: Typed | None) -> bool:
    """Whether a comparison holds; with what is not there, only <> does."""
    if left is None or right is None:
        return sign == "<>"
    (kind, one), (other_kind, other) = _plain(left), _plain(right)
    if sign in ("=", "<>"):
        return (kind == other_kind and one == other) is (sign == "=")
    if kind != other_kind or kind not in _ORDERED_TYPES:
        return False
    return bool(ORDER[sign](one, other))


def _plain(value: Typed) -> tuple[str, Any]:
    kind, content = next(iter(value.items()))
    match kind:
        case "N":
            return kind, number(content)
        case "M":
            return kind, {name: _plain(inner) for name, inner in content.items()}
        case "L":
            return kind, [_plain(inner) for inner in content]
        case "B":
            return kind, bytes(content)
    return kind, content


@dataclass(frozen=True)
class Compiled:
    """A condition, with the placeholders it uses and what is checked for each request."""

    holds: Condition
    used: frozenset[str]
    checks: tuple[Check, ...]


@cache
def compiled_condition(text: str) -> Compiled:
    """A condition expression.

    Raises:
        Refused: it is invalid whatever the names and values.
    """
    reader = _ConditionReader.of(text)
    condition = reader.condition()
    reader.end()
    return Compiled(condition, frozenset(reader.used), tuple(reader.checks))
