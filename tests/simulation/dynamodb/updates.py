"""DynamoDB's update expressions, as far as the store uses them: SET with sums, and REMOVE."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

from tests.simulation.dynamodb.reader import Check, Operand, Path, Place, Reader, check_type
from tests.simulation.dynamodb.values import Item, Refused, Typed, number, number_text

Value: TypeAlias = Callable[[Place], Typed | None]


@dataclass
class _UpdateReader(Reader):
    sets: list[tuple[Path, Value]] = field(default_factory=list)
    removes: list[Path] = field(default_factory=list)

    def sections(self) -> None:
        seen: set[str] = set()
        while self.peek():
            section = self.take().upper()
            if section in seen:
                raise Refused(f"two sections {section}")
            seen.add(section)
            match section:
                case "SET":
                    self._list(self._set)
                case "REMOVE":
                    self._list(lambda: self.removes.append(self.path()))
                case "ADD" | "DELETE":
                    raise NotImplementedError(f"{section} is not simulated")
                case _:
                    raise Refused(f"no section: {section}")

    def _list(self, read: Callable[[], None]) -> None:
        read()
        while self.accept(","):
            read()

    def _set(self) -> None:
        path = self.path()
        self.take("=")
        left = self.operand()
        if not self.accept("+"):
            self.sets.append((path, left.of))
            return
        right = self.operand()
        self.operators += 1
        self.checks += (check_type(left, "N"), check_type(right, "N"))
        self.sets.append((path, _sum(left, right)))


def _sum(left: Operand, right: Operand) -> Value:
    def total(place: Place) -> Typed | None:
        numbers = left.of(place), right.of(place)
        if None in numbers:
            return None
        if any("N" not in each for each in numbers if each):
            raise Refused("a sum of what are no numbers")
        one, other = (number(each["N"]) for each in numbers if each)
        return {"N": number_text(one + other)}

    return total


@dataclass(frozen=True)
class CompiledUpdate:
    """An update, with the placeholders it uses and what is checked for each request."""

    sets: Sequence[tuple[Path, Value]]
    removes: Sequence[Path]
    used: frozenset[str]
    checks: tuple[Check, ...]

    def item_after(self, place: Place) -> Item:
        """The item after the update; all values are those of the item before it.

        Raises:
            Refused: a path or an operand does not exist, or is part of the table's key.
        """
        values = [(place.path(path), value(place)) for path, value in self.sets]
        item: Item = dict(place.item)
        for path, value in values:
            if value is None:
                raise Refused(f"a value for {path} that is not there")
            _parent(item, path)[path[-1]] = value
        for path in map(place.path, self.removes):
            _parent(item, path).pop(path[-1], None)
        return item


def _parent(item: Item, path: Path) -> dict[str, Any]:
    if path[0] in ("pk", "sk"):
        raise Refused(f"{path[0]} is part of the key")
    here: dict[str, Any] = item
    for step in path[:-1]:
        if step not in here or "M" not in here[step]:
            raise Refused(f"the path {path} leads into nothing")
        here[step] = {"M": dict(here[step]["M"])}
        here = here[step]["M"]
    return here


@cache
def compiled_update(text: str) -> CompiledUpdate:
    """An update expression.

    Raises:
        Refused: it is invalid whatever the names and values.
    """
    reader = _UpdateReader.of(text)
    reader.sections()
    reader.end()
    paths = [*(path for path, _ in reader.sets), *reader.removes]
    checks = (*reader.checks, _no_overlaps(paths))
    return CompiledUpdate(reader.sets, reader.removes, frozenset(reader.used), checks)


def _no_overlaps(paths: Sequence[Path]) -> Check:
    def check(place: Place) -> None:
        # A path that is the start of others is sorted directly before one of them.
        for path, following in pairwise(sorted(map(place.path, paths))):
            if following[: len(path)] == path:
                raise Refused(f"two paths overlap: {path} and {following}")

    return check
