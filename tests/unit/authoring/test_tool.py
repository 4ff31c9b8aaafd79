"""Tools: schemas from signatures, validation of arguments, results and approvals."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agent_continuations import Agent, Approval, ToolCall, ToolContext, tool
from agent_continuations.authoring.approval import WEEK_SECONDS
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.schema import ArgumentsRefused
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.policy import ApprovalPolicy, Stage
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.plans import Effect

CONTEXT = ToolContext(run_id="r", path="0.0", attempt=1, idempotency_key="k" * 40)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    street: str
    zip: str = Field(pattern=r"^\d{4}$")


class Person(BaseModel):
    name: str
    home: Address
    others: list[Address] = []


def run(made: Tool, arguments: Mapping[str, Any], context: ToolContext) -> Any:
    """Run a tool with the values that it makes of JSON."""
    return made.run(made.arguments.read(json.dumps(arguments)).typed(), context)


def properties(made: Tool) -> dict[str, Any]:
    found = made.schema["properties"]
    assert isinstance(found, dict)
    return found


def faults(made: Tool, **arguments: Any) -> dict[str, str]:
    with pytest.raises(ArgumentsRefused) as caught:
        made.validate(arguments)
    return dict(caught.value.fields)


# -- schemas for the model -------------------------------------------------------------------------


@tool
def pay(amount: Annotated[float, Field(gt=0, le=100)], to: str, note: str | None = None) -> str:
    """Pay somebody.

    Money is gone afterwards.

    Args:
        amount: in euros.
        to: the account,
            with its country.
        note: what for.

    Returns:
        the receipt.

    Raises:
        ValueError: no money.
    """
    return f"{to} got {amount}: {note}"


def test_the_schema_comes_from_the_signature_and_the_docstring() -> None:
    assert pay.schema == {
        "type": "object",
        "properties": {
            "amount": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 100,
                "description": "in euros.",
            },
            "to": {"type": "string", "description": "the account,\nwith its country."},
            "note": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "default": None,
                "description": "what for.",
            },
        },
        "required": ["amount", "to"],
        "additionalProperties": False,
    }


def test_the_description_is_the_first_part_of_the_docstring() -> None:
    assert pay.name == "pay"
    assert pay.description == "Pay somebody.\n\nMoney is gone afterwards."


def test_a_summary_of_two_lines_stays_one_paragraph() -> None:
    @tool
    def look() -> str:
        """Look at
        something.
        """
        return ""

    assert look.description.split() == ["Look", "at", "something."]
    assert "\n\n" not in look.description


def test_name_and_description_can_be_set() -> None:
    @tool(name="send-money", description="Send it.")
    def send(to: str) -> str:
        """Not told.

        Args:
            to: told.
        """
        return to

    assert (send.name, send.description) == ("send-money", "Send it.")
    assert properties(send)["to"]["description"] == "told."


def test_a_tool_needs_neither_docstring_nor_parameters() -> None:
    @tool
    def ping():  # type: ignore[no-untyped-def]
        return "pong"

    assert (ping.description, properties(ping)) == ("", {})
    assert ping.validate({}) == {}
    assert run(ping, {}, CONTEXT) == "pong"


@pytest.mark.parametrize(
    "text",
    [
        "Args:",
        "Args:\n  x",
        ":param",
        "Args:\n    x (int: broken",
        "Parameters\n-----",
        "@",
        "%s {",
    ],
)
def test_a_malformed_docstring_is_accepted(text: str) -> None:
    def odd(x: int) -> int:
        return x

    odd.__doc__ = text
    assert list(properties(tool(odd))) == ["x"]


def test_enums_and_literals_become_choices() -> None:
    @tool
    def paint(colour: Colour, size: Literal["s", "m", 3] = "s") -> str:
        return f"{colour.name} {size}"

    assert paint.schema["$defs"]["Colour"]["enum"] == ["red", "blue"]
    assert properties(paint)["size"]["enum"] == ["s", "m", 3]
    assert paint.validate({"colour": "red", "size": 3}) == {"colour": "red", "size": 3}
    assert run(paint, {"colour": "blue"}, CONTEXT) == "BLUE s"
    assert set(faults(paint, colour="green", size="xl")) == {"colour", "size"}


def test_a_default_can_be_an_enum_member() -> None:
    @tool
    def paint(colour: Colour = Colour.BLUE) -> str:
        return colour.name

    assert properties(paint)["colour"]["default"] == "blue"
    assert paint.validate({}) == {"colour": "blue"}
    assert run(paint, paint.validate({}), CONTEXT) == "BLUE"


def test_nested_models_are_objects_in_the_schema_and_in_the_call() -> None:
    @tool
    def greet(person: Person, guests: list[Person], table: dict[str, Address]) -> str:
        assert isinstance(person, Person)
        return f"{person.home.street} {len(guests)} {table['a'].zip}"

    home = {"street": "Lane 1", "zip": "1234"}
    ada = {"name": "Ada", "home": home}
    given = {"person": ada, "guests": [ada], "table": {"a": home}}
    assert set(greet.schema["$defs"]) == {"Address", "Person"}
    assert greet.validate(given)["person"]["others"] == []
    assert run(greet, given, CONTEXT) == "Lane 1 1 1234"
    bad = {**ada, "home": {"street": "Lane 1", "zip": "12"}}
    assert list(faults(greet, **{**given, "guests": [ada, bad]})) == ["guests.1.home.zip"]


def test_dates_numbers_and_ids_are_passed_as_python_types() -> None:
    @tool
    def book(on: date, at: datetime, price: Decimal, ref: UUID) -> str:
        return f"{on:%d.%m.%Y} {at:%H:%M} {price + 1} {ref.version}"

    given = {
        "on": "2026-11-22",
        "at": "2026-11-22T12:30:00+01:00",
        "price": "9.99",
        "ref": "6f1b0d8e-3c35-4a5e-8a58-5d2a7b2d7e11",
    }
    assert [properties(book)[name].get("format") for name in given] == [
        "date",
        "date-time",
        None,
        "uuid",
    ]
    assert book.validate(given) == given
    assert run(book, given, CONTEXT) == "22.11.2026 12:30 10.99 4"
    assert set(faults(book, on="soon", at="now", price="much", ref="1")) == set(given)


def test_an_optional_parameter_is_still_required_without_a_default() -> None:
    @tool
    def find(name: Optional[str], city: str | None = None) -> str:  # noqa: UP045
        return f"{name} {city}"

    assert find.schema["required"] == ["name"]
    assert find.validate({"name": None}) == {"name": None, "city": None}
    assert list(faults(find, city="Rome")) == ["name"]


def test_a_mutable_default_is_not_shared() -> None:
    @tool
    def collect(items: list[str] = []) -> str:  # noqa: B006
        items.append("x")
        return str(len(items))

    assert [run(collect, {}, CONTEXT) for _ in range(3)] == ["1", "1", "1"]


def test_annotations_can_be_strings() -> None:
    @tool
    def add(a: "int", b: "list[Literal['x']] | None" = None) -> "str":
        return f"{a}{b}"

    assert properties(add)["a"] == {"type": "integer"}
    assert add.validate({"a": 1, "b": ["x"]})["b"] == ["x"]


def test_postponed_annotations_are_resolved() -> None:
    source = """
from __future__ import annotations
from agent_continuations import ToolContext, tool

@tool
def add(a: int, context: ToolContext, b: list[int] | None = None) -> str:
    return f"{a} {b} {context.run_id}"
"""
    module: dict[str, Any] = {"__name__": "made"}
    exec(compile(source, "made", "exec", dont_inherit=True), module)
    add = module["add"]
    assert isinstance(add, Tool)
    assert list(properties(add)) == ["a", "b"]
    assert run(add, {"a": 1, "b": [2]}, CONTEXT) == "1 [2] r"


# -- the context -----------------------------------------------------------------------------------


def first(context: ToolContext, a: int) -> str:
    return f"{context.path} {a}"


def middle(a: int, where: ToolContext, b: int = 2) -> str:
    return f"{where.path} {a}"


def last(a: int, b: int = 2, *, model_config: ToolContext) -> str:
    return f"{model_config.path} {a}"


def quoted(a: int, self: "ToolContext") -> str:
    return f"{self.path} {a}"


def optional(a: int, context: ToolContext | None = None) -> str:
    return f"{context.path if context else None} {a}"


def annotated(a: int, context: Annotated[ToolContext, "of the call"]) -> str:
    return f"{context.path} {a}"


@pytest.mark.parametrize(
    "function",
    [
        first,
        middle,
        last,
        quoted,
        pytest.param(optional),
        pytest.param(annotated),
    ],
)
def test_the_context_is_passed_to_the_function_and_hidden_from_the_model(
    function: Callable[..., str],
) -> None:
    made = tool(function)
    assert set(properties(made)) <= {"a", "b"}
    assert "ToolContext" not in str(made.schema)
    assert run(made, {"a": 1}, CONTEXT) == "0.0 1"
    assert made.context_parameter is not None
    assert made.context_parameter in faults(made, a=1, **{made.context_parameter: {}})


def test_two_context_parameters_are_both_passed_or_rejected() -> None:
    def both(one: ToolContext, two: ToolContext) -> str:
        return one.path + two.path

    try:
        made = tool(both)
    except TypeError:
        return
    assert run(made, {}, CONTEXT) == "0.00.0"


# -- unusual signatures ----------------------------------------------------------------------------


def awkward_1(schema: int, json: int, copy: int, model_config: int, model_fields: int) -> str:
    return str([schema, json, copy, model_config, model_fields])


def awkward_2(self: int, cls: int, function: int, name: int, arguments: int) -> str:
    return str([self, cls, function, name, arguments])


def awkward_3(__dict__: int, _private: int, __hidden: int, class_: int, été: int) -> str:
    return str([__dict__, _private, __hidden, class_, été])


def awkward_4(parameter_1: int, parameter_0: int, alias: int, default: int, validate: int) -> str:
    return str([parameter_1, parameter_0, alias, default, validate])


@pytest.mark.parametrize("function", [awkward_1, awkward_2, awkward_3, awkward_4])
def test_a_parameter_can_have_any_name(function: Callable[..., str]) -> None:
    made = tool(function)
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = {name: number for number, name in enumerate(names)}
    assert list(properties(made)) == list(names)
    assert made.validate(given) == given
    assert run(made, given, CONTEXT) == "[0, 1, 2, 3, 4]"
    assert list(faults(made, **{**given, names[1]: "x"})) == [names[1]]


def star(*args: int) -> None: ...
def stars(**kwargs: int) -> None: ...
def positional(a: int, /) -> None: ...
def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
def half_typed(a: int, b=1) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (star, r"cannot take \*args"),
        (stars, r"cannot take \*kwargs"),
        (positional, "a cannot be positional-only"),
        (untyped, "a needs a type"),
        (half_typed, "b needs a type"),
    ],
)
def test_a_signature_without_a_schema_is_rejected_when_the_tool_is_made(
    function: Callable[..., Any], reason: str
) -> None:
    with pytest.raises(TypeError, match=reason):
        tool(function)


class Shop:
    def __init__(self) -> None:
        self.sold: list[str] = []

    def sell(self, item: str) -> str:
        """Sell an item."""
        self.sold.append(item)
        return f"sold {item}"

    @staticmethod
    def price(item: str) -> int:
        return len(item)

    @classmethod
    def names(cls, count: int) -> str:
        return cls.__name__ * count


def test_bound_methods_can_be_tools() -> None:
    shop = Shop()
    sell = tool(shop.sell)
    assert (sell.name, list(properties(sell))) == ("sell", ["item"])
    assert run(sell, {"item": "pen"}, CONTEXT) == "sold pen"
    assert shop.sold == ["pen"]
    assert run(tool(Shop.price), {"item": "pen"}, CONTEXT) == "3"
    assert run(tool(Shop.names), {"count": 2}, CONTEXT) == "ShopShop"


def test_an_unbound_method_is_rejected_when_the_tool_is_made() -> None:
    with pytest.raises(TypeError, match="self needs a type"):
        tool(Shop.sell)


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(ValueError, match="lambda"):
        tool(lambda: 1)
    assert run(tool(name="one")(lambda: 1), {}, CONTEXT) == "1"


def test_a_callable_without_a_name_is_rejected() -> None:
    with pytest.raises(TypeError):
        tool(partial(first, CONTEXT))


@pytest.mark.parametrize("name", ["a", "A-9_", "x" * 64])
def test_valid_names_are_accepted(name: str) -> None:
    assert tool(name=name)(middle).name == name
    assert Agent(name=name).as_tool(description="").name == name


@pytest.mark.parametrize("name", ["x" * 65, "a b", "a.b", "é", "a\n", "\n", "٣", "a/b", " "])
def test_invalid_names_are_rejected(name: str) -> None:
    with pytest.raises(ValueError, match="a tool's name"):
        tool(name=name)(middle)
    with pytest.raises(ValueError, match="an agent's name"):
        Agent(name=name)
    with pytest.raises(ValueError, match="a tool's name"):
        Agent(name="a").as_tool(name=name, description="")


@pytest.mark.parametrize("effect", ["read", "idempotent", "once"])
def test_the_effect_is_stored(effect: Any) -> None:
    assert tool(effect=effect)(middle).effect == effect


def test_the_default_effect_is_once() -> None:
    assert tool(middle).effect is Effect.ONCE


def test_an_unknown_effect_is_rejected() -> None:
    wrong: Any = "twice"
    with pytest.raises(ValueError, match="twice"):
        tool(effect=wrong)(middle)


# -- calling ---------------------------------------------------------------------------------------


def test_a_tool_can_be_called_like_its_function() -> None:
    assert pay(1, "Ada") == "Ada got 1: None"
    assert pay(amount=-5, to="Ada", note="not checked") == "Ada got -5: not checked"
    assert pay.function(1, "Ada") == "Ada got 1: None"


def test_a_parameter_named_self_can_be_passed_by_name() -> None:
    assert tool(awkward_2)(self=0, cls=1, function=2, name=3, arguments=4) == "[0, 1, 2, 3, 4]"


def test_an_async_tool_is_awaited() -> None:
    @tool
    async def later(a: int) -> int:
        return a + 1

    assert run(later, {"a": 1}, CONTEXT) == "2"


def test_run_propagates_the_exception_of_the_function() -> None:
    @tool
    def fail() -> str:
        raise KeyError("x")

    with pytest.raises(KeyError):
        run(fail, {}, CONTEXT)


def test_run_validates_its_arguments() -> None:
    with pytest.raises(ArgumentsRefused, match="amount: Input should be greater than 0"):
        run(pay, {"amount": -1, "to": "Ada"}, CONTEXT)


def test_every_invalid_field_is_reported() -> None:
    assert faults(pay, amount=101, to=5, extra=1) == {
        "amount": "Input should be less than or equal to 100",
        "to": "Input should be a valid string",
        "extra": "Extra inputs are not permitted",
    }


@tool
def anything(value: Any) -> str:
    return repr(value)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_the_nesting_of_arguments_is_limited() -> None:
    assert anything.validate({"value": nested(31)}) == {"value": nested(31)}
    for depth in (32, 100, 5000):
        with pytest.raises(ArgumentsRefused, match="nested deeper than 32"):
            anything.validate({"value": nested(depth)})


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_without_a_json_form_are_rejected_at_any_depth(number: float) -> None:
    with pytest.raises(ArgumentsRefused):
        anything.validate({"value": {"deep": [number]}})


def test_lone_surrogates_are_rejected_in_keys() -> None:
    @tool
    def count(of: dict[str, int]) -> str:
        return str(of)

    with pytest.raises(ArgumentsRefused):
        count.validate({"of": {"\ud800": 1}})


def no_text(x: str = None) -> None: ...  # type: ignore[assignment] # noqa: RUF013
def no_number(x: int = "many") -> None: ...  # type: ignore[assignment]
def no_limit(x: float = math.inf) -> None: ...
def out_of_bounds(x: Annotated[int, Field(gt=0)] = 0) -> None: ...
def a_field(x: int = Field(default=0, gt=0)) -> None: ...


@pytest.mark.parametrize("function", [no_text, no_number, no_limit, out_of_bounds, a_field])
def test_an_invalid_default_is_rejected_when_the_tool_is_made(
    function: Callable[..., Any],
) -> None:
    with pytest.raises((TypeError, ValueError)):
        tool(function)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@tool
def mixed(
    count: int,
    share: float,
    name: str,
    flag: bool,
    when: date,
    at: datetime,
    price: Decimal,
    colour: Colour,
    size: Literal["s", 1],
    home: Address,
    tags: list[str],
    scores: dict[str, float],
    by_number: dict[int, str],
    pair: tuple[int, str],
    extra: Any,
    maybe: int | str | None = None,
    model_config: list[Address] | None = None,
) -> str:
    """Take a bit of everything."""
    return name


fitting = {
    "count": st.integers(),
    "share": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    "name": st.text(),
    "flag": st.booleans(),
    "when": st.dates().map(date.isoformat),
    "at": st.datetimes(timezones=st.none() | st.just(UTC)).map(datetime.isoformat),
    "price": st.decimals(allow_nan=False, allow_infinity=False).map(str) | st.integers(-9, 9),
    "colour": st.sampled_from(["red", "blue"]),
    "size": st.sampled_from(["s", 1]),
    "home": st.fixed_dictionaries({"street": st.text(), "zip": st.just("1234")}),
    "tags": st.lists(st.text(), max_size=3),
    "scores": st.dictionaries(st.text(), st.floats(-1e9, 1e9), max_size=3),
    "by_number": st.dictionaries(st.integers().map(str), st.text(), max_size=3),
    "pair": st.tuples(st.integers(), st.text()).map(list),
    "extra": json_values,
}
left_out = {
    "maybe": st.none() | st.integers() | st.text(),
    "model_config": st.none() | st.just([{"street": "Lane", "zip": "1234"}]),
}


@settings(deadline=None)
@given(st.fixed_dictionaries(fitting, optional=left_out))
def test_validated_arguments_are_plain_json_and_validate_to_themselves(
    given: dict[str, Any],
) -> None:
    once = mixed.validate(given)
    assert json.loads(canonical_json(once)) == once
    assert canonical_json(mixed.validate(once)) == canonical_json(once)
    assert canonical_json(mixed.validate(json.loads(json.dumps(once)))) == canonical_json(once)
    assert once["extra"] == given["extra"]
    assert once["name"] == given["name"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*fitting, *left_out, "other"]), json_values))
def test_any_json_is_rejected_or_validates_to_itself(given: dict[str, Any]) -> None:
    for made in (mixed, pay, anything):
        try:
            once = made.validate(given)
        except ArgumentsRefused as error:
            str(error).encode()
        else:
            assert canonical_json(made.validate(once)) == canonical_json(once)


# -- the version -----------------------------------------------------------------------------------


def versions(*functions: Callable[..., Any]) -> list[str]:
    return [tool(name="t")(each).schema_version for each in functions]


def base(a: int, b: str = "x") -> None: ...


def test_the_version_is_stable_for_an_unchanged_schema() -> None:
    def same(a: int, b: str = "x") -> int:
        """Do something else, told in other words."""
        return a

    def hidden(a: int, context: ToolContext, b: str = "x") -> None: ...

    first_version, *others = versions(base, same, hidden)
    assert set(others) == {first_version}
    assert tool(name="other", effect="read")(base).schema_version == first_version


def test_the_version_changes_with_the_schema() -> None:
    def name(c: int, b: str = "x") -> None: ...
    def kind(a: float, b: str = "x") -> None: ...
    def default(a: int, b: str = "y") -> None: ...
    def required(a: int, b: str) -> None: ...
    def more(a: int, b: str = "x", c: int = 0) -> None: ...
    def fewer(a: int) -> None: ...
    def bounds(a: Annotated[int, Field(gt=0)], b: str = "x") -> None: ...
    def described(a: int, b: str = "x") -> None:
        """Do it.

        Args:
            a: told.
        """

    every = versions(base, name, kind, default, required, more, fewer, bounds, described)
    assert len(set(every)) == len(every)


# -- approval --------------------------------------------------------------------------------------

CALL = ToolCall(tool="pay", arguments={"amount": 50}, agent="clerk")


def test_without_a_predicate_every_call_needs_approval() -> None:
    gate = Approval(approvers=["ada@example.com", "bob@example.com"]).policy_for(lambda: CALL)
    both = Stage(approvers=("ada@example.com", "bob@example.com"))
    assert gate == ApprovalPolicy(stages=(both,), timeout_seconds=WEEK_SECONDS)


@pytest.mark.parametrize(("limit", "asked"), [(10, True), (50, False)])
def test_a_predicate_selects_the_calls_that_need_approval(limit: int, asked: bool) -> None:
    approval = Approval(
        approvers=["a@example.com"], when=lambda call: call.arguments["amount"] > limit
    )
    assert (approval.policy_for(lambda: CALL) is not None) == asked


@pytest.mark.parametrize("answer", [None, 0, "", [], False])
def test_a_falsy_result_of_a_predicate_means_no_approval(answer: Any) -> None:
    assert (
        Approval(approvers=["a@example.com"], when=lambda _: answer).policy_for(lambda: CALL)
        is None
    )


@pytest.mark.parametrize("missing", ["sum", "to"])
def test_a_call_needs_approval_if_the_predicate_raises(missing: str) -> None:
    approval = Approval(approvers=["a@example.com"], when=lambda call: call.arguments[missing] > 10)
    assert approval.policy_for(lambda: CALL) is not None


def test_a_call_needs_approval_if_the_result_has_no_truth_value() -> None:
    class Neither:
        def __bool__(self) -> bool:
            raise TypeError("neither")

    odd: Any = Neither()
    assert (
        Approval(approvers=["a@example.com"], when=lambda _: odd).policy_for(lambda: CALL)
        is not None
    )


@pytest.mark.parametrize("approvers", [[], (), "", "ada@example.com"])
def test_an_approval_needs_a_list_of_approvers(approvers: Any) -> None:
    with pytest.raises(ValueError, match="at least one address"):
        Approval(approvers=approvers)


@pytest.mark.parametrize("seconds", [0, -1])
def test_an_approval_needs_a_valid_timeout(seconds: int) -> None:
    with pytest.raises(ValueError, match="timeout_seconds"):
        Approval(approvers=["a@example.com"], timeout_seconds=seconds)


@pytest.mark.parametrize(
    "wrong",
    [
        {"approvers": [None]},
        {"approvers": [""]},
        {"approvers": b"ada@example.com"},
        {"timeout_seconds": math.inf},
        {"timeout_seconds": 0.5},
        {"timeout_seconds": 10**12},
    ],
    ids=repr,
)
def test_an_invalid_approval_is_rejected_when_it_is_made(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Approval(**{"approvers": ["a@example.com"], **wrong})


def test_more_approvals_than_approvers_are_rejected_with_both_numbers() -> None:
    with pytest.raises(ValueError, match="needed=3, but the stage has only 1 approver"):
        Approval(["ann@example.com"], needed=3)
    with pytest.raises(ValueError, match="needed must be at least 1"):
        Approval(["ann@example.com"], needed=0)


# -- agents ----------------------------------------------------------------------------------------


def test_the_tools_of_an_agent_need_unique_names() -> None:
    with pytest.raises(ValueError, match="clerk has two tools named pay"):
        Agent(name="clerk", tools=[pay, Agent(name="x").as_tool(name="pay", description="")])
    with pytest.raises(ValueError, match="clerk has two tools named pay"):
        Agent(name="clerk", tools=[pay, pay])


def test_an_agent_finds_its_tools_by_name() -> None:
    agent = Agent(name="clerk", tools=[pay, anything])
    assert agent.tool("anything") is anything
    assert agent.tool("Pay") is None


@pytest.mark.parametrize("turns", [0, -1])
def test_an_agent_needs_at_least_one_turn(turns: int) -> None:
    with pytest.raises(ValueError, match="max_turns"):
        Agent(name="clerk", max_turns=turns)


def test_two_agents_with_one_name_are_rejected_anywhere_in_the_tree() -> None:
    inner = Agent(name="twin")
    middle_one = Agent(name="middle", tools=[inner.as_tool(description="")])
    outer = Agent(name="outer", tools=[middle_one.as_tool(description="")])
    with pytest.raises(ValueError, match="two agents are named twin"):
        Registry([outer, Agent(name="twin")])
    with pytest.raises(ValueError, match="two agents are named twin"):
        Registry([Agent(name="twin", tools=[Agent(name="twin").as_tool(description="")])])


def test_one_agent_can_be_a_tool_of_several_agents() -> None:
    shared = Agent(name="shared")
    one = Agent(name="one", tools=[shared.as_tool(description="")])
    two = Agent(
        name="two",
        tools=[shared.as_tool(description=""), shared.as_tool(name="again", description="")],
    )
    registry = Registry([one, two, shared, one])
    assert registry.find("shared") is shared
    assert list(registry.startable) == ["one", "two", "shared"]


def test_a_sub_agent_is_found_but_cannot_be_started() -> None:
    inner = Agent(name="inner")
    registry = Registry([Agent(name="outer", tools=[inner.as_tool(description="")])])
    assert registry.find("inner") is inner
    assert "inner" not in registry.startable
    assert registry.find("nobody") is None


def test_agents_can_call_each_other_in_a_cycle() -> None:
    tools: list[Any] = []
    one = Agent(name="one", tools=tools)
    two = Agent(name="two", tools=[one.as_tool(description="")])
    tools += [two.as_tool(description=""), one.as_tool(name="myself", description="")]
    registry = Registry([one])
    assert (registry.find("one"), registry.find("two")) == (one, two)


def test_an_agent_as_a_tool_takes_one_text_argument() -> None:
    approval = Approval(approvers=["a@example.com"])
    made = Agent(name="clerk").as_tool(name="ask", description="Asks.", approval=approval)
    (name, described), *others = made.schema["properties"].items()
    assert (name, described["type"], others) == ("input", "string", [])
    assert made.schema["required"] == ["input"]
    assert made.schema["additionalProperties"] is False
    assert (made.name, made.description, made.approval) == ("ask", "Asks.", approval)
    assert made.validate({"input": "go"}) == {"input": "go"}


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"input": 5},
        {"input": None},
        {"input": "x", "more": 1},
        {"Input": "x"},
        {"input": ["x"]},
    ],
)
def test_an_agent_as_a_tool_rejects_other_arguments(arguments: Mapping[str, Any]) -> None:
    with pytest.raises(ArgumentsRefused):
        Agent(name="clerk").as_tool(description="").validate(arguments)
