"""The parts of a JSON schema: what they refer to, and how much work a validation with them is.

A schema may come from a stranger. A validation must end soon whatever the schema and the values
are: schemas that refer to each other can ask for work that doubles with each step.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

MAX_CHAIN = 32  # schemas that apply to one value, each because of the one before
MAX_PATTERNS = 50
MAX_WORK = 300_000
# `unevaluatedProperties` and `unevaluatedItems` ask all schemas beside them again, and so on.
_UNEVALUATED_FACTOR = 3

_ONE = ("not", "if", "then", "else")
_LIST = ("allOf", "anyOf", "oneOf")
_NAMED = ("dependentSchemas", "dependencies")
_OF_ITEMS = ("items", "additionalItems", "contains", "unevaluatedItems")
_OF_MEMBERS = ("additionalProperties", "unevaluatedProperties")
_NAMED_PARTS = (*_NAMED, "properties", "patternProperties", "$defs", "definitions")
_DYNAMIC = ("$dynamicRef", "$recursiveRef")


class TooMuchWork(Exception):
    """The validation of a value would take too long."""


class Subschemas:
    """All schemas within a JSON schema.

    Args:
        schema: the schema; plain JSON, valid for its draft, and not nested deeply.
        per_character: the work that a pattern is for each character of a text.

    Attributes:
        patterns: the regular expressions.

    Raises:
        ValueError: a reference leads out of the document or to itself, or a bound is exceeded.
    """

    def __init__(self, schema: Mapping[str, Any], per_character: int = 1) -> None:
        self._root = schema
        self.per_character = per_character
        self.patterns: set[str] = set()
        self._sizes: dict[int, int] = {}
        try:
            self._collect()
        except (AttributeError, TypeError):
            raise ValueError("a part of it is no schema") from None
        if len(self.patterns) > MAX_PATTERNS:
            raise ValueError(f"it has more than {MAX_PATTERNS} patterns")

    def check_work(self, value: Any) -> int:
        """The most work that the validation of a value can be: all parts that may apply, counted
        as often as they apply.

        Raises:
            TooMuchWork: it is more than `MAX_WORK`.
        """
        try:
            return self._work(self._root, value, {})
        except RecursionError:
            raise TooMuchWork from None

    def _collect(self) -> None:
        found: dict[str, Any] = {}
        waiting: list[tuple[str, Any]] = [("#", self._root)]
        while waiting:
            place, schema = waiting.pop()
            if isinstance(schema, dict):
                found[place] = schema
                self._sizes[id(schema)] = _size(schema)
                waiting.extend((f"{place}/{name}", each) for name, each in _parts(schema))
        depths: dict[int, int] = {}
        for place, schema in found.items():
            self._check_names(place, schema)
            self._depth(place, schema, (), depths)
            if isinstance(schema.get("pattern"), str):
                self.patterns.add(schema["pattern"])
            self.patterns.update(schema.get("patternProperties", ()))

    def _check_names(self, place: str, schema: Mapping[str, Any]) -> None:
        for name in _DYNAMIC:
            if name in schema:
                raise ValueError(f"{place} has {name}: use $ref")
        if place != "#" and ("$id" in schema or "$schema" in schema):
            name = "$id" if "$id" in schema else "$schema"
            raise ValueError(f"{place} has {name}, which only the whole schema may have")

    def _depth(
        self, place: str, schema: Any, above: tuple[int, ...], depths: dict[int, int]
    ) -> int:
        """The length of the longest chain of schemas that apply to the same value."""
        if not isinstance(schema, dict):
            return 1
        if id(schema) in above:
            raise ValueError(f"{place} refers to itself for the same value, without an end")
        if id(schema) not in depths:
            if len(above) >= MAX_CHAIN:
                raise ValueError(f"{place} applies more than {MAX_CHAIN} schemas one in another")
            inner = (*above, id(schema))
            depths[id(schema)] = 1 + max(
                (self._depth(place, each, inner, depths) for each in self._in_place(schema)),
                default=0,
            )
        if len(above) + depths[id(schema)] > MAX_CHAIN:
            raise ValueError(f"{place} applies more than {MAX_CHAIN} schemas one in another")
        return depths[id(schema)]

    def _target(self, reference: Any) -> Any:
        """The schema that a reference leads to.

        Raises:
            ValueError: it is not in this document.
        """
        if not isinstance(reference, str) or not (reference + "/").startswith("#/"):
            raise ValueError(
                f"the reference {reference!r} leads out of the schema, and nothing is fetched:"
                ' put the schema into "$defs" and refer to "#/$defs/..."'
            )
        found: Any = self._root
        for step in unquote(reference).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            else:
                raise ValueError(f"the reference {reference!r} leads nowhere")
        if not isinstance(found, bool) and id(found) not in self._sizes:
            raise ValueError(f"the reference {reference!r} leads to what is no schema")
        return found

    def _in_place(self, schema: Mapping[str, Any]) -> Iterator[Any]:
        """The schemas that apply to the same value as this one."""
        if "$ref" in schema:
            yield self._target(schema["$ref"])
        yield from (schema[name] for name in _ONE if name in schema)
        for name in _LIST:
            yield from schema.get(name, ())
        for name in _NAMED:
            yield from (each for each in schema.get(name, {}).values() if _is_schema(each))

    def _work(self, schema: Any, value: Any, known: dict[tuple[int, int], int]) -> int:
        if not isinstance(schema, dict):
            return 1
        key = (id(schema), id(value))
        if key in known:
            return known[key]
        inner = 0
        for each in self._in_place(schema):
            inner = _within(inner + self._work(each, value, known))
        if "unevaluatedProperties" in schema or "unevaluatedItems" in schema:
            inner *= _UNEVALUATED_FACTOR
        work = self._sizes[id(schema)] + inner
        if isinstance(value, str) and "pattern" in schema:
            work += len(value) * self.per_character
        for each, part in self._inside(schema, value):
            work = _within(work + self._work(each, part, known))
        if isinstance(value, dict):
            texts = sum(map(len, value)) * len(schema.get("patternProperties", ()))
            work += texts * self.per_character
        known[key] = _within(work)
        _within(len(known))
        return work

    def _inside(self, schema: Mapping[str, Any], value: Any) -> Iterator[tuple[Any, Any]]:
        """The schemas that may apply to parts of a value, each with the part."""
        if isinstance(value, list):
            everywhere = [schema[name] for name in _OF_ITEMS if _is_schema(schema.get(name))]
            first = schema.get("prefixItems") or schema.get("items")
            first = first if isinstance(first, list) else []
            for number, part in enumerate(value):
                yield from ((each, part) for each in everywhere)
                if number < len(first):
                    yield first[number], part
        elif isinstance(value, dict):
            everywhere = [schema[name] for name in _OF_MEMBERS if name in schema]
            everywhere += schema.get("patternProperties", {}).values()
            named, names = schema.get("properties", {}), schema.get("propertyNames")
            for name, part in value.items():
                yield from ((each, part) for each in everywhere)
                if name in named:
                    yield named[name], part
                if names is not None:
                    yield names, name


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict | bool)


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas directly in a schema, with their places."""
    for name in (*_ONE, *_OF_ITEMS, *_OF_MEMBERS, "propertyNames"):
        if _is_schema(schema.get(name)):
            yield name, schema[name]
    for name in (*_LIST, "prefixItems", "items"):
        if isinstance(schema.get(name), list):
            yield from ((f"{name}/{number}", each) for number, each in enumerate(schema[name]))
    for name in _NAMED_PARTS:
        inner = schema.get(name, {})
        yield from ((f"{name}/{each}", inner[each]) for each in inner if _is_schema(inner[each]))


def _size(schema: Mapping[str, Any]) -> int:
    """The work of a schema's own keywords: more for long lists, such as those of an `enum`."""
    return 1 + sum(len(each) for each in schema.values() if isinstance(each, dict | list)) // 10


def _within(work: int) -> int:
    if work > MAX_WORK:
        raise TooMuchWork
    return work
