"""Runs that a call of another run has started: for width, each with a state of its own."""

from typing import Any

import pytest

from agent_continuations import Agent, Approval, call, calls, say, tool
from agent_continuations.core.continuation import MAX_CALLS_PER_TURN, MAX_CALLS_WITH_RUNS
from agent_continuations.core.ids import child_run_id
from agent_continuations.core.path import parse_path
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import Status
from agent_continuations.core.waits import ChildWait
from agent_continuations.errors import Conflict
from agent_continuations.ports.model import ModelRequest
from tests.support.local_harness import ANN, kinds, nap
from tests.support.local_harness import LocalHarness as Place


@tool(approval=Approval([ANN]))
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


def family(child: Any, count: int = 2, **agent: Any) -> Place:
    """An agent that starts so many runs of another at once."""
    worker = Agent("worker", tools=[pay, nap], **agent)
    boss = Agent("boss", tools=[worker.as_tool(description="Work.", spawn=True)])
    requests = [("worker", {"input": f"job {number}"}) for number in range(count)]
    return Place(
        agents=[boss], scripts={"boss": [calls(*requests), say("all done")], "worker": child}
    )


def job(request: ModelRequest) -> str:
    return str(request.messages[-1]["content"])


def test_each_call_is_a_run_of_its_own_and_the_caller_goes_on_once() -> None:
    place = family(lambda request: say(f"did {job(request)}"), count=3)
    view = place.runner.start("boss", "go")
    assert view.result == "all done"
    assert [place.result(view.run_id, f"0.{n}") for n in range(3)] == [
        f"did job {n}" for n in range(3)
    ]
    assert sum(request.agent == "boss" for request in place.model.requests) == 2
    child = place.runner.get(child_run_id(view.run_id, parse_path("0.1")))
    assert (child.agent, child.status, child.parent, child.result) == (
        "worker",
        Status.COMPLETED,
        view.run_id,
        "did job 1",
    )
    for _, each in place.runner.continuation(view.run_id).calls():
        assert isinstance(each.wait, ChildWait)
        assert each.child is None


def test_what_a_child_waits_for_is_seen_and_answered_from_its_parent() -> None:
    def child(request: ModelRequest) -> Reply:
        done = any(message["role"] == "tool" for message in request.messages)
        return say("paid") if done else call("pay", amount=5)

    place = family(child)
    view = place.runner.start("boss", "go")
    assert kinds(view) == ["child", "approval", "child", "approval"]
    inner = view.waiting[1]
    assert (inner.path, inner.agents) == ("0.0/0.0", ("boss", "worker"))
    assert inner.run_id == child_run_id(view.run_id, parse_path("0.0"))
    place.check(view.run_id)
    place.check(inner.run_id or "")
    view = place.runner.decide(view.run_id, inner.request_id, "approve")
    view = place.runner.get(view.run_id)
    assert kinds(view) == ["child", "approval"]
    view = place.runner.decide(view.waiting[1].run_id or "", view.waiting[1].request_id, "approve")
    assert place.runner.get(view.parent or "").result == "all done"


def test_a_child_that_fails_is_a_result_that_its_parent_sees() -> None:
    place = family(lambda _request: Reply(fault="empty"), count=1)
    view = place.runner.start("boss", "go")
    assert view.result == "all done"
    assert "worker failed" in place.result(view.run_id)
    assert "no usable answer" in place.result(view.run_id)


def test_a_child_that_is_parked_is_a_result_that_its_parent_sees() -> None:
    def refuse(_request: ModelRequest) -> Reply:
        raise RuntimeError("no such model")

    place = family(refuse, count=1)
    view = place.runner.start("boss", "go")
    assert view.result == "all done"
    assert "cannot go on" in place.result(view.run_id)
    assert "no such model" in place.result(view.run_id)


def test_a_child_that_is_cancelled_is_a_result_that_its_parent_sees() -> None:
    place = family(lambda _request: call("nap", minutes=5), count=1)
    view = place.runner.start("boss", "go")
    place.runner.cancel(child_run_id(view.run_id, parse_path("0.0")))
    assert place.runner.get(view.run_id).result == "all done"
    assert "was cancelled" in place.result(view.run_id)


def test_a_cancel_goes_down_the_tree() -> None:
    worker = Agent("worker", tools=[nap])
    clerk = Agent("clerk", tools=[worker.as_tool(description="Work.", spawn=True)])
    inner = Agent("inner", tools=[clerk.as_tool(description="Work.", spawn=True)])
    boss = Agent("boss", tools=[inner.as_tool(description="Work.")])
    scripts = {
        "boss": [call("inner", input="x")],
        "inner": [call("clerk", input="x")],
        "clerk": [call("worker", input="x")],
        "worker": [call("nap", minutes=5)],
    }
    place = Place(agents=[boss], scripts=scripts)
    view = place.runner.start("boss", "go")
    assert kinds(view) == ["child", "child", "timer"]
    assert view.waiting[2].agents == ("boss", "inner", "clerk", "worker")
    assert view.waiting[2].path == "0.0/0.0/0.0/0.0"
    assert place.runner.cancel(view.run_id).status is Status.CANCELLED
    statuses = {each.agent: each.status for each in place.store.list_runs("default").heads}
    assert set(statuses.values()) == {Status.CANCELLED}
    assert set(statuses) == {"boss", "clerk", "worker"}


def test_a_parked_run_that_is_cancelled_takes_its_children_with_it() -> None:
    @tool(effect="read")
    def look() -> str:
        """Look."""
        return "seen"

    worker = Agent("worker", tools=[nap])
    boss = Agent("boss", tools=[worker.as_tool(description="Work.", spawn=True), look])
    scripts = {
        "boss": [calls(("worker", {"input": "x"}))],
        "worker": [call("nap", minutes=5)],
    }
    place = Place(agents=[boss], scripts=scripts)
    view = place.runner.start("boss", "go")
    head = place.store.head(view.run_id)
    assert head
    place.store._runs[view.run_id].head = head.model_copy(update={"status": Status.PARKED})
    assert place.runner.cancel(view.run_id).status is Status.CANCELLED
    child = child_run_id(view.run_id, parse_path("0.0"))
    assert place.runner.get(child).status is Status.CANCELLED


def test_a_call_that_needs_approval_starts_its_run_only_then() -> None:
    worker = Agent("worker")
    spawned = worker.as_tool(description="Work.", spawn=True, approval=Approval([ANN]))
    place = Place(
        agents=[Agent("boss", tools=[spawned])],
        scripts={"boss": [call("worker", input="x"), say("done")], "worker": [say("worked")]},
    )
    view = place.runner.start("boss", "go")
    assert kinds(view) == ["approval"]
    assert len(place.store.list_runs("default").heads) == 1
    view = place.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    assert place.runner.get(view.run_id).result == "done"
    assert place.result(view.run_id) == "worked"


def test_a_child_that_has_answered_hears_no_more() -> None:
    place = family(lambda _request: say("did"), count=1)
    view = place.runner.start("boss", "go")
    with pytest.raises(Conflict):
        place.runner.message(child_run_id(view.run_id, parse_path("0.0")), "and?")


def test_two_hundred_children_of_one_turn() -> None:
    place = family(lambda request: say(f"did {job(request)}"), count=200)
    view = place.runner.start("boss", "go")
    assert view.result == "all done"
    assert place.result(view.run_id, "0.199") == "did job 199"
    assert sum(request.agent == "boss" for request in place.model.requests) == 2


def test_children_beyond_the_limit_of_a_turn_are_refused_and_the_others_run() -> None:
    place = family(lambda request: say(f"did {job(request)}"), count=MAX_CALLS_WITH_RUNS + 1)
    view = place.runner.start("boss", "go")
    assert view.result == "all done"
    told = [place.result(view.run_id, f"0.{n}") for n in range(MAX_CALLS_WITH_RUNS + 1)]
    assert told[-2] == f"did job {MAX_CALLS_WITH_RUNS - 1}"
    assert "only 256 tool calls are possible in one turn" in str(told[-1])


def test_runs_of_their_own_take_no_room_from_other_calls() -> None:
    @tool
    def note() -> str:
        """Note."""
        return "noted"

    many = [("worker", {"input": "job"})] * (MAX_CALLS_WITH_RUNS - MAX_CALLS_PER_TURN)
    many += [("note", {})] * (MAX_CALLS_PER_TURN + 1)
    boss = Agent("boss", tools=[Agent("worker").as_tool(description="Work.", spawn=True), note])
    replies = [calls(*many[:-1]), calls(*many), say("done")]
    place = Place(agents=[boss], scripts={"boss": replies, "worker": lambda _: say("did")})
    view = place.runner.start("boss", "go")
    fits, too_many = place.runner.continuation(view.run_id).turns[:2]
    assert not [each for each in fits.calls if each.plan.kind == "refused"]
    assert [each.plan.kind for each in too_many.calls].index("refused") == MAX_CALLS_WITH_RUNS
