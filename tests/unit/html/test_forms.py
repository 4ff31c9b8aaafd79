"""Forms for arguments: untouched fields are unchanged, typed values are never lost."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, JsonValue, create_model

from agent_continuations.authoring.schema import ArgumentsRefused
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.ids import canonical_json
from agent_continuations.html.forms.form import FaultPlacement, Read, attach_faults, fields, parse
from agent_continuations.html.forms.form import Field as FormField
from agent_continuations.safe_text import escape
from tests.support.form_page import Browser, page
from tests.support.form_schemas import PAID, PREFIX, Address, Colour, pay, schema_of

HIDDEN = ["\u202e", "\u200b", "\r", "\r\n", "\x00", "\x85", "\u2028", "\ue000", "\ufeff"]
HOSTILE = [
    "</textarea><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "&lt;b&gt; &amp; &#60; &quot",
    "</option></select><b>",
    "{{ 7 * 7 }}{% raw %}",
    "<!--",
    "evil\u202etxt.exe",
]


class Mixed(Enum):
    ONE = 1
    TEXT = "1"
    HALF = 0.5
    NONE = None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


def made(annotation: Any, default: Any = ...) -> Mapping[str, Any]:
    """The schema of one argument `a`."""
    return schema_of(a=(annotation, default))


def drawn(annotation: Any, value: Any = ..., default: Any = ...) -> FormField:
    arguments = {} if value is ... else {"a": value}
    (field,) = fields(made(annotation, default), arguments, prefix=PREFIX)
    return field


def typed(annotation: Any, text: str, value: Any = ..., default: Any = ...) -> Read:
    """The result of typing this text in place of that value."""
    arguments = {} if value is ... else {"a": value}
    return parse(made(annotation, default), {"arguments.a": text}, arguments, prefix=PREFIX)


def untouched(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> Read:
    """The result of posting the form unchanged, as a browser does."""
    browser = Browser(page(fields(schema, arguments, prefix=PREFIX)))
    return parse(schema, browser.posted, arguments, prefix=PREFIX)


def fault(result: Read) -> str:
    ((name, told),) = result.faults
    assert name == "a" and "a" not in result.arguments
    return told


# -- untouched fields are unchanged ----------------------------------------------------------------

texts = st.text() | st.sampled_from([*HIDDEN, *HOSTILE, "", " ", "\n", "\n\na", "a\n", "\t"])
texts |= st.lists(st.sampled_from(["\n", "\r", "a", " ", "<", "&"])).map("".join)
whole = st.integers() | st.integers(-(2**80), 2**80)
real = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([1e22, -0.0, 5e-324])
json_values = st.recursive(
    st.none() | st.booleans() | whole | real | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
addresses = st.fixed_dictionaries(
    {"street": texts}, optional={"zip": st.just("0000"), "before": st.none()}
)
of_type: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, texts),
    (Annotated[str, Field(max_length=1000, description="long")], texts),
    (int, whole | st.sampled_from(["5", 5.0])),
    (Annotated[int, Field(ge=0, lt=10**30, multiple_of=1)], st.integers(0, 10**30 - 1)),
    (float, real | whole.filter(lambda n: abs(n) < 10**300)),
    (bool, st.booleans()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.integers() | real),
    (Annotated[Decimal, Field(gt=0)], st.sampled_from(["9.90", "1E+2", "1.", 3])),
    (date, st.dates().map(date.isoformat) | st.just("2026-11-22T00:00:00")),
    (datetime, st.datetimes(timezones=st.none() | st.just(UTC)).map(datetime.isoformat)),
    (time, st.times().map(time.isoformat)),
    (timedelta, st.sampled_from(["PT1H", "P1DT0.5S"])),
    (UUID, st.uuids().map(str)),
    (AnyUrl, st.sampled_from(["https://example.com/a?b=c&d", "mailto:a@example.com"])),
    (Colour, st.sampled_from(["red", "blue"])),
    (Mixed, st.sampled_from([1, "1", 0.5, None])),
    (Literal["a", "", " b", 3, None], st.sampled_from(["a", "", " b", 3, None])),
    (Literal["only"], st.just("only")),
    (Literal["x"] | Colour, st.sampled_from(["x", "red"])),
    (Address, addresses),
    (list[Address], st.lists(addresses, max_size=2)),
    (dict[str, float], st.dictionaries(texts, st.floats(-1e9, 1e9), max_size=3)),
    (tuple[int, str], st.tuples(whole, texts).map(list)),
    (int | str, whole | texts),
    (float | str, real | texts),
    (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        st.sampled_from([{"kind": "cat", "lives": 9}, {"kind": "dog"}]),
    ),
    (JsonValue, json_values),
    (Any, json_values),
    (None, st.none()),
]


@st.composite
def schemas_with_arguments(draw: st.DrawFn) -> tuple[type[BaseModel], dict[str, Any]]:
    """A model whose arguments are required, nullable or have a default, and valid values."""
    some = draw(st.lists(st.tuples(st.sampled_from(of_type), st.integers(0, 3)), max_size=6))
    members: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    for number, ((annotation, values), how) in enumerate(some):
        optional, nullable = how in (2, 3), how in (1, 3)
        kind = Optional[annotation] if nullable else annotation  # noqa: UP045
        name = ("a{}", "a.{}", "été {}", "\r\n\u202e{}")[number % 4].format(number)
        default = draw(st.none() if nullable else values) if optional else ...
        members[f"m{number}"] = (kind, Field(default, alias=name))
        if not optional or draw(st.booleans()):
            arguments[name] = draw(st.none() | values if nullable else values)
    config = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True)
    return create_model("Made", __config__=config, **members), arguments


@settings(max_examples=300)
@given(schemas_with_arguments())
def test_an_unchanged_form_returns_the_same_arguments(
    case: tuple[type[BaseModel], dict[str, Any]],
) -> None:
    model, arguments = case
    schema = model.model_json_schema()
    checked = model.model_validate(arguments).model_dump(mode="json", by_alias=True)
    for standing in (arguments, json.loads(json.dumps(checked))):
        back = untouched(schema, standing)
        assert back.faults == ()
        assert canonical_json(back.arguments) == canonical_json(standing)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b"]) | texts.filter(bool), json_values, max_size=3))
@example({"a": {"\r\n": "\r\n"}, "b": 2**64})
def test_an_unchanged_form_returns_even_invalid_arguments(arguments: dict[str, Any]) -> None:
    schema = schema_of(a=(int, ...), b=(Colour | None, None))
    back = untouched(schema, arguments)
    assert dict(back.faults).keys() <= {"a"} - arguments.keys()
    assert canonical_json(back.arguments) == canonical_json(arguments)


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nb",
        "a\nb",
        "a\rb",
        "\n\nfirst",
        "last\n",
        " ",
        "  a  ",
        "",
        "\t",
        "😀 é e\u0301",
        "\u202e",
    ],
    ids=ascii,
)
@pytest.mark.parametrize(
    "annotation", [str, str | None, Annotated[str, Field(max_length=999)], Any]
)
def test_a_text_keeps_every_space(value: str, annotation: Any) -> None:
    assert untouched(made(annotation), {"a": value}).arguments == {"a": value}


@pytest.mark.parametrize("value", [2**53 + 1, 10**40, 1e22, -0.0, 0.1, 5e-324, 1.0, 1], ids=repr)
def test_a_number_keeps_every_digit(value: float) -> None:
    (back,) = untouched(made(float), {"a": value}).arguments.values()
    assert (repr(back), type(back)) == (repr(value), type(value))


@pytest.mark.parametrize("arguments", [{}, {"a": None}, {"a": ""}], ids=["absent", "null", "empty"])
def test_absent_null_and_empty_stay_distinct(arguments: dict[str, Any]) -> None:
    schema = made(str | None, "default")
    (field,) = fields(schema, arguments, prefix=PREFIX)
    assert field.value == ""
    assert untouched(schema, arguments) == Read(arguments, ())


def test_a_field_that_was_not_posted_is_unchanged() -> None:
    schema = schema_of(a=(int, ...), b=(str, ...))
    posted = {"arguments.a": "2", "decision": "approve"}
    assert parse(schema, posted, {"a": 1, "b": "\r"}, prefix=PREFIX).arguments == {
        "a": 2,
        "b": "\r",
    }


def test_an_argument_outside_the_schema_is_shown_too() -> None:
    found = fields(made(int), {"a": 1, "b": "x"}, prefix=PREFIX)
    assert [(each.argument, each.kind, each.value) for each in found] == [
        ("a", "integer", "1"),
        ("b", "json", '"x"'),
    ]


def test_a_schema_may_be_a_reference() -> None:
    found = fields(Address.model_json_schema(), {"street": "Lane"}, prefix=PREFIX)
    assert [each.argument for each in found] == ["street", "zip", "before"]


# -- controls --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value", "kind"),
    [
        (str, "a", "text"),
        (str, "a\nb", "longtext"),
        (str, "word " * 20, "longtext"),
        (Annotated[str, Field(max_length=201)], "", "longtext"),
        (str | None, None, "text"),
        (int, 1, "integer"),
        (int | None, None, "integer"),
        (float, 1, "number"),
        (Decimal, "1.50", "number"),
        (Decimal | None, None, "number"),
        (bool, True, "choice"),
        (Colour, "red", "choice"),
        (Literal[1, "a"] | None, None, "choice"),
        (date, "2026-11-22", "date"),
        (date | None, None, "date"),
        (datetime, "2026-11-22T12:00:00Z", "datetime"),
        (Address, {"street": "Lane"}, "json"),
        (list[str], [], "json"),
        (int | str, 1, "json"),
        (Any, "a", "json"),
        # What the simpler control would not hold exactly:
        (int, 1.0, "json"),
        (int, True, "json"),
        (float, "1", "json"),
        (date, "2026-11-22T00:00:00", "text"),
        (Colour, "green", "choice"),
        (bool, 1, "choice"),
        (str, None, "json"),
        (str, 5, "json"),
    ],
)
def test_a_field_uses_the_simplest_control_for_its_value(
    annotation: Any, value: Any, kind: str
) -> None:
    assert drawn(annotation, value).kind == kind


@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
def test_a_text_with_invisible_characters_is_shown_as_json(hidden: str) -> None:
    field = drawn(str, f"a{hidden}b")
    assert field.kind == "json"
    assert hidden not in field.value
    assert json.loads(field.value) == f"a{hidden}b"
    assert any("invisible" in note for note in field.notes)
    assert typed(str, '"a b"', f"a{hidden}b").arguments == {"a": "a b"}


def test_a_numeric_keyboard_is_requested_only_for_digits() -> None:
    assert drawn(Annotated[int, Field(ge=0)], 1).inputmode == "numeric"
    assert drawn(Annotated[int | None, Field(gt=0)], None).inputmode == "numeric"
    assert drawn(Annotated[int, Field(ge=-1)], 1).inputmode == ""
    assert drawn(Annotated[Decimal, Field(gt=0)], "1").inputmode == ""  # a comma, or a point?
    assert drawn(AnyUrl, "https://example.com").inputmode == "url"


def test_limits_are_described() -> None:
    assert drawn(Annotated[int, Field(ge=1, lt=9, multiple_of=2)], 1).notes == (
        "At least 1, less than 9, a multiple of 2.",
    )
    assert drawn(Annotated[str, Field(min_length=2, max_length=9, pattern="^A")], "A").notes == (
        "2 or more characters, up to 9 characters, pattern ^A.",
    )


def test_the_expected_json_is_described() -> None:
    assert drawn(Address, {}).notes == ("JSON object with street, zip, before.",)
    assert drawn(Annotated[list[int], Field(min_length=1)], [1]).notes == (
        "1 or more items.",
        "JSON list.",
    )
    assert drawn(int | str, 1).notes == ("JSON.",)
    assert "in quotes" in drawn(str, "\x00").notes[0]


def test_the_title_of_a_class_is_not_the_label_of_an_argument() -> None:
    field = drawn(Address, {"street": "Lane"})
    assert (field.label, field.description) == ("a", "Where somebody lives.")
    own = drawn(Annotated[Address, Field(title="Home", description="Told.")], {"street": "Lane"})
    assert (own.label, own.description) == ("Home", "Told.")


# -- choices ---------------------------------------------------------------------------------------


def offered(field: FormField) -> list[tuple[str, str]]:
    return [(each.value, each.label) for each in field.choices]


def test_choices_keep_the_types_of_their_values() -> None:
    assert offered(drawn(Mixed, "1")) == [
        ("1", "1"),
        ('"1"', '"1"'),
        ("0.5", "0.5"),
        ("null", "(none)"),
    ]
    for text, value in (("1", 1), ('"1"', "1"), ("0.5", 0.5), ("null", None)):
        (back,) = typed(Mixed, text, 0.5).arguments.values()
        assert (back, type(back)) == (value, type(value))


def test_an_optional_boolean_has_three_choices() -> None:
    assert offered(drawn(bool, True)) == [("true", "yes"), ("false", "no")]
    assert offered(drawn(bool | None, None))[2:] == [("null", "(none)")]
    assert offered(drawn(bool, default=False)) == [
        ("", "Default (no)"),
        ("true", "yes"),
        ("false", "no"),
    ]
    assert typed(bool, "false", True).arguments == {"a": False}


def test_an_untouched_list_selects_nothing() -> None:
    field = drawn(Colour)
    assert offered(field)[0] == ("", "Please choose")
    posted = Browser(page([field])).posted
    assert posted == {"arguments.a": ""}
    assert fault(parse(made(Colour), posted, {}, prefix=PREFIX)) == "Required"


def test_a_choice_can_be_reset_to_the_original_value() -> None:
    for standing, text in (({}, ""), ({"a": "green"}, '"green"')):
        schema = made(Colour, Colour.RED)
        posted = {"arguments.a": '"blue"'}
        (again,) = fields(schema, standing, prefix=PREFIX, posted=posted)
        assert text in dict(offered(again))
        assert parse(schema, {"arguments.a": text}, standing, prefix=PREFIX).arguments == standing


def test_an_original_value_outside_the_choices_is_added() -> None:
    field = drawn(Colour, "green")
    assert offered(field)[0] == ('"green"', '"green"')
    assert untouched(made(Colour), {"a": "green"}).arguments == {"a": "green"}
    assert typed(Colour, '"blue"', "green").arguments == {"a": "blue"}


def test_an_invalid_choice_is_refused_and_shown_again() -> None:
    assert "options" in fault(typed(Colour, '"green"', "red"))
    posted = {"arguments.a": '"green"'}
    (again,) = fields(made(Colour), {"a": "red"}, prefix=PREFIX, posted=posted)
    assert Browser(page([again])).posted == posted


# -- typed values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, " 12 ", 12),
        (int, "-7", -7),
        (int, "+7", 7),
        (int, "007", 7),
        (int, "9007199254740993", 2**53 + 1),
        (float, "1e3", 1000.0),
        (float, ".5", 0.5),
        (float, "5.", 5.0),
        (float, "9007199254740993", 2**53 + 1),
        (str, " a ", " a "),
        (str, "null", "null"),
        (str, "a\r\nb", "a\nb"),
        (date, " 2026-11-23", "2026-11-23"),
        (datetime, "2026-11-23 10:00Z", "2026-11-23 10:00Z"),
        (Address, '{"street": "Lane"}', {"street": "Lane"}),
        (Any, "[1, null, 1e2]", [1, None, 100.0]),
    ],
)
def test_typed_values_are_parsed(annotation: Any, text: str, value: Any) -> None:
    (back,) = typed(annotation, text).arguments.values()
    assert (back, type(back)) == (value, type(value))


@pytest.mark.parametrize(
    ("annotation", "text", "told"),
    [
        (int, "1.0", "Enter a whole number"),
        (int, "1e3", "Enter a whole number"),
        (int, "1_000", "Enter a whole number"),
        (int, "\u0663", "Enter a whole number"),
        (int, "9" * 5000, "Enter a whole number"),
        (int, " ", "Required"),
        (float, "1,5", "Enter a number"),
        (float, "NaN", "Enter a number"),
        (float, "Infinity", "Enter a number"),
        (float, "1e400", "Enter a number"),
        (float, "0x10", "Enter a number"),
        (date, "23.11.2026", "Enter a date"),
        (date, "2026-02-30", "Enter a date"),
        (date, "20261123", "Enter a date"),
        (datetime, "tomorrow", "Enter a date and time"),
        (Address, "{", "Invalid JSON (line 1, column 2)"),
        (Address, "street", "Invalid JSON"),
        (Any, '{"a": 1, "b": {"c": 1, "c": 2}}', 'Duplicate name "c"'),
        (Any, "[NaN]", "NaN is not a valid number"),
        (Any, "-Infinity", "-Infinity is not a valid number"),
        (Any, "[1e400]", "a number that is too large"),
        (Any, "9" * 5000, "too many digits"),
        (Any, '"\\ud800"', "incomplete character"),
        (Any, "[" * 100_000, "Nested too deeply"),
        (str, "", "Required"),
    ],
)
def test_a_value_that_cannot_be_parsed_is_explained(annotation: Any, text: str, told: str) -> None:
    assert told in fault(typed(annotation, text))


def test_a_decimal_keeps_every_typed_digit() -> None:
    digits = "0.1000000000000000055511151231257827"
    assert typed(Decimal, digits, "1.5").arguments == {"a": digits}
    assert typed(Decimal, digits).arguments == {"a": digits}
    assert typed(Decimal, "2.5", 1.5).arguments == {"a": 2.5}


@pytest.mark.parametrize(
    ("annotation", "default", "value", "meaning", "told"),
    [
        (str, ..., "x", {"a": ""}, None),
        (str, "d", "x", {"a": ""}, "If empty: an empty text."),
        (str, "d", ..., {}, "Default: d."),
        (str, "", ..., {}, 'Default: "".'),
        (str | None, ..., "x", {"a": None}, "If empty: none."),
        (str | None, ..., "", {"a": ""}, "If empty: an empty text."),
        (str | None, None, ..., {}, "If empty: not set."),
        (int, 5, 6, {}, "Default: 5."),
        (int | None, 5, 6, {"a": None}, "If empty: none."),
        (list[str], ["x"], [], {}, 'Default: ["x"].'),
        (Address | None, None, {"street": "Lane"}, {"a": None}, "If empty: none."),
        (date | None, None, "2026-11-22", {"a": None}, "If empty: none."),
    ],
)
def test_an_empty_control_has_the_meaning_that_the_form_shows(
    annotation: Any, default: Any, value: Any, meaning: dict[str, Any], told: str | None
) -> None:
    assert typed(annotation, "", value, default) == Read(meaning, ())
    notes = drawn(annotation, value, default).notes
    assert [each for each in notes if each.startswith(("If empty", "Default"))] == (
        [told] if told else []
    )


@pytest.mark.parametrize(("annotation", "value"), [(int, 1), (date, "2026-11-22"), (Any, [1])])
def test_a_required_field_cannot_be_empty(annotation: Any, value: Any) -> None:
    assert fault(typed(annotation, " ", value)) == "Required"


def test_an_unknown_field_name_is_an_error() -> None:
    posted = {"arguments.a": "1", "arguments.b": "2", "arguments.a.c": "3", "arguments": "x"}
    result = parse(made(int), posted, {"a": 1}, prefix=PREFIX)
    assert result.faults == (("a.c", "unknown"), ("b", "unknown"))


@settings(deadline=None)
@given(st.sampled_from([kind for kind, _ in of_type]), texts, st.booleans())
def test_any_text_is_parsed_or_refused_and_never_lost(
    annotation: Any, text: str, optional: bool
) -> None:
    schema = made(Optional[annotation] if optional else annotation)  # noqa: UP045
    posted = {"arguments.a": text}
    result = parse(schema, posted, {}, prefix=PREFIX)
    canonical_json(result.arguments).encode()
    assert {name for name, _ in result.faults} <= {"a"}
    (again,) = fields(schema, {}, prefix=PREFIX, posted=posted)
    assert again.value == text.replace("\r\n", "\n")
    if not re.search("[\r\x00]", again.value):  # no browser posts these
        assert Browser(page([again])).posted["arguments.a"].replace("\r\n", "\n") == again.value


# -- errors at their controls ----------------------------------------------------------------------


def shown_again(made: Tool, posted: Mapping[str, str]) -> FaultPlacement:
    """The form after a post that the form or the tool refused."""
    result = parse(made.schema, posted, PAID, prefix=PREFIX)
    faults = result.faults
    if not faults:
        with pytest.raises(ArgumentsRefused) as caught:
            made.validate(result.arguments)
        faults = caught.value.fields
    return attach_faults(fields(made.schema, PAID, prefix=PREFIX, posted=posted), faults)


def test_an_error_of_the_tool_is_shown_at_its_control() -> None:
    posted = {"arguments.amount": "1,50", "arguments.to": '{"zip": "x", "street": "Lane"}'}
    placed = shown_again(pay, posted)
    told = {each.name: each.fault for each in placed.fields if each.fault}
    assert set(told) == set(posted)
    assert "valid decimal" in (told["arguments.amount"] or "")
    assert (told["arguments.to"] or "").startswith("zip: String should match")
    assert {each.name: each.value for each in placed.fields if each.fault} == posted
    assert placed.general == ()


def test_an_error_without_a_control_is_kept() -> None:
    placed = attach_faults(
        fields(made(int), {"a": 1}, prefix=PREFIX), [("ab", "no"), ("body", "neither")]
    )
    assert placed.general == (("ab", "no"), ("body", "neither"))
    assert placed.fields[0].fault is None


def test_errors_of_names_with_dots_and_several_errors_at_one_control() -> None:
    found = fields({}, {"a": 1, "a.b": 2}, prefix=PREFIX)
    placed = attach_faults(found, [("a.b.0", "one"), ("a.b", "two"), ("a.c", "three")])
    assert [each.fault for each in placed.fields] == ["c: three", "0: one; two"]


# -- the rendered form -----------------------------------------------------------------------------


def assert_everybody_can_use(text: str, drawn: tuple[FormField, ...]) -> Browser:
    browser = Browser(text)
    assert list(browser.controls) == [each.name for each in drawn]
    ids = [found["id"] for _, found in browser.tags if "id" in found]
    assert len(ids) == len(set(ids)) and not any(re.search(r"\s", each) for each in ids)
    for field in drawn:
        control = browser.controls[field.name]
        assert control["id"] == field.name
        assert browser.labels[field.name].split()[-1] == (
            "required" if field.required else "optional"
        )
        about = [browser.texts[each] for each in control.get("aria-describedby", "").split()]
        assert (control.get("aria-invalid") == "true") == bool(field.fault)
        fault = browser.texts.get(f"{field.name}:fault", "")
        assert fault == escape(field.fault or "")
        assert bool(field.fault) == (fault in about)
        assert all(any(note.split()[0] in each for each in about) for note in field.notes)
        assert control["autocomplete"] == "off"
    return browser


def test_every_control_has_a_label_and_its_errors() -> None:
    posted = {"arguments.count": "three", "arguments.when": "soon", "arguments.colour": "mauve"}
    placed = shown_again(pay, posted)
    browser = assert_everybody_can_use(page(placed.fields), placed.fields)
    assert {name for name, each in browser.controls.items() if "aria-invalid" in each} == {*posted}
    assert {name: browser.posted[name] for name in posted} == posted
    assert browser.controls["arguments.when"]["type"] == "text"
    assert "in euros." in browser.texts["arguments.amount:about"]
    assert browser.controls["arguments.to"]["spellcheck"] == "false"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_adds_no_markup(hostile: str) -> None:
    described = Annotated[Any, Field(title=hostile, description=hostile)]
    schema = schema_of(
        a=(described, hostile),
        b=(str, Field(alias=hostile)),
        c=(Annotated[str, Field(json_schema_extra={"enum": ["x", hostile]})], ...),
        d=(Annotated[str, Field(pattern=re.escape(hostile))], ...),
    )
    arguments = {"a": hostile, hostile: hostile, "c": hostile, "d": hostile, "e": [hostile]}
    placed = attach_faults(
        fields(schema, arguments, prefix=PREFIX), [("a", hostile), ("c", hostile)]
    )
    text = page(placed.fields)
    browser = assert_everybody_can_use(text, placed.fields)
    assert {tag for tag, _ in browser.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "form", "button"),
        *("div", "label", "span", "p", "input", "textarea", "select", "option"),
    }
    assert not {name for _, found in browser.tags for name in found if name.startswith("on")}
    assert not any("style" in found for _, found in browser.tags)
    assert "\u202e" not in text
    assert parse(schema, browser.posted, arguments, prefix=PREFIX) == Read(arguments, ())


def test_invisible_characters_in_a_typed_text_are_pointed_out() -> None:
    posted = {"arguments.a": "x\u202ey"}
    (again,) = fields(made(str), {"a": "x"}, prefix=PREFIX, posted=posted)
    assert again.value == "x\u202ey"
    assert again.notes == ("Contains invisible characters: x\\u{202e}y",)
    assert "x\\u{202e}y" in Browser(page([again])).texts["arguments.a:about"]
    (as_json,) = fields(made(Any), {"a": 1}, prefix=PREFIX, posted={"arguments.a": '"x\u202ey"'})
    assert any("x\\u{202e}y" in note for note in as_json.notes)
