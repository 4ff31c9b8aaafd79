"""A control of a form: which one fits an argument, what stands in it, what a text in it means.

Numbers and times stand in text controls. A browser hands out what is typed into `type=number` only
where it can read it, and posts nothing where it cannot; `type=datetime-local` has no zone and drops
seconds that are nought. A value that no simpler control holds exactly stands there as JSON: among
them texts with characters that cannot be seen, so that nothing hides and nothing changes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, assert_never
from urllib.parse import quote

from agent_continuations.errors import Invalid
from agent_continuations.html.forms.parsing import (
    day,
    is_date,
    is_number,
    moment,
    number,
    strict_json,
    whole,
)
from agent_continuations.safe_text import escape, escape_json

Kind: TypeAlias = Literal[
    "text", "longtext", "integer", "number", "choice", "date", "datetime", "json"
]

ONE_LINE_CHARACTERS = 60
MANY_CHARACTERS = 200


class Absent(Enum):
    """Stands for an argument that is not there; null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Control:
    """What the schema says of one argument, and what stands there now.

    Attributes:
        argument: its name.
        name: what it is posted as. It is percent-encoded: browsers alter line breaks in names.
        about: all that the schema says of it.
        option: the one thing that it may be besides null; empty where there are several.
        values: all that can be chosen; empty where it is no choice.
        required: whether it must be given.
        nullable: whether an empty control may mean null.
        standing: its value, or `ABSENT`.
        kind: which control holds the value exactly.
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
        """The standing value as it is drawn."""
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
        """The value that a text in the control means; `ABSENT` is one, too.

        What was drawn and not changed means what stood there, without being read.

        Raises:
            Invalid: it means nothing here; the message tells a person what would.
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
                return whole(text.strip())
            case "number":
                return self._number(text.strip())
            case "choice":
                return self._chosen(text)
            case "date":
                return day(text.strip())
            case "datetime":
                return moment(text.strip())
            case "json":
                return strict_json(text)
            case _:
                assert_never(self.kind)

    def _number(self, text: str) -> Any:
        """A number; for a Decimal a text, which is exact, unless a number stood there."""
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
    """A control for each property, and for each argument that the schema does not name."""
    top = _resolved(schema, schema)
    described = top.get("properties", {})
    for argument in dict.fromkeys((*described, *arguments)):
        about = _resolved(described.get(argument, {}), schema)
        every = about.get("anyOf") or about.get("oneOf") or [about]
        options = [_resolved(each, schema) for each in every]
        standing = arguments.get(argument, ABSENT)
        name, required = f"{prefix}.{quote(argument, safe='')}", argument in top.get("required", ())
        values = _values(options)
        if values:
            yield Control(argument, name, about, {}, values, required, False, standing, "choice")
            continue
        some = [each for each in options if each.get("type") != "null"]
        option, nullable = _only(some), len(some) < len(options)
        empty = standing is ABSENT or (standing is None and nullable)
        kind = _kind(option, ABSENT if empty else standing)
        yield Control(argument, name, about, option, (), required, nullable, standing, kind)


def code(value: Any) -> str:
    """A value as JSON of visible ASCII: what a choice posts. No two values have the same."""
    return json.dumps(value, sort_keys=True)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without the reference that it begins with; what stands beside it counts more."""
    while "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        target = root.get("$defs", {}).get(schema["$ref"].removeprefix("#/$defs/"), {})
        # A class's title names the class, not the argument.
        schema = {key: value for key, value in target.items() if key != "title"} | beside
    return schema


def _values(options: list[Mapping[str, Any]]) -> tuple[Any, ...]:
    """All values that the options admit, if those are few and told."""
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
    """The one option, or what two make together: a number or a text is a Decimal to pydantic."""
    if len(options) == 1:
        return options[0]
    if [each.get("type") for each in options] == ["number", "string"]:
        return {**options[1], **options[0], "type": "decimal"}
    return {}


def _kind(option: Mapping[str, Any], value: Any) -> Kind:
    """The simplest control that holds a value exactly, or as JSON, which holds any."""
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
