"""Arguments as an HTML form without scripts: one control each, and the parsing of the posted form.

A control that is posted as it was rendered keeps its value unparsed; only changed text is parsed.
So null, an empty text and an absent argument stay distinct, although an empty control shows all
three, and no number changes its format.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from agent_continuations.errors import Invalid
from agent_continuations.html.forms.control import ABSENT, controls
from agent_continuations.html.forms.field import Choice, Field, to_field

__all__ = [
    "Choice",
    "FaultPlacement",
    "Field",
    "FieldError",
    "Read",
    "attach_faults",
    "fields",
    "parse",
]

FieldError: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Read:
    """A parsed form. With faults, the arguments must not be used."""

    arguments: dict[str, Any]
    faults: tuple[FieldError, ...]


@dataclass(frozen=True, slots=True)
class FaultPlacement:
    """Fields with their faults, and the faults that belong to no field."""

    fields: tuple[Field, ...]
    general: tuple[FieldError, ...]


def fields(
    schema: Mapping[str, Any],
    arguments: Mapping[str, Any],
    *,
    prefix: str,
    posted: Mapping[str, str] | None = None,
) -> tuple[Field, ...]:
    """The controls of a form for these arguments.

    Args:
        schema: a JSON schema of an object, as pydantic writes it.
        arguments: the current values.
        prefix: controls are posted as `prefix.argument`.
        posted: the values typed, where the form is shown again.
    """
    typed = posted or {}
    return tuple(
        to_field(control, _unfolded(typed.get(control.name, control.rendered_value)))
        for control in controls(schema, arguments, prefix)
    )


def parse(
    schema: Mapping[str, Any],
    posted: Mapping[str, str],
    arguments: Mapping[str, Any],
    *,
    prefix: str,
) -> Read:
    """The arguments in a posted form; controls that are missing keep their value.

    Only text that cannot be parsed is a fault here: the tool validates the arguments.

    Args:
        schema: the schema that the form was rendered from.
        posted: the posted form.
        arguments: the values when the form was rendered.
        prefix: as given to `fields`.
    """
    arguments_read: dict[str, Any] = {}
    faults: list[FieldError] = []
    unknown = {name for name in posted if name.startswith(f"{prefix}.")}
    for control in controls(schema, arguments, prefix):
        unknown.discard(control.name)
        try:
            value = control.parse(_unfolded(posted.get(control.name, control.rendered_value)))
        except Invalid as error:
            faults.append((control.argument, str(error)))
            continue
        if value is not ABSENT:
            arguments_read[control.argument] = value
    unexpected = [(name.removeprefix(f"{prefix}.")[:64], "unknown") for name in sorted(unknown)]
    return Read(arguments_read, (*faults, *unexpected))


def attach_faults(form_fields: Sequence[Field], faults: Sequence[FieldError]) -> FaultPlacement:
    """Attach each fault to its field: one at `address.street` belongs to `address`.

    Args:
        form_fields: the fields.
        faults: pairs of a dotted name, which starts with that of an argument, and a message.
    """
    found: dict[str, list[str]] = {}
    general: list[FieldError] = []
    for name, fault in faults:
        # The name of an argument may contain dots, too, so the longest match counts.
        argument = max(
            (each.argument for each in form_fields if f"{name}.".startswith(f"{each.argument}.")),
            key=len,
            default=None,
        )
        if argument is None:
            general.append((name, fault))
            continue
        inside = name[len(argument) + 1 :]
        found.setdefault(argument, []).append(f"{inside}: {fault}" if inside else fault)
    placed = tuple(
        replace(each, fault="; ".join(found[each.argument])) if each.argument in found else each
        for each in form_fields
    )
    return FaultPlacement(placed, tuple(general))


def _unfolded(text: str) -> str:
    """A text with its original line breaks: browsers post every line break as CRLF.

    Source: HTML Standard, "Constructing the entry list". A value with a CR of its own is rendered
    as JSON, where the CR is an escape.
    """
    return text.replace("\r\n", "\n")
