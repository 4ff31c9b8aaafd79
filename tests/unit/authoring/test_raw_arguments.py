"""Texts that models send as arguments: taken rightly, or refused to the model with the reason."""

import sys
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel

from agent_continuations import Agent, Approval, LocalRunner, Reply, ScriptedModel, ToolRequest, say
from agent_continuations import tool as make_tool
from agent_continuations.core.continuation import Call
from agent_continuations.core.plans import RefusedPlan, ToolPlan

DEEP = "[" * 40 + "]" * 40
VERY_DEEP = "[" * 200_000 + "]" * 200_000


class Inner(BaseModel):
    number: float = 0
    any: Any = None


def called(text: str, *, gated: bool = False) -> tuple[Call, list[dict[str, Any]]]:
    """The call of a tool with a text, and what its function received."""
    seen: list[dict[str, Any]] = []

    def made(number: float = 0, any: Any = None, inner: Inner | None = None) -> str:
        seen.append({"number": number, "any": any, "inner": inner})
        return "done"

    approval = Approval(["boss@example.com"]) if gated else None
    request = Reply(requests=(ToolRequest(name="made", arguments=text),))
    runner = LocalRunner(
        [Agent("a", tools=[make_tool(approval=approval)(made)])],
        ScriptedModel({"a": [request, say("end")]}),
    )
    run = runner.start("a", "go")
    if run.waiting:
        run = runner.decide(run.run_id, run.waiting[0].request_id, "approve")
    assert run.status == "completed", runner.store.head(run.run_id)
    runner.dump(run.run_id).encode()
    return runner.continuation(run.run_id).turns[0].calls[0], seen


REFUSED = {
    "no JSON": ("{", "not JSON"),
    "words": ("please pay bob", "not JSON"),
    "two objects": ("{} {}", "not JSON"),
    "trailing comma": ('{"number": 1,}', "not JSON"),
    "single quotes": ("{'number': 1}", "not JSON"),
    "a mark before": ("\ufeff{}", "not JSON"),
    "no-break space": ("\u00a0{}", "not JSON"),
    "list": ("[1]", "a JSON object is needed"),
    "null": ("null", "a JSON object is needed"),
    "string": ('"{}"', "a JSON object is needed"),
    "number": ("1", "a JSON object is needed"),
    "key twice": ('{"number": 1, "number": 2}', "'number' is there twice"),
    "key twice, escaped": ('{"number": 1, "n\\u0075mber": 2}', "'number' is there twice"),
    "key twice inside": ('{"any": [{"a": 1, "a": 1}]}', "'a' is there twice"),
    "deep": (f'{{"any": {DEEP}}}', "nested deeper than 32"),
    "very deep": (f'{{"any": {VERY_DEEP}}}', "nested deeper than 32"),
    "NaN": ('{"number": NaN}', "number: Input should be a finite number"),
    "NaN in any": ('{"any": [NaN]}', "not JSON compliant"),
    "Infinity": ('{"inner": {"number": Infinity}}', "not JSON compliant"),
    "NaN as text": ('{"inner": {"number": "NaN"}}', "not JSON compliant"),
    "number too large": ('{"inner": {"number": 1e999}}', "not JSON compliant"),
    "too many digits": (f'{{"any": {"9" * 5000}}}', "digits"),
    "lone surrogate": ('{"any": "\\ud800"}', "surrogate"),
    "lone surrogate in a key": ('{"any": {"\\udfff": 1}}', "surrogate"),
    "control character": ('{"any": "\x01"}', "not JSON"),
    "unknown": ('{"other": 1}', "other"),
}


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_a_text_is_refused_with_its_reason(name: str, *, gated: bool) -> None:
    text, reason = REFUSED[name]
    made, seen = called(text, gated=gated)
    assert isinstance(made.plan, RefusedPlan), made
    assert made.plan.reason.startswith("This call was not made: the arguments do not fit made: ")
    assert reason in made.plan.reason
    assert len(made.plan.reason) < 2500
    assert not seen


TAKEN: dict[str, tuple[str, Any]] = {
    "empty": ("", None),
    "space": (" \n\t ", None),
    "no-break space alone": ("\u00a0", None),
    "empty object": ("{}", None),
    "space around": (' \n{"any": 1}\r\n', 1),
    "pair of surrogates": ('{"any": "\\ud83d\\ude00"}', "\U0001f600"),
    "null character": ('{"any": "\\u0000"}', "\0"),
    "large number": ('{"any": 123456789012345678901234567890}', 123456789012345678901234567890),
    "deep enough": (f'{{"any": {"[" * 30}{"]" * 30}}}', None),
    "empty key": ('{"any": {"": 1}}', {"": 1}),
}


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", TAKEN)
def test_a_text_is_taken(name: str, *, gated: bool) -> None:
    text, wanted = TAKEN[name]
    made, seen = called(text, gated=gated)
    assert isinstance(made.plan, ToolPlan), made
    assert len(seen) == 1
    if name != "deep enough":
        assert seen[0]["any"] == wanted


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.text('{}[]",:1e-\\ua ', max_size=14)
)
def test_no_text_ends_the_worker(text: str) -> None:
    made, seen = called(text)
    assert isinstance(made.plan, RefusedPlan) != bool(seen)


@pytest.mark.parametrize(
    "error", [SystemExit(3), ValueError("\ud800"), RecursionError(), KeyError()]
)
def test_a_validator_that_raises_is_a_refusal(error: BaseException) -> None:
    def check(value: int) -> int:
        if value:
            raise error
        return value

    @make_tool(approval=Approval(["boss@example.com"]))
    def made(value: Annotated[int, AfterValidator(check)] = 0) -> str:
        return "x"

    request = Reply(requests=(ToolRequest(name="made", arguments='{"value": 1}'),))
    runner = LocalRunner([Agent("a", tools=[made])], ScriptedModel({"a": [request, say("end")]}))
    run = runner.start("a", "go")
    assert run.status == "completed"
    assert isinstance(runner.continuation(run.run_id).turns[0].calls[0].plan, RefusedPlan)


def test_the_limit_of_digits_is_that_of_python() -> None:
    assert sys.get_int_max_str_digits() == 4300
