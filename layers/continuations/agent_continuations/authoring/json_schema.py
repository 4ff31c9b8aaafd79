"""Validation by a JSON schema as it was given: by an author, or by a server of tools.

Draft 2020-12 and draft-07. References stay within the schema, and nothing is fetched. `format` is
an annotation.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from agent_continuations.authoring.raw_json import is_within_depth, parsed_object
from agent_continuations.authoring.schema import (
    Arguments,
    ArgumentsRefused,
    ArgumentsSchema,
    fault_text,
)
from agent_continuations.authoring.subschemas import Subschemas, TooMuchWork
from agent_continuations.core.ids import canonical_json

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

MAX_SCHEMA_CHARACTERS = 100_000
MAX_SCHEMA_DEPTH = 64
MAX_FAULTS = 8
MAX_FAULT_CHARACTERS = 300
MAX_FIELD_CHARACTERS = 200
# An error costs about fifty times as much as a step without one.
MAX_EXPLAINED_WORK = 20_000
MAX_PATTERN_BYTES = 5_000_000
MAX_BACKTRACKS = 10_000
_BACKTRACKING_FACTOR = 10
_DRAFTS = {
    "json-schema.org/draft/2020-12/schema": "Draft202012Validator",
    "json-schema.org/draft-07/schema": "Draft7Validator",
}


class JsonSchema(ArgumentsSchema):
    """A JSON schema of an object, as it was given.

    Args:
        schema: the schema.

    Raises:
        TypeError: it is no mapping.
        ValueError: it is not valid, not of an object, leads out of the document, or exceeds a
            bound.
    """

    is_pinned = True  # its descriptions and units may say what the arguments mean

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = _checked(schema)
        # Without its own name no reference can lead elsewhere.
        nameless = {name: each for name, each in self._schema.items() if name != "$id"}
        self._subschemas, self._validator = _compiled(nameless)

    @property
    def schema(self) -> dict[str, Any]:
        return self._schema

    def read(self, raw: str) -> Arguments:
        try:
            given = parsed_object(raw)
            canonical_json(given).encode()  # raises for what JSON or UTF-8 cannot express
        except ValueError as error:
            raise ArgumentsRefused([("arguments", fault_text(error))]) from None
        self._check(given)
        return Arguments(raw=raw if raw.strip() else "{}", shown=given, schema=self)

    def typed(self, raw: str) -> dict[str, Any]:
        return parsed_object(raw)

    def _check(self, given: dict[str, Any]) -> None:
        try:
            work = self._subschemas.check_work(given)
        except TooMuchWork:
            fault = "too long or too deeply nested to check: split the call"
            raise ArgumentsRefused([("arguments", fault)]) from None
        if self._validator.is_valid(given):
            return
        if work > MAX_EXPLAINED_WORK:
            fault = "they do not match the schema; they are too long to say where"
            raise ArgumentsRefused([("arguments", fault)])
        errors = islice(self._validator.iter_errors(given), MAX_FAULTS)
        faults = dict.fromkeys(fault for error in errors for fault in _faults(error))
        raise ArgumentsRefused(
            [*faults][:MAX_FAULTS] or [("arguments", "they do not match the schema")]
        )


def _checked(schema: Any) -> dict[str, Any]:
    """A copy of a schema as plain JSON.

    Raises:
        TypeError: it is no mapping.
        ValueError: it is too large or not of an object.
    """
    if not isinstance(schema, Mapping):
        raise TypeError(f"a schema is a mapping, and not {schema!r:.100}")
    if not is_within_depth(schema, MAX_SCHEMA_DEPTH):
        raise ValueError(f"it is nested deeper than {MAX_SCHEMA_DEPTH}")
    try:
        text = canonical_json(dict(schema))
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"it cannot be written as JSON ({fault_text(error)})") from None
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters, and at most {MAX_SCHEMA_CHARACTERS} work")
    copy: dict[str, Any] = json.loads(text)
    if copy.get("type") != "object":
        found = f"{copy['type']!r:.100}" if "type" in copy else "missing"
        raise ValueError(
            f'its "type" is {found}: a tool takes an object, so say "type": "object", and put'
            ' anything else into "properties"'
        )
    return copy


def _compiled(schema: dict[str, Any]) -> "tuple[Subschemas, Validator]":
    """The parts of a schema, and its validator.

    Raises:
        ValueError: the schema is not valid.
    """
    import jsonschema_rs  # 15 MB: only for deployments with such a tool

    name = str(schema.get("$schema", "https://json-schema.org/draft/2020-12/schema"))
    draft = _DRAFTS.get(name.partition("://")[2].removesuffix("#"))
    if draft is None:
        raise ValueError(f'its "$schema" is {name!r:.100}: draft 2020-12 and draft-07 work')
    linear = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_BYTES)
    backtracking = jsonschema_rs.FancyRegexOptions(
        backtrack_limit=MAX_BACKTRACKS, size_limit=MAX_PATTERN_BYTES
    )
    try:
        jsonschema_rs.meta.validate(schema)
        subschemas = Subschemas(schema)
        make = getattr(jsonschema_rs, draft)
        options = {"offline": True, "validate_formats": False, "mask": "the value"}
        try:
            return subschemas, make(schema, pattern_options=linear, **options)
        except jsonschema_rs.ValidationError:
            # Look-around and back references: in bounded steps, and counted as more work.
            validator = make(schema, pattern_options=backtracking, **options)
            return Subschemas(schema, _BACKTRACKING_FACTOR), validator
    except jsonschema_rs.ValidationError as error:
        place = "/".join(["#", *map(str, error.instance_path)])
        fault = "it cannot be checked, or is too large" if _is_pattern(error) else _text(error)
        raise ValueError(f"{place[:MAX_FIELD_CHARACTERS]} is not valid: {fault}") from None


def _is_pattern(error: "ValidationError") -> bool:
    return bool(error.instance_path) and error.instance_path[-1] == "pattern"


def _faults(error: "ValidationError") -> list[tuple[str, str]]:
    """The field and the message of an error; of a choice, those of its likeliest alternative."""
    alternatives: Sequence[Sequence[ValidationError]] = getattr(error.kind, "context", ())
    if error.kind.name not in ("anyOf", "oneOf") or not all(alternatives):
        return [(_field(error), _text(error))]
    deepest = max(alternatives, key=lambda each: (_depth(each), -len(each)), default=())
    if _depth(deepest) > len(error.instance_path):
        return [fault for each in deepest[:MAX_FAULTS] for fault in _faults(each)]
    texts = dict.fromkeys(_text(each[0]) for each in alternatives[:MAX_FAULTS])
    return [(_field(error), " or ".join(texts)[:MAX_FAULT_CHARACTERS] or _text(error))]


def _depth(errors: "Sequence[ValidationError]") -> int:
    return max((len(each.instance_path) for each in errors), default=0)


def _field(error: "ValidationError") -> str:
    path: Iterator[str] = map(str, error.instance_path)
    missing = getattr(error.kind, "property", None) if error.kind.name == "required" else None
    field = ".".join([*path, *([missing] if missing is not None else [])]) or "arguments"
    if len(field) <= MAX_FIELD_CHARACTERS:
        return field
    return f"{field[: MAX_FIELD_CHARACTERS // 2]}...{field[-MAX_FIELD_CHARACTERS // 2 :]}"


def _text(error: "ValidationError") -> str:
    message = error.message
    return (
        message if len(message) <= MAX_FAULT_CHARACTERS else message[:MAX_FAULT_CHARACTERS] + "..."
    )
