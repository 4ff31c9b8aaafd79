"""The rendering of a control: its label, notes, choices and keyboard.

Limits are notes, not attributes: `maxlength` cuts pasted text and counts other characters than JSON
Schema does, `pattern` is another dialect, `type=email` alters its value, and the validation message
of a browser disappears.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent_continuations.errors import Invalid
from agent_continuations.html.forms.control import ABSENT, Control, Kind, code
from agent_continuations.html.forms.parsing import DATETIME_EXAMPLE, is_date
from agent_continuations.safe_text import escape

_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "{} or more characters",
    "maxLength": "up to {} characters",
    "pattern": "pattern {}",
    "minItems": "{} or more items",
    "maxItems": "up to {} items",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An option of a choice: the posted value, and its label."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """A control of the form, ready to render.

    Attributes:
        name: of the control; also an id, as it has neither spaces nor colons.
        argument: the name of the argument in the schema.
        label: the title of the argument, or its name.
        description: from the schema.
        notes: limits, format, and the meaning of an empty control.
        kind: the kind of control.
        required: whether the argument is required.
        value: the text in the control; in a form shown again, what was typed.
        choices: the options of a choice; the one with `value` is selected.
        inputmode: the keyboard of a phone; empty for the full one.
        fault: the error in the value.
    """

    name: str
    argument: str
    label: str
    description: str
    notes: tuple[str, ...]
    kind: Kind
    required: bool
    value: str
    choices: tuple[Choice, ...] = ()
    inputmode: str = ""
    fault: str | None = None


def to_field(control: Control, value: str) -> Field:
    """The field of a control with a text: the rendered value, or what was typed."""
    return Field(
        name=control.name,
        argument=control.argument,
        label=control.about.get("title", control.argument),
        description=control.about.get("description", ""),
        notes=tuple(_notes(control, value)),
        kind=_field_kind(control.kind, value),
        required=control.required,
        value=value,
        choices=tuple(_choices(control, value)) if control.kind == "choice" else (),
        inputmode=_inputmode(control),
    )


def _field_kind(kind: Kind, value: str) -> Kind:
    """The kind of control that can show the text, even an invalid one."""
    if "\n" in value and kind != "json":
        return "longtext"
    return "text" if kind == "date" and value and not is_date(value) else kind


def _choices(control: Control, value: str) -> Iterator[Choice]:
    """The options, preceded by the current and the typed text where these are no options.

    Without them a browser would select the first option for a person who selected none.
    """
    offered = {code(each): each for each in control.values}
    for text in dict.fromkeys((control.rendered_value, value)):
        if text not in offered:
            placeholder = "Please choose" if control.required else _absent_choice(control)
            yield Choice(text, text or placeholder)
    quoted = not all(isinstance(each, str) for each in control.values if each is not None)
    for text, each in offered.items():
        yield Choice(text, _label(each, quoted and not isinstance(each, bool)))


def _label(value: Any, quoted: bool) -> str:
    match value:
        case True | False:
            return "yes" if value else "no"
        case None:
            return "(none)"
        case str() if not quoted and value and value.strip() == value:
            return value
        case _:
            return code(value)


def _notes(control: Control, value: str) -> Iterator[str]:
    limits = [
        text.format(_label(control.option[key], quoted=False))
        for key, text in _LIMITS.items()
        if key in control.option
    ]
    if limits:
        yield _sentence(", ".join(limits))
    if control.kind == "datetime":
        yield f"Format: {DATETIME_EXAMPLE}."
    if control.kind == "json":
        yield _json_note(control)
    if escape(value) != value:
        yield f"Contains invisible characters: {escape(value)}"
    if control.kind != "choice" and (control.nullable or not control.required):
        yield from _empty_notes(control)


def _json_note(control: Control) -> str:
    match control.option:
        case {"type": "string"} if isinstance(control.current, str):
            return "JSON, in quotes: invisible characters are shown as escapes."
        case {"type": "object", "properties": {**properties}}:
            return f"JSON object with {', '.join(map(str, properties))}."
        case {"type": "array"}:
            return "JSON list."
        case _:
            return "JSON."


def _empty_notes(control: Control) -> Iterator[str]:
    """The meaning of an empty control, where it is not obvious."""
    try:
        value = control.parse("")
    except Invalid:
        return
    if value is ABSENT and (default := control.about.get("default")) is not None:
        yield f"Default: {_label(default, quoted=False)}."
        return
    meanings = {"": "an empty text", None: "none", ABSENT: "not set"}
    yield f"If empty: {meanings[value]}."


def _absent_choice(control: Control) -> str:
    """The label of the choice that leaves an argument out."""
    default = control.about.get("default")
    return "Not set" if default is None else f"Default ({_label(default, quoted=False)})"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _inputmode(control: Control) -> str:
    """The keyboard of a phone, where a smaller one has all keys needed.

    The numeric keyboard has no minus; the decimal one has the decimal mark of the phone's language,
    and where that is a comma no number could be typed.
    """
    option = control.option
    never_below = option.get("minimum", option.get("exclusiveMinimum", -1)) >= 0
    if control.kind == "integer" and never_below:
        return "numeric"
    if control.kind == "text":
        return {"email": "email", "uri": "url"}.get(option.get("format", ""), "")
    return ""
