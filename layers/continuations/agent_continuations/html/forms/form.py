"""Arguments as an HTML form without scripts: a control for each, and what a post says of them.

One rule keeps a form from altering what nobody touched: a control that comes back as it was drawn
means the value that stood in it, and only a text that was changed is read. So null, an empty text
and an argument that is not there stay apart although an empty control shows all three, and no
number goes through another's idea of it.

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
    """What a post says. With faults, the arguments are not to be used."""

    arguments: dict[str, Any]
    faults: tuple[FieldError, ...]


@dataclass(frozen=True, slots=True)
class FaultPlacement:
    """Fields with their faults, and the faults that belong to none of them."""

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
        arguments: what stands now.
        prefix: controls are posted as `prefix.argument`.
        posted: what was typed, where the form is shown again.
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
    """The arguments that a post asks for; what it does not have stays as it is.

    Only what cannot be read is a fault here: whether the arguments fit is the tool's to say.

    Args:
        schema: the schema that the form was drawn from.
        posted: what the browser sent.
        arguments: what stood when the form was drawn.
        prefix: as it was given to `fields`.
    """
    given: dict[str, Any] = {}
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
            given[control.argument] = value
    strange = [(name.removeprefix(f"{prefix}.")[:64], "unknown") for name in sorted(unknown)]
    return Read(given, (*faults, *strange))


def attach_faults(unplaced: Sequence[Field], faults: Sequence[FieldError]) -> FaultPlacement:
    """Put each fault at its control: one at `address.street` belongs to `address`.

    Args:
        unplaced: the fields.
        faults: pairs of a dotted name, which begins with an argument's, and what is wrong there.
    """
    found: dict[str, list[str]] = {}
    general: list[FieldError] = []
    for name, fault in faults:
        # An argument's name may have dots, too: the longest that fits is meant.
        owner = max(
            (each.argument for each in unplaced if f"{name}.".startswith(f"{each.argument}.")),
            key=len,
            default=None,
        )
        if owner is None:
            general.append((name, fault))
            continue
        inside = name[len(owner) + 1 :]
        found.setdefault(owner, []).append(f"{inside}: {fault}" if inside else fault)
    told = tuple(
        replace(each, fault="; ".join(found[each.argument])) if each.argument in found else each
        for each in unplaced
    )
    return FaultPlacement(told, tuple(general))


def _unfolded(text: str) -> str:
    """A text as it stood in its control: browsers post line breaks as CRLF, whatever they were.

    Source: HTML Standard, "Constructing the entry list". No CR of a value's own is in danger:
    a text with one stands as JSON, where it is an escape.
    """
    return text.replace("\r\n", "\n")
