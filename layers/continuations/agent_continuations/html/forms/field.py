"""How a control is drawn: its name and notes in words, its choices, its keyboard.

Limits are told in words. `maxlength` cuts what is pasted and counts other characters than JSON
Schema does, `pattern` is another language, `type=email` alters what it is given, and what a browser
says in a bubble of its own is gone when one looks for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agent_continuations.errors import Invalid
from agent_continuations.html.forms.control import ABSENT, Control, Kind, code
from agent_continuations.html.forms.parsing import MOMENT, is_date
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
    """One of the values that a choice offers: what is posted, and what a person reads."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """A control of the form, ready to be drawn.

    Attributes:
        name: what it is posted as; fit for an id, too: it has neither spaces nor colons.
        argument: the argument that it stands for, as the schema names it.
        label: what it is called.
        description: what the schema's author says of it.
        notes: what is to be known to fill it in: limits, form, and what it means left empty.
        kind: which control it is.
        required: whether the argument must be given.
        value: what stands in the control; in a form shown again, what was typed.
        choices: what can be chosen; the one whose value is `value` is.
        inputmode: which keyboard a phone may show; empty where it should be the whole one.
        fault: what is wrong with the value.
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
    """The field of a control in which a text stands: the written one, or what was typed."""
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
    """The control that can show what stands there, even what should not have been typed."""
    if "\n" in value and kind != "json":
        return "longtext"
    return "text" if kind == "date" and value and not is_date(value) else kind


def _choices(control: Control, value: str) -> Iterator[Choice]:
    """What can be chosen, begun by what stands or stood there and is no choice.

    Without it a browser would choose the first value for a person who chose none.
    """
    offered = {code(each): each for each in control.values}
    for text in dict.fromkeys((control.rendered_value, value)):
        if text not in offered:
            none = "Please choose" if control.required else _absent_choice(control)
            yield Choice(text, text or none)
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
    told = [(words, control.option[key]) for key, words in _LIMITS.items() if key in control.option]
    limits = [words.format(_label(limit, quoted=False)) for words, limit in told]
    if limits:
        yield _sentence(", ".join(limits))
    if control.kind == "datetime":
        yield f"Format: {MOMENT}."
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
    """What an empty control means, where that is not plain to see."""
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


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _inputmode(control: Control) -> str:
    """The keyboard of a phone, where a smaller one has all that is needed.

    One of digits has no minus; one of digits and a decimal mark has the mark of the phone's
    language, and where that is a comma no number could be typed at all.
    """
    option = control.option
    never_below = option.get("minimum", option.get("exclusiveMinimum", -1)) >= 0
    if control.kind == "integer" and never_below:
        return "numeric"
    if control.kind == "text":
        return {"email": "email", "uri": "url"}.get(option.get("format", ""), "")
    return ""
