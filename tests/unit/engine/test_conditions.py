"""Conditions: when people are asked whether an agent, or the run, shall go on.

The third part of each name says which defect of a prototype it rules out, where it does: state in
the process, one run's counter for another's, an approved call that is dropped.
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
from tests.support.local_harness import ANN, BOB, kinds, nap
from tests.support.local_harness import LocalHarness as Place

OPERATOR = Approval([ANN])


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def talker(turns: int, tokens: int = 10, model: str | None = "gpt-5-mini") -> Any:
    """A model that calls `look` so many times, and then is done."""

    def script(request: ModelRequest) -> Reply:
        made = sum(message["role"] == "assistant" for message in request.messages)
        usage = Usage(input_tokens=tokens // 2, output_tokens=tokens - tokens // 2)
        requests = () if made >= turns else (ToolRequest(name="look", arguments="{}"),)
        return Reply(content="done", requests=requests, usage=usage, model=model)

    return script


def place(condition: Condition, turns: int = 5, **talk: Any) -> Place:
    agent = Agent("a", tools=[look], conditions=[condition])
    return Place(agents=[agent], scripts={"a": talker(turns, **talk)})


def go_on(here: Place, view: RunView, **more: Any) -> RunView:
    [waits] = view.waiting
    return here.restarted().decide(view.run_id, waits.request_id, "approve", **more)


def test_every_n_turns_people_are_asked_in_whichever_process_that_is() -> None:
    here = place(EveryTurns(limit=2, approval=OPERATOR))
    view = here.runner.start("a", "go")
    turns = []
    while view.waiting:
        assert kinds(view) == ["condition"]
        turns.append(view.turns)
        here.check(view.run_id)
        view = go_on(here, view)
    assert (view.result, turns) == ("done", [2, 4])


def test_what_is_asked_says_why_and_who_is_told() -> None:
    here = place(EveryTurns(limit=2, approval=OPERATOR))
    view = here.runner.start("a", "go")
    [waits] = view.waiting
    assert (waits.tool, waits.arguments, waits.approvers) == ("turns", {"limit": 2}, (ANN,))
    assert "2 model replies were made; the limit is 2." in waits.message
    [notice] = here.store.notices(view.run_id)
    assert (notice.kind, notice.agents) == ("condition", ("a",))


def test_the_limit_can_be_raised_with_the_decision() -> None:
    here = place(EveryTurns(limit=1, approval=OPERATOR))
    view = here.runner.start("a", "go")
    view = go_on(here, view, arguments={"limit": 3})
    assert view.turns == 4
    assert view.waiting[0].arguments == {"limit": 3}
    assert go_on(here, view).result == "done"


@pytest.mark.parametrize("arguments", [{}, {"limit": 0}, {"limit": "9"}, {"limit": 9, "more": 1}])
def test_a_limit_that_does_not_fit_leaves_the_question_open(arguments: dict[str, Any]) -> None:
    here = place(EveryTurns(limit=1, approval=OPERATOR))
    view = here.runner.start("a", "go")
    with pytest.raises(Invalid):
        go_on(here, view, arguments=arguments)
    assert kinds(here.runner.get(view.run_id)) == ["condition"]


def test_whoever_says_no_ends_the_run_and_says_why() -> None:
    here = place(EveryTurns(limit=2, approval=OPERATOR))
    view = here.runner.start("a", "go")
    view = here.runner.decide(
        view.run_id, view.waiting[0].request_id, "reject", reason="too expensive"
    )
    assert view.status is Status.FAILED
    assert view.error == f"stopped by {ANN} at the condition turns: too expensive"


def test_a_sub_agent_that_is_stopped_is_a_result_for_its_caller() -> None:
    inner = Agent("inner", tools=[look], conditions=[EveryTurns(limit=1, approval=OPERATOR)])
    outer = Agent("outer", tools=[inner.as_tool(description="Ask.")])
    scripts = {"outer": [call("inner", input="x"), say("outer done")], "inner": talker(3)}
    here = Place(agents=[outer], scripts=scripts)
    view = here.runner.start("outer", "go")
    [waits] = view.waiting
    assert (waits.kind, waits.agents) == ("condition", ("outer", "inner"))
    view = here.runner.decide(view.run_id, waits.request_id, "reject")
    assert view.result == "outer done"
    assert "inner failed: stopped by" in here.result(view.run_id)


def test_a_deadline_without_an_answer_stops() -> None:
    policy = Approval([ANN], timeout_seconds=60)
    here = place(EveryTurns(limit=2, approval=policy))
    view = here.runner.start("a", "go")
    here.later(minutes=1)
    assert here.runner.advance(view.run_id).status is Status.FAILED


def test_two_must_agree_where_the_policy_says_so() -> None:
    here = place(EveryTurns(limit=3, approval=Approval([ANN, BOB], needed=2)))
    view = here.runner.start("a", "go")
    view = go_on(here, view, approver=ANN)
    assert kinds(view) == ["condition"]
    assert go_on(here, view, approver=BOB).result == "done"


def test_tokens_and_money_count_from_where_it_was_let_go_on() -> None:
    here = place(EveryTokens(limit=25, approval=OPERATOR))
    view = here.runner.start("a", "go")
    assert view.turns == 3
    view = go_on(here, view)
    assert (view.result, view.turns) == ("done", 6)
    dear = {"gpt-5-mini": Price(input=0, output=1_000_000)}
    here = place(EveryCost(limit=9, prices=dear, approval=OPERATOR))
    view = here.runner.start("a", "go")
    assert view.turns == 2
    assert "10 were spent; the limit is 9" in view.waiting[0].message


def test_a_model_without_a_price_is_asked_about() -> None:
    here = place(EveryCost(limit=9, approval=OPERATOR), model="my-own-model")
    view = here.runner.start("a", "go")
    assert view.turns == 1
    assert "not known" in view.waiting[0].message


def test_a_dated_model_has_the_price_of_its_family_and_another_has_none() -> None:
    million = Usage(input_tokens=1_000_000)
    assert cost(million, "gpt-5-mini-2025-08-07", PRICES) == PRICES["gpt-5-mini"].input
    assert cost(million, "gpt-5-turbo", PRICES) is None
    assert cost(million, None, PRICES) is None


def test_time_counts_that_of_waiting_but_not_that_of_the_answer() -> None:
    condition = EverySeconds(limit=300, approval=OPERATOR)
    agent = Agent("a", tools=[nap], conditions=[condition])
    naps = [calls(("nap", {"minutes": 4})) for _ in range(3)]
    here = Place(agents=[agent], scripts={"a": [*naps, say("done")]})
    view = here.runner.start("a", "go")
    for _ in range(2):
        assert kinds(view) == ["timer"]
        here.later(minutes=4)
        view = here.runner.advance(view.run_id)
    assert kinds(view) == ["condition"]
    here.later(days=3)
    view = go_on(here, view)
    here.later(minutes=4)
    assert here.runner.advance(view.run_id).result == "done"


def test_ones_own_condition_is_a_function_of_the_continuation() -> None:
    seen: list[int] = []

    def odd(frame: Any, now: Any) -> bool:
        seen.append(len(frame.turns))
        assert now
        return len(frame.turns) % 2 == 1

    here = place(Condition(name="odd", check=odd, approval=OPERATOR), turns=3)
    view = here.runner.start("a", "go")
    asked = []
    while view.waiting:
        asked.append((view.turns, view.waiting[0].tool, view.waiting[0].arguments))
        view = go_on(here, view)
    assert asked == [(1, "odd", {}), (3, "odd", {})]
    assert view.result == "done"


def test_a_condition_that_raises_asks() -> None:
    here = place(Condition(name="broken", check=lambda _f, _n: 1 / 0 > 0, approval=OPERATOR))
    assert kinds(here.runner.start("a", "go")) == ["condition"]


def test_one_run_does_not_count_for_another() -> None:
    here = place(EveryTurns(limit=4, approval=OPERATOR), turns=2)
    assert [here.runner.start("a", "go").result for _ in range(3)] == ["done"] * 3


def test_the_whole_run_is_held_and_what_was_approved_runs_all_the_same() -> None:
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
    here = Place(agents=[outer], scripts=scripts)
    view = here.runner.start("outer", "go")
    assert kinds(view) == ["approval"]
    view = here.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    assert ran == ["paid"]
    [waits] = view.waiting
    assert (waits.kind, waits.path, waits.agents) == ("condition", "1.900", ("outer",))
    view = here.runner.decide(view.run_id, waits.request_id, "approve")
    assert (view.result, view.turns) == ("outer done", 4)


def test_a_condition_beside_an_approval_is_two_questions() -> None:
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
    here = Place(agents=[outer], scripts=scripts)
    view = here.runner.start("outer", "go")
    assert [(each.kind, each.tool) for each in view.waiting] == [
        ("condition", "turns"),
        ("approval", "pay"),
    ]
    for each in view.waiting:
        view = here.restarted().decide(view.run_id, each.request_id, "approve")
    assert view.result == "outer done"


def test_a_held_run_can_be_cancelled_and_takes_no_answer_then() -> None:
    here = place(EveryTurns(limit=1, approval=OPERATOR))
    view = here.runner.start("a", "go")
    request_id = view.waiting[0].request_id
    assert here.runner.cancel(view.run_id).status is Status.CANCELLED
    with pytest.raises(Conflict):
        here.runner.decide(view.run_id, request_id, "approve")


def test_names_and_limits_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        EveryTurns(limit=0, approval=OPERATOR)
    with pytest.raises(ValueError, match="name"):
        Condition(name="", approval=OPERATOR)
    one = EveryTurns(limit=1, approval=OPERATOR)
    with pytest.raises(ValueError, match="one name"):
        Agent("a", conditions=[one, one])


@given(limit=st.integers(1, 6), turns=st.integers(0, 12))
def test_a_run_is_asked_about_exactly_as_often_as_its_limit_says(limit: int, turns: int) -> None:
    here = place(EveryTurns(limit=limit, approval=OPERATOR), turns=turns)
    view = here.runner.start("a", "go")
    asked = 0
    while view.waiting:
        asked += 1
        view = here.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    assert view.result == "done"
    assert asked == turns // limit
    assert here.now - timedelta(0) == here.now
