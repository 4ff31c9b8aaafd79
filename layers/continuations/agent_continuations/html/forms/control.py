"""A control of a form: its kind for an argument, its rendered value, and the parsing of its text.

Numbers and times use text controls. A browser posts the text of `type=number` only where it can
parse it; `type=datetime-local` has no time zone and drops zero seconds. A value that no simpler
control holds exactly is rendered as JSON, among them texts with invisible characters, so that
nothing is hidden and nothing changes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, assert_never
from urllib.parse import quote

from agent_continuations.errors import Invalid
from agent_continuations.html.forms.parsing import (
    is_date,
    is_number,
    iso_date,
    iso_datetime,
    number,
    strict_json,
    whole_number,
)
from agent_continuations.safe_text import escape, escape_json

Kind: TypeAlias = Literal[
    "text", "longtext", "integer", "number", "choice", "date", "datetime", "json"
]

ONE_LINE_CHARACTERS = 60
MANY_CHARACTERS = 200


class Absent(Enum):
    """The value of an absent argument; null is a value of its own."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Control:
    """The control of one argument, with its current value.

    Attributes:
        argument: the name of the argument.
        name: of the control, percent-encoded, because browsers alter line breaks in names.
        about: the schema of the argument.
        option: the one alternative besides null; empty where there are several.
        values: the choices; empty where it is no choice.
        required: whether the argument is required.
        nullable: whether an empty control may mean null.
        current: the current value, or `ABSENT`.
        kind: the control that holds the value exactly.
    """

    argument: str
    name: str
    about: Mapping[str, Any]
    option: Mapping[str, Any]
    values: tuple[Any, ...]
    required: bool
    nullable: bool
    current: Any
    kind: Kind

    @property
    def rendered_value(self) -> str:
        """The current value as text of the control."""
        value = self.current
        if value is ABSENT:
            return ""
        match self.kind:
            case "choice":
                return code(value)
            case "json":
                return "" if value is None and self.nullable else escape_json(value)
            case _:
                return value if isinstance(value, str) else "" if value is None else code(value)

    def parse(self, text: str) -> Any:
        """The value of a text in the control, which may be `ABSENT`.

        Unchanged text keeps the current value, without being parsed.

        Raises:
            Invalid: the text is not valid here; the message says what would be.
        """
        blank = not (text if self.kind in ("text", "longtext") else text.strip())
        if text == self.rendered_value or (blank and not self.rendered_value):
            if self.current is ABSENT and self.required:
                raise Invalid("Required")
            return self.current
        return self._emptied() if blank else self._parsed(text)

    def _emptied(self) -> Any:
        if self.nullable:
            return None
        if self.kind in ("text", "longtext"):
            return ""
        if self.required:
            raise Invalid("Required")
        return ABSENT

    def _parsed(self, text: str) -> Any:
        match self.kind:
            case "text" | "longtext":
                return text
            case "integer":
                return whole_number(text.strip())
            case "number":
                return self._number(text.strip())
            case "choice":
                return self._chosen(text)
            case "date":
                return iso_date(text.strip())
            case "datetime":
                return iso_datetime(text.strip())
            case "json":
                return strict_json(text)
            case _:
                assert_never(self.kind)

    def _number(self, text: str) -> Any:
        """A number; for a Decimal an exact text, unless the current value is a number."""
        if self.option["type"] == "decimal" and not isinstance(self.current, int | float):
            return text
        return number(text)

    def _chosen(self, text: str) -> Any:
        for value in self.values:
            if code(value) == text:
                return value
        raise Invalid("Choose one of the options")


def controls(
    schema: Mapping[str, Any], arguments: Mapping[str, Any], prefix: str
) -> Iterator[Control]:
    """A control for each property, and for each argument that is not in the schema."""
    top = _resolved(schema, schema)
    described = top.get("properties", {})
    for argument in dict.fromkeys((*described, *arguments)):
        about = _resolved(described.get(argument, {}), schema)
        every = about.get("anyOf") or about.get("oneOf") or [about]
        options = [_resolved(each, schema) for each in every]
        current = arguments.get(argument, ABSENT)
        name, required = f"{prefix}.{quote(argument, safe='')}", argument in top.get("required", ())
        values = _values(options)
        if values:
            yield Control(argument, name, about, {}, values, required, False, current, "choice")
            continue
        others = [each for each in options if each.get("type") != "null"]
        option, nullable = _only(others), len(others) < len(options)
        empty = current is ABSENT or (current is None and nullable)
        kind = _kind(option, ABSENT if empty else current)
        yield Control(argument, name, about, option, (), required, nullable, current, kind)


def code(value: Any) -> str:
    """A value as JSON of visible ASCII: the posted value of a choice, unique per value."""
    return json.dumps(value, sort_keys=True)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with its reference resolved; keys beside the reference take precedence.

    Of a boolean, and of what is referred to elsewhere than in `$defs`, nothing is known.
    """
    if not isinstance(schema, Mapping):
        return {}
    while "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        target = root.get("$defs", {}).get(schema["$ref"].removeprefix("#/$defs/"), {})
        target = target if isinstance(target, Mapping) else {}
        # A class's title names the class, not the argument.
        schema = {key: value for key, value in target.items() if key != "title"} | beside
    return schema


def _values(options: list[Mapping[str, Any]]) -> tuple[Any, ...]:
    """All values that the options allow, if the schema lists them; else none."""
    found: dict[str, Any] = {}
    for option in options:
        match option:
            case {"const": value}:
                found[code(value)] = value
            case {"enum": [*values]}:
                found |= {code(value): value for value in values}
            case {"type": "boolean"}:
                found |= {"true": True, "false": False}
            case {"type": "null"}:
                found["null"] = None
            case _:
                return ()
    return tuple(found.values())


def _only(options: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one option; pydantic writes a Decimal as two, a number or a text."""
    if len(options) == 1:
        return options[0]
    if [each.get("type") for each in options] == ["number", "string"]:
        return {**options[1], **options[0], "type": "decimal"}
    return {}


def _kind(option: Mapping[str, Any], value: Any) -> Kind:
    """The simplest control that holds a value exactly; JSON holds any."""
    match option.get("type"), value:
        case "integer", Absent():
            return "integer"
        case "number" | "decimal", Absent():
            return "number"
        case "integer", int() if value is not True and value is not False:
            return "integer"
        case "number" | "decimal", int() | float() if value is not True and value is not False:
            return "number"
        case "decimal", str() if is_number(value):
            return "number"
        case "string", Absent():
            return _kind_of_text(option, "")
        case "string", str() if escape(value) == value:
            return _kind_of_text(option, value)
        case _:
            return "json"


def _kind_of_text(option: Mapping[str, Any], value: str) -> Kind:
    long = len(value) > ONE_LINE_CHARACTERS or option.get("maxLength", 0) > MANY_CHARACTERS
    if "\n" in value or long:
        return "longtext"
    match option.get("format"):
        case "date" if not value or is_date(value):
            return "date"
        case "date-time":
            return "datetime"
        case _:
            return "text"
