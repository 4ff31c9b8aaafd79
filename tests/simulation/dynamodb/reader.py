"""Reads the tokens of DynamoDB's expressions: paths, placeholders and operands."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Self, TypeAlias

from tests.simulation.dynamodb.values import Item, Refused, Typed

MAX_EXPRESSION_BYTES = 4096
MAX_OPERATORS = 300
MAX_PATH_STEPS = 32

Path: TypeAlias = tuple[str, ...]

_TOKEN = re.compile(r"\s*(<=|>=|<>|[()=<>,+.]|[#:]\w+|[A-Za-z]\w*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """An item, with the names and values of a request."""

    item: Item
    names: Mapping[str, str]
    values: Mapping[str, Typed]

    def path(self, path: Path) -> Path:
        return tuple(self.names[step] if step.startswith("#") else step for step in path)

    def at(self, path: Path) -> Typed | None:
        here: Any = {"M": self.item}
        for step in path:
            if here is None or "M" not in here:
                return None
            here = here["M"].get(self.names[step] if step.startswith("#") else step)
        return here  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Operand:
    """A placeholder of a value, or a path into the item."""

    literal: str | None
    path: Path = ()

    def of(self, place: Place) -> Typed | None:
        return place.values[self.literal] if self.literal else place.at(self.path)


Check: TypeAlias = Callable[[Place], None]


@dataclass
class Reader:
    """A recursive descent over the tokens of one expression."""

    tokens: list[str]
    at: int = 0
    operators: int = 0
    used: set[str] = field(default_factory=set)
    # What depends on the names and values of a request, so is checked for each request.
    checks: list[Check] = field(default_factory=list)

    @classmethod
    def of(cls, text: str) -> Self:
        if not text or len(text.encode()) > MAX_EXPRESSION_BYTES:
            raise Refused(f"an expression of {len(text)} characters")
        tokens, place = [], 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if not found:
                raise Refused(f"not an expression: {text[place:]!r}")
            tokens.append(found[1])
            place = found.end()
        return cls(tokens)

    def end(self) -> None:
        """Check that the whole text was read, and its operators."""
        if self.peek():
            raise Refused(f"too much: {self.peek()!r}")
        if self.operators > MAX_OPERATORS:
            raise Refused(f"{self.operators} operators are too many")

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

    def path(self) -> Path:
        steps = [self._step()]
        while self.accept("."):
            steps.append(self._step())
        if len(steps) > MAX_PATH_STEPS:
            raise Refused(f"a path of {len(steps)} steps is too long")
        return tuple(steps)

    def _step(self) -> str:
        step = self.take()
        if step.startswith("#"):
            self.used.add(step)
        elif not step[0].isalpha() or step.upper() in _reserved_words():
            raise Refused(f"not the name of an attribute: {step}")
        return step

    def operand(self) -> Operand:
        if self.peek().startswith(":"):
            name = self.take()
            self.used.add(name)
            return Operand(name)
        return Operand(None, self.path())


@cache
def _reserved_words() -> frozenset[str]:
    """DynamoDB's list, as moto has it."""
    listed = files("moto").joinpath("dynamodb", "parsing", "reserved_keywords.txt")
    return frozenset(listed.read_text(encoding="utf-8").split())


def check_type(operand: Operand, kinds: str) -> Check:
    """That a value of a request, if the operand is one, has one of these types of one letter."""

    def check(place: Place) -> None:
        if operand.literal and not place.values[operand.literal].keys() <= set(kinds):
            raise Refused(f"{operand.literal} has the wrong type for its operator")

    return check
