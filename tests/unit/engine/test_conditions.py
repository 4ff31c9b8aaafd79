"""Conditions: limits at which people decide whether an agent, or the whole run, continues.

Three defects of naive implementations are ruled out: counters that live in the process, counters
that several runs share, and approved calls that are dropped at a stop.
"""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_continuations import (
    Agent,
    Approval,
    Condition,
    EveryCost,
    EverySeconds,
    EveryTokens,
    EveryTurns,
    Price,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.pricing import PRICES, cost
from agent_continuations.core.replies import Reply, ToolRequest, Usage
from agent_continuations.core.run import Status
from agent_continuations.errors import Conflict, Invalid
from agent_continuations.ports.model import ModelRequest
from agent_continuations.views.run import RunView
from tests.support.local_harness import ANN, BOB, LocalHarness, kinds, nap

OPERATOR = Approval([ANN])


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def talker(turns: int, tokens: int = 10, model: str | None = "gpt-5-mini") -> Any:
    """A model that calls `look` in each of so many turns, and then answers."""

    def script(request: ModelRequest) -> Reply:
        made = sum(message["role"] == "assistant" for message in request.messages)
        usage = Usage(input_tokens=tokens // 2, output_tokens=tokens - tokens // 2)
        requests = () if made >= turns else (ToolRequest(name="look", arguments="{}"),)
        return Reply(content="done", requests=requests, usage=usage, model=model)

    return script


def harness_with(condition: Condition, turns: int = 5, **talk: Any) -> LocalHarness:
    agent = Agent("a", tools=[look], conditions=[condition])
    return LocalHarness(agents=[agent], scripts={"a": talker(turns, **talk)})


def approve(harness: LocalHarness, view: RunView, **more: Any) -> RunView:
    [waits] = view.waiting
    return harness.restarted().decide(view.run_id, waits.request_id, "approve", **more)


def test_people_are_asked_every_n_turns_in_any_process() -> None:
    harness = harness_with(EveryTurns(limit=2, approval=OPERATOR))
    view = harness.runner.start("a", "go")
    turns = []
    while view.waiting:
        assert kinds(view) == ["condition"]
        turns.append(view.turns)
        harness.check(view.run_id)
        view = approve(harness, view)
    assert (view.result, turns) == ("done", [2, 4])


def test_the_request_says_why_the_agent_stopped_and_its_approvers_are_notified() -> None:
    harness = harness_with(EveryTurns(limit=2, approval=OPERATOR))
    view = harness.runner.start("a", "go")
    [waits] = view.waiting
    assert (waits.tool, waits.arguments, waits.approvers) == ("turns", {"limit": 2}, (ANN,))
    assert "2 model replies were made; the limit is 2." in waits.message
    [notice] = harness.store.notices(view.run_id)
    assert (notice.kind, notice.agents) == ("condition", ("a",))


def test_the_limit_can_be_raised_with_the_decision() -> None:
    harness = harness_with(EveryTurns(limit=1, approval=OPERATOR))
    view = harness.runner.start("a", "go")
    view = approve(harness, view, arguments={"limit": 3})
    assert view.turns == 4
    assert view.waiting[0].arguments == {"limit": 3}
    assert approve(harness, view).result == "done"


@pytest.mark.parametrize("arguments", [{}, {"limit": 0}, {"limit": "9"}, {"limit": 9, "more": 1}])
def test_an_invalid_limit_leaves_the_request_open(arguments: dict[str, Any]) -> None:
    harness = harness_with(EveryTurns(limit=1, approval=OPERATOR))
    view = harness.runner.start("a", "go")
    with pytest.raises(Invalid):
        approve(harness, view, arguments=arguments)
    assert kinds(harness.runner.get(view.run_id)) == ["condition"]


def test_a_rejection_ends_the_run_with_the_reason() -> None:
    harness = harness_with(EveryTurns(limit=2, approval=OPERATOR))
    view = harness.runner.start("a", "go")
    view = harness.runner.decide(
        view.run_id, view.waiting[0].request_id, "reject", reason="too expensive"
    )
    assert view.status is Status.FAILED
    assert view.error == f"stopped by {ANN} at the condition turns: too expensive"


def test_a_stopped_sub_agent_is_a_result_for_its_caller() -> None:
    inner = Agent("inner", tools=[look], conditions=[EveryTurns(limit=1, approval=OPERATOR)])
    outer = Agent("outer", tools=[inner.as_tool(description="Ask.")])
    scripts = {"outer": [call("inner", input="x"), say("outer done")], "inner": talker(3)}
    harness = LocalHarness(agents=[outer], scripts=scripts)
    view = harness.runner.start("outer", "go")
    [waits] = view.waiting
    assert (waits.kind, waits.agents) == ("condition", ("outer", "inner"))
    view = harness.runner.decide(view.run_id, waits.request_id, "reject")
    assert view.result == "outer done"
    assert "inner failed: stopped by" in harness.result(view.run_id)


def test_a_missed_deadline_ends_the_run() -> None:
    policy = Approval([ANN], timeout_seconds=60)
    harness = harness_with(EveryTurns(limit=2, approval=policy))
    view = harness.runner.start("a", "go")
    harness.later(minutes=1)
    assert harness.runner.advance(view.run_id).status is Status.FAILED


def test_two_approvers_must_agree_if_the_policy_says_so() -> None:
    harness = harness_with(EveryTurns(limit=3, approval=Approval([ANN, BOB], needed=2)))
    view = harness.runner.start("a", "go")
    view = approve(harness, view, approver=ANN)
    assert kinds(view) == ["condition"]
    assert approve(harness, view, approver=BOB).result == "done"


def test_tokens_and_cost_count_from_the_last_stop() -> None:
    harness = harness_with(EveryTokens(limit=25, approval=OPERATOR))
    view = harness.runner.start("a", "go")
    assert view.turns == 3
    view = approve(harness, view)
    assert (view.result, view.turns) == ("done", 6)
    dear = {"gpt-5-mini": Price(input=0, output=1_000_000)}
    harness = harness_with(EveryCost(limit=9, prices=dear, approval=OPERATOR))
    view = harness.runner.start("a", "go")
    assert view.turns == 2
    assert "10 were spent; the limit is 9" in view.waiting[0].message


def test_a_model_without_a_price_stops_the_agent() -> None:
    harness = harness_with(EveryCost(limit=9, approval=OPERATOR), model="my-own-model")
    view = harness.runner.start("a", "go")
    assert view.turns == 1
    assert "not known" in view.waiting[0].message


def test_a_dated_model_has_the_price_of_its_family_and_another_has_none() -> None:
    million = Usage(input_tokens=1_000_000)
    assert cost(million, "gpt-5-mini-2025-08-07", PRICES) == PRICES["gpt-5-mini"].input
    assert cost(million, "gpt-5-turbo", PRICES) is None
    assert cost(million, None, PRICES) is None


def test_elapsed_time_includes_waits_but_not_the_time_until_the_decision() -> None:
    condition = EverySeconds(limit=300, approval=OPERATOR)
    agent = Agent("a", tools=[nap], conditions=[condition])
    naps = [calls(("nap", {"minutes": 4})) for _ in range(3)]
    harness = LocalHarness(agents=[agent], scripts={"a": [*naps, say("done")]})
    view = harness.runner.start("a", "go")
    for _ in range(2):
        assert kinds(view) == ["timer"]
        harness.later(minutes=4)
        view = harness.runner.advance(view.run_id)
    assert kinds(view) == ["condition"]
    harness.later(days=3)
    view = approve(harness, view)
    harness.later(minutes=4)
    assert harness.runner.advance(view.run_id).result == "done"


def test_a_custom_condition_is_a_function_of_the_continuation() -> None:
    seen: list[int] = []

    def odd(frame: Any, now: Any) -> bool:
        seen.append(len(frame.turns))
        assert now
        return len(frame.turns) % 2 == 1

    harness = harness_with(Condition(name="odd", check=odd, approval=OPERATOR), turns=3)
    view = harness.runner.start("a", "go")
    asked = []
    while view.waiting:
        asked.append((view.turns, view.waiting[0].tool, view.waiting[0].arguments))
        view = approve(harness, view)
    assert asked == [(1, "odd", {}), (3, "odd", {})]
    assert view.result == "done"


def test_a_condition_that_raises_stops_the_agent() -> None:
    harness = harness_with(
        Condition(name="broken", check=lambda _f, _n: 1 / 0 > 0, approval=OPERATOR)
    )
    assert kinds(harness.runner.start("a", "go")) == ["condition"]


def test_each_run_is_counted_by_itself() -> None:
    harness = harness_with(EveryTurns(limit=4, approval=OPERATOR), turns=2)
    assert [harness.runner.start("a", "go").result for _ in range(3)] == ["done"] * 3


def test_an_approved_call_runs_although_the_whole_run_is_stopped() -> None:
    ran: list[str] = []

    @tool(approval=Approval([BOB]))
    def pay() -> str:
        """Pay."""
        ran.append("paid")
        return "paid"

    inner = Agent("inner", tools=[pay])
    condition = EveryTurns(limit=2, scope="run", approval=OPERATOR)
    outer = Agent("outer", tools=[inner.as_tool(description="Ask.")], conditions=[condition])
    scripts = {
        "outer": [call("inner", input="x"), say("outer done")],
        "inner": [call("pay"), say("inner done")],
    }
    harness = LocalHarness(agents=[outer], scripts=scripts)
    view = harness.runner.start("outer", "go")
    assert kinds(view) == ["approval"]
    view = harness.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    assert ran == ["paid"]
    [waits] = view.waiting
    assert (waits.kind, waits.path, waits.agents) == ("condition", "1.900", ("outer",))
    view = harness.runner.decide(view.run_id, waits.request_id, "approve")
    assert (view.result, view.turns) == ("outer done", 4)


def test_a_condition_and_an_approval_are_two_requests() -> None:
    @tool(approval=Approval([BOB]))
    def pay() -> str:
        """Pay."""
        return "paid"

    inner = Agent("inner", tools=[look], conditions=[EveryTurns(limit=1, approval=OPERATOR)])
    outer = Agent("outer", tools=[inner.as_tool(description="Ask."), pay])
    scripts = {
        "outer": [calls(("inner", {"input": "x"}), ("pay", {})), say("outer done")],
        "inner": talker(1),
    }
    harness = LocalHarness(agents=[outer], scripts=scripts)
    view = harness.runner.start("outer", "go")
    assert [(each.kind, each.tool) for each in view.waiting] == [
        ("condition", "turns"),
        ("approval", "pay"),
    ]
    for each in view.waiting:
        view = harness.restarted().decide(view.run_id, each.request_id, "approve")
    assert view.result == "outer done"


def test_a_stopped_run_can_be_cancelled_and_takes_no_decision_then() -> None:
    harness = harness_with(EveryTurns(limit=1, approval=OPERATOR))
    view = harness.runner.start("a", "go")
    request_id = view.waiting[0].request_id
    assert harness.runner.cancel(view.run_id).status is Status.CANCELLED
    with pytest.raises(Conflict):
        harness.runner.decide(view.run_id, request_id, "approve")


def test_invalid_names_and_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        EveryTurns(limit=0, approval=OPERATOR)
    with pytest.raises(ValueError, match="name"):
        Condition(name="", approval=OPERATOR)
    one = EveryTurns(limit=1, approval=OPERATOR)
    with pytest.raises(ValueError, match="one name"):
        Agent("a", conditions=[one, one])


@given(limit=st.integers(1, 6), turns=st.integers(0, 12))
def test_a_run_stops_exactly_as_often_as_its_limit_says(limit: int, turns: int) -> None:
    harness = harness_with(EveryTurns(limit=limit, approval=OPERATOR), turns=turns)
    view = harness.runner.start("a", "go")
    asked = 0
    while view.waiting:
        asked += 1
        view = harness.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    assert view.result == "done"
    assert asked == turns // limit
    assert harness.now - timedelta(0) == harness.now
