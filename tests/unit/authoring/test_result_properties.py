"""What a call is said to have done: a body that returned is ok, one that raised is an error."""

import asyncio
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from agent_continuations import Agent, LocalRunner, ScriptedModel, ToolContext, call, say, tool
from agent_continuations.authoring.in_process_host import run_tool
from agent_continuations.authoring.result_text import error_text
from agent_continuations.authoring.running import MAX_ITEMS
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.outcome import Outcome
from agent_continuations.engine.host_answers import outcome_or_wait
from agent_continuations.ports.clock import utc_now
from tests.support.made_results import (
    CONTAINERS,
    EXCEPTIONS,
    LEAVES,
    RAISING,
    Make,
    raise_in_group,
    results,
)

EXAMPLES = int(os.environ.get("RESULT_EXAMPLES", "200"))
FEW = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
CONTEXT = ToolContext(run_id="r", path="0.0", attempt=1, idempotency_key="k" * 40)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Coroutines that a tool leaves are its own matter, and pytest-xdist cannot send all texts."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
    logging.disable(logging.NOTSET)


def tool_of(body: Callable[[], Any], *, is_async: bool) -> Tool:
    def plainly() -> Any:
        return body()

    async def later() -> Any:
        return body()

    return tool(name="made")(later if is_async else plainly)


def outcome_of(body: Callable[[], Any], *, is_async: bool) -> Outcome:
    made = tool_of(body, is_async=is_async)
    answer = run_tool(made, made.arguments.read(""), CONTEXT, "agent")
    outcome = outcome_or_wait(made, answer, utc_now())
    assert isinstance(outcome, Outcome)
    outcome.content.encode()
    assert "<generator object" not in outcome.content
    assert "<coroutine object" not in outcome.content
    assert "<async_generator object" not in outcome.content
    assert not re.search(r"<[^<>]* at 0x", outcome.content)
    return outcome


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("name", LEAVES)
def test_a_body_that_returned_is_ok(name: str, *, is_async: bool) -> None:
    made = tool_of(LEAVES[name], is_async=is_async)
    model = ScriptedModel({"a": [call("made"), say("end")]})
    runner = LocalRunner([Agent("a", tools=[made])], model)
    run = runner.start("a", "go")
    assert run.status == "completed", runner.store.head(run.run_id)
    outcome = runner.continuation(run.run_id).turns[0].calls[0].outcome
    assert outcome
    assert outcome.kind == "ok", outcome
    assert outcome_of(LEAVES[name], is_async=is_async).kind == "ok"


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_work_in_a_container_is_done(name: str) -> None:
    makes: list[Make] = [LEAVES["zip"], LEAVES["map"]]
    outcome = outcome_of(lambda: CONTAINERS[name](makes), is_async=False)
    text = outcome.content.replace(" ", "").replace("'", '"').replace("(", "[").replace(")", "]")
    assert '[1,"a"]' in text


def test_the_items_of_an_endless_generator_are_bounded() -> None:
    outcome = outcome_of(LEAVES["endless"], is_async=False)
    assert outcome.content == str([1] * MAX_ITEMS)


@FEW
@given(results(), st.booleans())
def test_any_body_that_returned_is_ok(make: Make, is_async: bool) -> None:
    outcome = outcome_of(make, is_async=is_async)
    assert outcome.kind == "ok", outcome


@pytest.mark.parametrize("make", EXCEPTIONS)
@pytest.mark.parametrize("raising", RAISING)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_body_that_raised_is_an_error(
    raising: Callable[..., Any], make: Callable[[], BaseException], *, is_async: bool
) -> None:
    outcome = outcome_of(lambda: raising(make), is_async=is_async)
    if outcome.kind == "ok":
        # The end of an iterator, and a cancelled task of a group, are no failures.
        assert (raising, make) in [
            (RAISING[-1], StopIteration),
            (raise_in_group, asyncio.CancelledError),
        ]
        return
    assert outcome.content.startswith("The tool failed. ")
    assert len(outcome.content) < 9000


@pytest.mark.parametrize("raising", RAISING)
def test_an_interrupt_is_for_the_process(raising: Callable[..., Any]) -> None:
    made = tool(name="made")(lambda: raising(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        made.run({}, CONTEXT)
    after = tool(name="after")(lambda: RAISING[1](lambda: ValueError("the loop goes on")))
    with pytest.raises(ValueError, match="the loop goes on"):
        after.run({}, CONTEXT)


def test_a_fault_of_pydantic_is_told_without_its_advice() -> None:
    class Limits(BaseModel):
        most: int
        least: int

    with pytest.raises(ValidationError) as raised:
        Limits.model_validate({"most": "many"})
    assert "https://" in str(raised.value)
    text = error_text(raised.value)
    assert "https://" not in text
    assert ("most" in text, "least" in text, "Field required" in text) == (True, True, True)
