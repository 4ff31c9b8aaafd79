"""Queries of the table and its indexes: key conditions, order and pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import gt, lt
from typing import Any

from tests.simulation.dynamodb.conditions import ORDER, compares
from tests.simulation.dynamodb.indexes import INDEXES, KEY_TYPES
from tests.simulation.dynamodb.reader import Check, Reader
from tests.simulation.dynamodb.values import Item, Refused, Typed, item_bytes, key_of, number

PAGE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Term:
    """A condition on one key: a sign or BETWEEN, and the placeholders of its operands."""

    name: str
    sign: str
    operands: tuple[str, ...]


@dataclass(frozen=True)
class KeyCondition:
    """The terms of a key condition, with what is checked for each request."""

    terms: tuple[Term, ...]
    used: frozenset[str]
    checks: tuple[Check, ...] = ()


@cache
def compiled_key_condition(text: str) -> KeyCondition:
    """A key condition expression.

    Raises:
        Refused: it is invalid whatever the names and values.
    """
    reader = Reader.of(text)
    terms = [_term(reader)]
    while reader.accept("AND"):
        terms.append(_term(reader))
    reader.end()
    return KeyCondition(tuple(terms), frozenset(reader.used))


def _term(reader: Reader) -> Term:
    (name,) = reader.path()[:1]
    if reader.peek() == "(":
        raise NotImplementedError(f"{name} is not simulated")
    if reader.accept("BETWEEN"):
        low = _placeholder(reader)
        reader.take("AND")
        return Term(name, "BETWEEN", (low, _placeholder(reader)))
    sign = reader.take()
    if sign != "=" and sign not in ORDER:
        raise Refused(f"no comparison of keys: {sign}")
    return Term(name, sign, (_placeholder(reader),))


def _placeholder(reader: Reader) -> str:
    literal = reader.operand().literal
    if not literal:
        raise Refused("a key is compared with values only")
    return literal


class Query:
    """A query whose request is valid.

    Args:
        request: its parameters.

    Raises:
        Refused: the request is invalid.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.index: str | None = request.get("IndexName")
        if self.index is not None and self.index not in INDEXES:
            raise Refused(f"no index: {self.index}")
        if self.index and request.get("ConsistentRead"):
            raise Refused("an index is not read consistently")
        if request.get("Limit", 1) < 1:
            raise Refused("the limit is below 1")
        self._hash, self._sort = INDEXES[self.index] if self.index else ("pk", "sk")
        self._limit: int | None = request.get("Limit")
        self._forward = request.get("ScanIndexForward", True)
        terms = self._terms(request)
        if self._hash not in terms or terms[self._hash][0] != "=":
            raise Refused(f"no value of {self._hash}")
        self.partition: str = terms.pop(self._hash)[1][0]["S"]
        if terms.keys() - {self._sort}:
            raise Refused(f"not keys: {terms.keys()}")
        self._sort_term = terms.get(self._sort)
        self._start: Item | None = request.get("ExclusiveStartKey")
        self._check_start()

    def _terms(self, request: Mapping[str, Any]) -> dict[str, tuple[str, list[Typed]]]:
        condition = compiled_key_condition(request["KeyConditionExpression"])
        names = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        found: dict[str, tuple[str, list[Typed]]] = {}
        for term in condition.terms:
            name = names.get(term.name, term.name)
            operands = [values[each] for each in term.operands]
            if any(each.get(KEY_TYPES.get(name, "")) in (None, "") for each in operands):
                raise Refused(f"{name} is no key, or compared with another type")
            if term.sign == "BETWEEN" and not compares("<=", *operands):
                raise Refused("the lower bound is above the upper one")
            if name in found:
                raise Refused(f"two conditions on {name}")
            found[name] = term.sign, operands
        return found

    def _check_start(self) -> None:
        if self._start is None:
            return
        if self._start.keys() != {"pk", "sk", self._hash, self._sort}:
            raise Refused("the start is no key")
        if any(KEY_TYPES[name] not in value for name, value in self._start.items()):
            raise Refused("the start has another type than the key")
        if self._start[self._hash]["S"] != self.partition or not self._matches(self._start):
            raise Refused("the start does not match the condition")

    def _matches(self, item: Item) -> bool:
        if self._sort_term is None:
            return True
        sign, operands = self._sort_term
        here = self._content(item[self._sort])
        bounds = [self._content(each) for each in operands]
        if sign == "BETWEEN":
            return bool(bounds[0] <= here <= bounds[1])
        return bool(here == bounds[0] if sign == "=" else ORDER[sign](here, bounds[0]))

    def _content(self, value: Typed) -> Any:
        return number(value["N"]) if "N" in value else value["S"]

    def _place(self, item: Item) -> tuple[Any, ...]:
        return (self._content(item[self._sort]), *key_of(item))

    def page(self, items: Sequence[Item], most: int) -> dict[str, Any]:
        """The response.

        Args:
            items: the partition's items, in any order.
            most: the maximum number of items.
        """
        found = [item for item in items if self._matches(item)]
        found.sort(key=self._place, reverse=not self._forward)
        if self._start:
            start = self._place(self._start)
            after = gt if self._forward else lt
            found = [item for item in found if after(self._place(item), start)]
        most = min(most, self._limit or most)
        page: list[Item] = []
        size = 0
        for item in found[:most]:
            size += item_bytes(item)
            if page and size > PAGE_BYTES:
                break
            page.append(dict(item))
        keys = {"pk", "sk", self._hash, self._sort}
        # As in AWS, a full page has a last key even if nothing follows it.
        if page and (len(page) == most or len(page) < len(found)):
            return {"Items": page, "LastEvaluatedKey": {name: page[-1][name] for name in keys}}
        return {"Items": page}
