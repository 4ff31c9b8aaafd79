"""Tools of a JSON schema and a function: what is refused, what runs, and what people are shown."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_continuations import (
    Agent,
    Approval,
    LocalRunner,
    Question,
    ScriptedModel,
    ToolContext,
    call,
    say,
    schema_tool,
    tool,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.schema import ArgumentsRefused
from agent_continuations.authoring.subschemas import MAX_WORK
from agent_continuations.authoring.tool import Tool
from agent_continuations.html.forms.form import fields
from agent_continuations.testing import check_recording
from agent_continuations.views.agent import agent_page

CFO = "cfo@example.com"
CONTEXT = ToolContext(run_id="r", path="0.0", attempt=1, idempotency_key="k" * 40)
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def made(schema: Any, function: Any = lambda arguments: arguments, **options: Any) -> Tool:
    return schema_tool(function, name="pay", description="Pay.", schema=schema, **options)


def refused(schema: Any) -> str:
    with pytest.raises((TypeError, ValueError)) as caught:
        made(schema)
    assert str(caught.value).startswith("pay: ")
    assert len(str(caught.value)) < 500
    return str(caught.value)


def faults(schema: Any, text: str) -> dict[str, str]:
    with pytest.raises(ArgumentsRefused) as caught:
        made(schema).arguments.read(text)
    return dict(caught.value.fields)


# -- schemas that are refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (True, "a schema is a mapping"),
        ([], "a schema is a mapping"),
        ({}, 'say "type": "object"'),
        ({"type": "string"}, 'say "type": "object"'),
        ({"type": ["object", "null"]}, 'say "type": "object"'),
        (of(a={"type": "strin"}), "#/properties/a/type is not valid"),
        (of(a={"allOf": 5}), "#/properties/a/allOf is not valid"),
        (of(a={"pattern": "["}), "#/properties/a/pattern is not valid"),
        (of(a={"pattern": "(a{1000}){1000}"}), "or is too large"),
        (of(a={"$dynamicRef": "#a"}), "use $ref"),
        (of(a={"$id": "https://x.example"}), "only the whole schema may have"),
        (of(a={"$ref": "#/properties/a"}), "without an end"),
        ({**of(), "allOf": [{"$ref": "#"}]}, "without an end"),
        (of(a={"$ref": "#/$defs/none"}), "leads nowhere"),
        (of(a={"$ref": "#/type"}), "leads to what is no schema"),
        ({**of(a={"$ref": "#/x"}), "x": {"allOf": 3}}, "leads to what is no schema"),
        ({**of(), "$schema": "https://x.example/mine"}, "draft 2020-12 and draft-07"),
        (of(**{f"a{n}": {"pattern": f"a{n}"} for n in range(51)}), "more than 50 patterns"),
        (of(a={"enum": ["a" * 1000] * 100}), "characters"),
        (of(a={"const": float("nan")}), "cannot be written as JSON"),
        (of(a={"const": {1}}), "cannot be written as JSON"),
        (of(a={"const": "\ud800"}), "cannot be written as JSON"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: Any, why: str) -> None:
    assert why in refused(schema)


@pytest.mark.parametrize(
    "reference",
    ["https://x.example/a", "http://127.0.0.1:9/a", "file:///etc/passwd", "a.json", "#name", ""],
)
@pytest.mark.parametrize("draft", [None, DRAFT_7])
def test_a_reference_to_elsewhere_is_refused(reference: str, draft: str | None) -> None:
    schema = {**of(a={"$ref": reference}), **({"$schema": draft} if draft else {})}
    assert "leads out of the schema" in refused(schema)


def test_a_schema_that_contains_itself_is_refused() -> None:
    schema = of()
    schema["properties"]["a"] = schema
    assert "nested deeper than 64" in refused(schema)
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"not": deep}
    assert "nested deeper" in refused(of(a=deep))


def test_a_long_chain_of_references_is_refused() -> None:
    links = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(3000)} | {"a3000": True}
    assert "more than 32 schemas" in refused({**of(a={"$ref": "#/$defs/a0"}), "$defs": links})


def test_the_functions_parameters_are_checked() -> None:
    with pytest.raises(TypeError, match="context=True"):
        made(of(), lambda _, __: None)
    with pytest.raises(TypeError, match="pay: the function is called with"):
        made(of(), lambda _: None, context=True)
    with pytest.raises(TypeError, match="made of a function"):
        made(of(), "pay")
    with pytest.raises(TypeError, match="approval is an Approval"):
        made(of(), approval="cfo")
    with pytest.raises(ValueError, match="1 to 64 letters"):
        schema_tool(print, name="a b", description="", schema=of())


def test_the_schema_is_copied() -> None:
    schema = of(a={"type": "integer"})
    one = made(schema)
    version = one.schema_version
    schema["properties"]["a"]["type"] = "string"
    assert one.schema == of(a={"type": "integer"})
    assert made(of(a={"type": "integer"})).schema_version == version
    assert made(schema).schema_version != version


# -- hostile schemas and values end soon -----------------------------------------------------------


def soon(schema: Any, value: Any) -> str:
    """Reads a value; returns what is wrong with it. It must take little time."""
    begun = time.process_time()
    try:
        made(schema).arguments.read(json.dumps(value))
        wrong = ""
    except (ArgumentsRefused, ValueError) as error:
        wrong = str(error)
    assert time.process_time() - begun < 5
    assert len(wrong) < 5000
    return wrong


def doubling(steps: int, keyword: str) -> dict[str, Any]:
    links: dict[str, Any] = {
        f"a{n}": {keyword: [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]}
        for n in range(steps)
    }
    return {**of(x={"$ref": "#/$defs/a0"}), "$defs": links | {f"a{steps}": {"type": "string"}}}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("steps", [8, 11, 13, 15, 40])
def test_work_that_doubles_is_bounded(keyword: str, steps: int) -> None:
    assert soon(doubling(steps, keyword), {"x": 1})


def test_work_that_doubles_with_each_level_of_a_value_is_bounded() -> None:
    again = {"$ref": "#/$defs/n"}
    node = {"type": "object", "additionalProperties": {"allOf": [again, again]}}
    schema = {**of(x=again), "$defs": {"n": node}}
    value: Any = 1
    for depth in range(29):
        value = {"a": value}
        assert soon(schema, {"x": value}) or depth == 0


def test_nested_unevaluated_properties_are_bounded() -> None:
    for levels in (5, 10, 15, 25):
        schema: dict[str, Any] = {}
        for n in range(levels):
            each = {"properties": {f"k{n}": True}}
            schema = {"anyOf": [schema, each], "unevaluatedProperties": False}
        soon(of(x=schema), {"x": {"k1": 1, "other": 2}})


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "(?=(a+)+$)b|^(a+)+$", "^(?:(?=a)a|aa)*$", "(.*)*(.*)*x", ".{1000}y"]
)
@pytest.mark.parametrize("length", [25_000, 200_000, 1_000_000])
def test_patterns_are_bounded(pattern: str, length: int) -> None:
    assert soon(of(x={"pattern": pattern}), {"x": "a" * length + "!"})
    soon({"type": "object", "patternProperties": {pattern: False}}, {"a" * length + "!": 1})


def test_a_value_is_not_too_much_only_because_it_is_large() -> None:
    items = {"type": "array", "items": of(a={"type": "integer"}, b={"type": "string"})}
    value = {"x": [{"a": n, "b": str(n)} for n in range(5000)]}
    assert made(of(x=items)).validate(value) == value
    assert MAX_WORK >= 5000 * 10


def test_any_json_can_be_described_by_a_recursive_schema() -> None:
    again = {"$ref": "#/$defs/json"}
    plain = {"type": ["string", "number", "boolean", "null"]}
    array = {"type": "array", "items": again}
    any_of = [plain, array, {"type": "object", "additionalProperties": again}]
    one = made({**of(x=again), "$defs": {"json": {"anyOf": any_of}}})
    value: Any = 1
    for n in range(30):
        value = {"a": value, "b": 2} if n % 2 else [value, 3]
    assert one.validate({"x": value}) == {"x": value}


# -- validation ------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
_names = st.sampled_from(["a", "b", "c"])
_leaves = st.sampled_from(
    [
        True,
        {},
        {"type": "string", "maxLength": 3, "format": "email"},
        {"type": "integer", "minimum": 2},
        {"enum": [1, "a", None]},
        {"const": {"a": 1}},
        {"pattern": "^a"},
        {"$ref": "#/$defs/d"},
        {"default": 3, "title": "T"},
    ]
)
schemas = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(lambda a: {"type": "object", "properties": a}, st.dictionaries(_names, inner)),
        st.builds(lambda a: {"items": a}, inner),
        st.builds(lambda a: {"anyOf": a}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda a: {"oneOf": a}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda a: {"allOf": a}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(lambda a: {"not": a}, inner),
        st.builds(lambda a: {"additionalProperties": a}, inner),
        st.builds(lambda a: {"unevaluatedProperties": False, "allOf": [a]}, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values, max_size=4))
def test_the_function_gets_what_the_text_says_and_people_see_the_same(value: Any) -> None:
    one, text = made({"type": "object"}), json.dumps(value, indent=1)
    arguments = one.arguments.read(text)
    assert (arguments.raw, arguments.shown) == (text, value)
    assert json.dumps(arguments.typed()) == json.dumps(json.loads(text))
    assert arguments.typed() is not arguments.typed()


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_names, schemas, max_size=3), st.dictionaries(_names, json_values))
def test_any_schema_admits_or_refuses_and_can_be_shown(properties: Any, value: Any) -> None:
    import jsonschema_rs

    schema = {**of(**properties), "$defs": {"d": {"type": ["integer", "array"]}}}
    one = made(schema)
    admits = jsonschema_rs.is_valid(schema, value, validate_formats=False)
    assert {each.argument for each in fields(one.schema, value, prefix="f")} >= set(value)
    if admits:
        assert one.validate(value) == value
        return
    with pytest.raises(ArgumentsRefused) as caught:
        one.validate(value)
    assert 1 <= len(caught.value.fields) <= 8
    assert all(name and fault and len(fault) <= 310 for name, fault in caught.value.fields)


def test_defaults_are_not_filled_in_and_formats_are_not_checked() -> None:
    for draft in ({}, {"$schema": DRAFT_7}):
        one = made({**of(a={"default": 1}, b={"type": "string", "format": "date"}), **draft})
        assert one.validate({"b": "tomorrow"}) == {"b": "tomorrow"}
        assert one.arguments.read("").shown == {}
        assert one.arguments.read("").typed() == {}


def test_both_drafts_are_read() -> None:
    pair = {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}
    old = {**of(a={"$ref": "#/definitions/pair"}), "definitions": {"pair": pair}}
    assert "#/definitions/pair/items is not valid" in refused(old)
    old["$schema"] = DRAFT_7
    assert faults(old, '{"a": ["x", "y"]}') == {"a.1": 'the value is not of type "integer"'}
    new = of(a={"type": "array", "prefixItems": pair["items"]})
    assert faults(new, '{"a": ["x", "y"]}') == {"a.1": 'the value is not of type "integer"'}


def test_a_reference_with_an_unusual_name_is_found() -> None:
    names = {
        "a b": "a%20b",
        "a/b": "a~1b",
        "a~b": "a~0b",
        "Foo<int>": "Foo%3Cint%3E",
        "é": "%C3%A9",
    }
    for name, written in names.items():
        schema = {**of(x={"$ref": f"#/$defs/{written}"}), "$defs": {name: {"type": "integer"}}}
        assert faults(schema, '{"x": "no"}') == {"x": 'the value is not of type "integer"'}


def test_an_error_names_the_field_and_not_the_value() -> None:
    choice = {
        "oneOf": [
            {**of(kind={"const": "card"}, number={"type": "integer"}), "required": ["number"]},
            {"type": "null"},
        ]
    }
    schema = {
        **of(a={"anyOf": [{"type": "string"}, {"type": "null"}]}, b=choice, c={"maxLength": 3}),
        "required": ["z"],
    }
    found = faults(schema, '{"a": ["hunter2"], "b": {"kind": "card", "number": "hunter2"},'
                           ' "c": "hunter2"}')  # fmt: skip
    assert found == {
        "a": 'the value is not of type "string" or the value is not of type "null"',
        "b.number": 'the value is not of type "integer"',
        "c": "the value is longer than 3 characters",
        "z": '"z" is a required property',
    }


@pytest.mark.parametrize(
    "text",
    ["[]", "{", "1", '{"a": 1, "a": 2}', '{"a": 1e999}', '{"a": NaN}', '{"a": "\\ud800"}',
     '{"\\ud800": 1}', f'{{"a": {"1" * 5000}}}', f'{{"a": {"[" * 40}{"]" * 40}}}',
     f'{{"a": {"[" * 100_000}'],
)  # fmt: skip
def test_a_text_that_is_no_plain_object_is_refused(text: str) -> None:
    assert list(faults({"type": "object"}, text)) == ["arguments"]


def test_an_error_is_bounded() -> None:
    schema = of(a={"type": "array", "items": {"type": "string"}})
    assert len(faults(schema, json.dumps({"a": [1] * 100}))) == 8
    found = faults({**of(), "additionalProperties": False}, json.dumps({"k" * 10_000: 1}))
    assert all(len(fault) < 400 for fault in found.values())
    found = faults({**of(), "additionalProperties": {"type": "null"}}, json.dumps({"k" * 9000: 1}))
    assert all(len(name) < 250 for name in found)


def test_an_edit_keeps_what_a_person_did_not_touch() -> None:
    one = made(of(a={"type": "integer"}, b={}))
    before = one.arguments.read('{"a":  1, "b": 1.50}')
    edited = one.arguments.edit(before.raw, before.shown, {"a": 2, "b": 1.5})
    assert edited.raw == '{"a": 2, "b": 1.50}'
    assert one.arguments.edit(before.raw, before.shown, before.shown).raw == before.raw
    with pytest.raises(ArgumentsRefused, match="a: the value is not of type"):
        one.arguments.edit(before.raw, before.shown, {"a": "x", "b": 1.5})


# -- functions -------------------------------------------------------------------------------------


def test_the_function_gets_one_mapping_and_the_context() -> None:
    async def later(arguments: Mapping[str, Any], context: ToolContext) -> str:
        await asyncio.sleep(0)
        return f"{arguments} {context.path}"

    one = made(of(), later, context=True)
    assert one.run(one.arguments.read('{"self": 1, "context": 2}').typed(), CONTEXT) == (
        "{'self': 1, 'context': 2} 0.0"
    )
    assert made(of(), dict)({"a": 1}) == {"a": 1}


# -- runs ------------------------------------------------------------------------------------------

AMOUNT = {**of(amount={"type": "number", "minimum": 0}, to={"type": "string"}), "required": ["to"]}


def agents(got: list[Any], schema: Any = AMOUNT, **options: Any) -> list[Agent]:
    options.setdefault("approval", Approval([CFO], grant_seconds=3600))
    return [Agent("a", tools=[made(schema, lambda arguments: got.append(arguments), **options)])]


def model(**arguments: Any) -> ScriptedModel:
    return ScriptedModel({"a": [call("pay", **arguments), say("done")]})


def test_a_call_without_approval_runs() -> None:
    got: list[Any] = []
    runner = LocalRunner(agents(got, approval=None), model(to="bob", amount=10**30))
    run = runner.start("a", "go")
    assert (run.status, got) == ("completed", [{"to": "bob", "amount": 10**30}])
    recorded = runner.record(run.run_id)
    assert check_recording(recorded, agents(got, approval=None)) is None
    narrower = {**AMOUNT, "properties": {"to": {"maxLength": 1}}}
    plans_only = recorded.model_copy(update={"requests": {}})
    found = check_recording(plans_only, agents(got, narrower, approval=None))
    assert found is not None
    assert "refused" in found.what


def test_a_call_that_does_not_match_is_told_to_the_model() -> None:
    got: list[Any] = []
    runner = LocalRunner(agents(got), model(amount=-1))
    run = runner.start("a", "go")
    [(_, asked)] = runner.continuation(run.run_id).calls()
    assert (run.status, got) == ("completed", [])
    assert "to: " in str(asked.plan)
    assert "amount: " in str(asked.plan)


def test_an_approved_call_runs_in_another_process_with_an_edit() -> None:
    got: list[Any] = []
    preview = lambda arguments: f"Pays {arguments['to']}."  # noqa: E731
    when = lambda each: each.arguments["amount"] > 1  # noqa: E731
    options: dict[str, Any] = {"preview": preview, "approval": Approval([CFO], when=when)}
    first = LocalRunner(agents(got, **options), model(to="bob", amount=2.5), signing_key="k")
    document = first.dump(first.start("a", "go").run_id)
    second = LocalRunner(agents(got, **options), model(), signing_key="k")
    run = second.load(document)
    [asked] = run.waiting
    assert asked.arguments == {"to": "bob", "amount": 2.5}
    with pytest.raises(Exception, match="invalid"):
        second.decide(run.run_id, asked.request_id, "approve", arguments={"amount": 1})
    edited = {"to": "eve", "amount": 2.5}
    run = second.decide(run.run_id, asked.request_id, "approve", arguments=edited)
    assert (run.status, got) == ("completed", [edited])
    assert check_recording(second.record(run.run_id), agents(got, **options)) is None


def test_a_changed_schema_parks_an_open_request_and_not_a_free_call() -> None:
    got: list[Any] = []
    changed = {**AMOUNT, "properties": {**AMOUNT["properties"], "amount": {"title": "in cents"}}}
    first = LocalRunner(agents(got), model(to="bob", amount=2), signing_key="k")
    document = first.dump(first.start("a", "go").run_id)
    for schema, status in ((changed, "parked"), (AMOUNT, "completed")):
        second = LocalRunner(agents(got, schema), model(), signing_key="k")
        run = second.load(document)
        run = second.decide(run.run_id, run.waiting[0].request_id, "approve")
        assert run.status == status
        assert ("schema of the tool pay has changed" in str(run)) == (status == "parked")
    assert got == [{"to": "bob", "amount": 2}]


def test_a_tool_with_a_changed_description_of_a_parameter_still_runs() -> None:
    """What is shown of our own tools tells all, so they are not bound to the schema."""
    got: list[int] = []

    def paying(summary: str) -> list[Agent]:
        def pay(amount: int) -> None:
            got.append(amount)

        pay.__doc__ = f"Pay.\n\nArgs:\n    amount: {summary}"
        return [Agent("a", tools=[tool(approval=Approval([CFO]))(pay)])]

    first = LocalRunner(paying("old"), model(amount=2), signing_key="k")
    document = first.dump(first.start("a", "go").run_id)
    second = LocalRunner(paying("new"), model(), signing_key="k")
    run = second.load(document)
    run = second.decide(run.run_id, run.waiting[0].request_id, "approve")
    assert (run.status, got) == ("completed", [2])


def test_a_question_and_the_view_of_agents() -> None:
    one = made(of(), lambda _: Question("Which?", ask=[CFO]), effect="read", answer=int)
    runner = LocalRunner([Agent("a", tools=[one])], model())
    run = runner.start("a", "go")
    run = runner.answer(run.run_id, run.waiting[0].request_id, 7)
    assert run.status == "completed"
    [view] = agent_page(Registry(agents([]))).items[0].tools
    assert (view.name, view.kind, view.description, view.effect) == ("pay", "tool", "Pay.", "once")


@pytest.mark.parametrize(
    "part", [True, False, {"$ref": "#/definitions/a"}, {"$ref": "#/$defs/b"}, {"anyOf": [True]}]
)
def test_a_form_falls_back_to_json(part: Any) -> None:
    schema = {**of(x=part), "definitions": {"a": {"type": "string"}}, "$defs": {"b": True}}
    [field] = fields(made(schema).schema, {"x": {"y": [1]}}, prefix="f")
    assert (field.kind, json.loads(field.value)) == ("json", {"y": [1]})
