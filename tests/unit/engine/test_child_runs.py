"""Child runs, which a call of another run starts: each has a state of its own."""

from datetime import timedelta
from typing import Any

import pytest

from agent_continuations import Agent, Approval, InMemoryStore, call, calls, say, tool
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.continuation import MAX_CALLS_PER_TURN, MAX_CALLS_WITH_RUNS
from agent_continuations.core.ids import child_run_id
from agent_continuations.core.path import parse_path
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import LoadedRun, Snapshot, Status
from agent_continuations.core.waits import ChildWait
from agent_continuations.errors import Conflict, CorruptValue, NotFound, Retryable
from agent_continuations.ports.commit import ReleaseTerms
from agent_continuations.ports.model import ModelRequest
from tests.support.engine_harness import Harness
from tests.support.local_harness import ANN, LocalHarness, kinds, nap


@tool(approval=Approval([ANN]))
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


def parent_with_children(child: Any, count: int = 2, **agent: Any) -> LocalHarness:
    """A parent agent that starts so many child runs at once."""
    worker = Agent("worker", tools=[pay, nap], **agent)
    boss = Agent("boss", tools=[worker.as_tool(description="Work.", spawn=True)])
    requests = [("worker", {"input": f"job {number}"}) for number in range(count)]
    return LocalHarness(
        agents=[boss], scripts={"boss": [calls(*requests), say("all done")], "worker": child}
    )


def job(request: ModelRequest) -> str:
    return str(request.messages[-1]["content"])


def test_each_call_starts_a_child_run_and_the_parent_continues_once() -> None:
    harness = parent_with_children(lambda request: say(f"did {job(request)}"), count=3)
    view = harness.runner.start("boss", "go")
    assert view.result == "all done"
    assert [harness.result(view.run_id, f"0.{n}") for n in range(3)] == [
        f"did job {n}" for n in range(3)
    ]
    assert sum(request.agent == "boss" for request in harness.model.requests) == 2
    child = harness.runner.get(child_run_id(view.run_id, parse_path("0.1")))
    assert (child.agent, child.status, child.parent, child.result) == (
        "worker",
        Status.COMPLETED,
        view.run_id,
        "did job 1",
    )
    for _, each in harness.runner.continuation(view.run_id).calls():
        assert isinstance(each.wait, ChildWait)
        assert each.child is None


def test_a_childs_request_is_shown_and_answered_at_its_parent() -> None:
    def child(request: ModelRequest) -> Reply:
        done = any(message["role"] == "tool" for message in request.messages)
        return say("paid") if done else call("pay", amount=5)

    harness = parent_with_children(child)
    view = harness.runner.start("boss", "go")
    assert kinds(view) == ["child", "approval", "child", "approval"]
    inner = view.waiting[1]
    assert (inner.path, inner.agents) == ("0.0/0.0", ("boss", "worker"))
    assert inner.run_id == child_run_id(view.run_id, parse_path("0.0"))
    harness.check(view.run_id)
    harness.check(inner.run_id or "")
    view = harness.runner.decide(view.run_id, inner.request_id, "approve")
    view = harness.runner.get(view.run_id)
    assert kinds(view) == ["child", "approval"]
    view = harness.runner.decide(
        view.waiting[1].run_id or "", view.waiting[1].request_id, "approve"
    )
    assert harness.runner.get(view.parent or "").result == "all done"


def test_a_failed_child_is_a_result_for_its_parent() -> None:
    harness = parent_with_children(lambda _request: Reply(fault="empty"), count=1)
    view = harness.runner.start("boss", "go")
    assert view.result == "all done"
    assert "worker failed" in harness.result(view.run_id)
    assert "no usable answer" in harness.result(view.run_id)


def test_a_parent_waits_for_a_blocked_child_until_it_goes_on() -> None:
    class Closed(Exception):
        pass

    refused = [Closed("no such model")]

    def work(_request: ModelRequest) -> Reply:
        if refused:
            raise refused[0]
        return say("worked")

    harness = parent_with_children(work, count=1)
    view = harness.runner.start("boss", "go")
    child = child_run_id(view.run_id, parse_path("0.0"))
    assert (view.status, [each.kind for each in view.waiting][:1]) == (Status.SUSPENDED, ["child"])
    assert "no such model" in (harness.runner.get(child).error or "")
    refused.clear()
    harness.runner.redrive(child)
    assert harness.runner.get(view.run_id).result == "all done"
    assert harness.result(view.run_id) == "worked"


def test_a_parent_waits_for_a_parked_child_and_hears_of_its_cancellation() -> None:
    harness = parent_with_children(lambda _request: call("nap", minutes=5), count=1)
    view = harness.runner.start("boss", "go")
    child = child_run_id(view.run_id, parse_path("0.0"))
    parked = harness.runner.store.claim(
        child, holder="x", now=harness.now, lease_until=harness.now + timedelta(minutes=1)
    )
    assert parked
    terms = ReleaseTerms(Status.PARKED, due=None, wake=parked.wake, entry_count=3, note="lost")
    assert harness.runner.store.commit(child, epoch=parked.epoch, release=terms, now=harness.now)
    assert harness.runner.advance(view.run_id).status is Status.SUSPENDED
    harness.runner.cancel(child)
    assert harness.runner.get(view.run_id).result == "all done"
    assert "was cancelled" in harness.result(view.run_id)


def test_a_cancelled_child_is_a_result_for_its_parent() -> None:
    harness = parent_with_children(lambda _request: call("nap", minutes=5), count=1)
    view = harness.runner.start("boss", "go")
    harness.runner.cancel(child_run_id(view.run_id, parse_path("0.0")))
    assert harness.runner.get(view.run_id).result == "all done"
    assert "was cancelled" in harness.result(view.run_id)


def test_a_cancel_reaches_all_child_runs() -> None:
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
    harness = LocalHarness(agents=[boss], scripts=scripts)
    view = harness.runner.start("boss", "go")
    assert kinds(view) == ["child", "child", "timer"]
    assert view.waiting[2].agents == ("boss", "inner", "clerk", "worker")
    assert view.waiting[2].path == "0.0/0.0/0.0/0.0"
    assert harness.runner.cancel(view.run_id).status is Status.CANCELLED
    statuses = {each.agent: each.status for each in harness.store.list_runs("default").heads}
    assert set(statuses.values()) == {Status.CANCELLED}
    assert set(statuses) == {"boss", "clerk", "worker"}


def test_the_children_of_a_parked_run_are_cancelled_with_it() -> None:
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
    harness = LocalHarness(agents=[boss], scripts=scripts)
    view = harness.runner.start("boss", "go")
    head = harness.store.head(view.run_id)
    assert head
    harness.store._runs[view.run_id].head = head.model_copy(update={"status": Status.PARKED})
    assert harness.runner.cancel(view.run_id).status is Status.CANCELLED
    child = child_run_id(view.run_id, parse_path("0.0"))
    assert harness.runner.get(child).status is Status.CANCELLED


class CorruptStore(InMemoryStore):
    """A store in which some runs cannot be read as a whole."""

    corrupt: str | None = None

    def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
        if run_id == self.corrupt and not partial:
            raise CorruptValue("a value has changed")
        return super().load(run_id, partial=partial)


def parent_of_one() -> tuple[Harness, CorruptStore, str, str]:
    """A parent that waits for the child that it has started: both ids, the parent's first."""
    store = CorruptStore()
    harness = Harness(script=[], store=store)
    worker = Agent("worker").as_tool(description="Work.", spawn=True)
    harness.registry = Registry([Agent("a", tools=[worker])])
    harness.model.scripts = {"a": [call("worker", input="x"), say("ok")], "worker": [say("did")]}
    parent = harness.start()
    assert harness.worker().advance(parent) is Status.SUSPENDED
    return harness, store, parent, child_run_id(parent, parse_path("0.0"))


def test_a_child_that_is_parked_reports_its_end_to_its_parent_once_it_has_ended() -> None:
    harness, store, parent, child = parent_of_one()
    store.corrupt = child
    assert harness.worker().advance(child) is Status.PARKED
    loaded = harness.loaded(parent)
    assert loaded.head.wake == 0
    assert loaded.continuation.call_at(parse_path("0.0")).outcome is None
    store.corrupt = None
    harness.services.control.redrive(child)
    assert harness.worker().advance(child) is Status.COMPLETED
    assert harness.worker().advance(parent) is Status.COMPLETED


def test_a_cancel_reaches_the_child_runs_of_a_run_that_cannot_be_read() -> None:
    harness, store, parent, child = parent_of_one()
    store.corrupt = parent
    harness.services.control.cancel(parent)
    assert harness.worker().advance(parent) is Status.CANCELLED
    assert harness.worker().advance(child) is Status.CANCELLED


def test_a_call_that_needs_approval_starts_its_run_after_it() -> None:
    worker = Agent("worker")
    spawned = worker.as_tool(description="Work.", spawn=True, approval=Approval([ANN]))
    harness = LocalHarness(
        agents=[Agent("boss", tools=[spawned])],
        scripts={"boss": [call("worker", input="x"), say("done")], "worker": [say("worked")]},
    )
    view = harness.runner.start("boss", "go")
    assert kinds(view) == ["approval"]
    assert len(harness.store.list_runs("default").heads) == 1
    view = harness.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    assert harness.runner.get(view.run_id).result == "done"
    assert harness.result(view.run_id) == "worked"


def test_a_completed_child_takes_no_message() -> None:
    harness = parent_with_children(lambda _request: say("did"), count=1)
    view = harness.runner.start("boss", "go")
    with pytest.raises(Conflict):
        harness.runner.message(child_run_id(view.run_id, parse_path("0.0")), "and?")


def test_a_turn_can_start_two_hundred_children() -> None:
    harness = parent_with_children(lambda request: say(f"did {job(request)}"), count=200)
    view = harness.runner.start("boss", "go")
    assert view.result == "all done"
    assert harness.result(view.run_id, "0.199") == "did job 199"
    assert sum(request.agent == "boss" for request in harness.model.requests) == 2


def test_children_beyond_the_limit_of_a_turn_are_refused_and_the_others_run() -> None:
    harness = parent_with_children(
        lambda request: say(f"did {job(request)}"), count=MAX_CALLS_WITH_RUNS + 1
    )
    view = harness.runner.start("boss", "go")
    assert view.result == "all done"
    told = [harness.result(view.run_id, f"0.{n}") for n in range(MAX_CALLS_WITH_RUNS + 1)]
    assert told[-2] == f"did job {MAX_CALLS_WITH_RUNS - 1}"
    assert "only 256 tool calls are possible in one turn" in str(told[-1])


def test_child_runs_do_not_count_against_the_limit_of_other_calls() -> None:
    @tool
    def note() -> str:
        """Note."""
        return "noted"

    many = [("worker", {"input": "job"})] * (MAX_CALLS_WITH_RUNS - MAX_CALLS_PER_TURN)
    many += [("note", {})] * (MAX_CALLS_PER_TURN + 1)
    boss = Agent("boss", tools=[Agent("worker").as_tool(description="Work.", spawn=True), note])
    replies = [calls(*many[:-1]), calls(*many), say("done")]
    harness = LocalHarness(agents=[boss], scripts={"boss": replies, "worker": lambda _: say("did")})
    view = harness.runner.start("boss", "go")
    fits, too_many = harness.runner.continuation(view.run_id).turns[:2]
    assert not [each for each in fits.calls if each.plan.kind == "refused"]
    assert [each.plan.kind for each in too_many.calls].index("refused") == MAX_CALLS_WITH_RUNS


def test_a_child_run_that_ends_as_a_message_comes_is_not_reopened() -> None:
    harness = parent_with_children(lambda _request: call("nap", minutes=5), count=1)
    view = harness.runner.start("boss", "go")
    child = child_run_id(view.run_id, parse_path("0.0"))
    look = harness.runner._services.runs.look

    def look_and_end(run_id: str) -> LoadedRun:
        loaded = look(run_id)
        head = harness.store.head(run_id)
        assert head
        ended = head.model_copy(update={"status": Status.COMPLETED, "due": None})
        harness.store._runs[run_id].head = ended
        return loaded

    harness.runner._services.runs.look = look_and_end  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="completed"):
        harness.runner.message(child, "and?")
    head = harness.store.head(child)
    assert head
    assert head.status is Status.COMPLETED


def test_a_request_that_a_child_run_may_have_is_answered_again_once_that_can_be_read() -> None:
    harness = parent_with_children(lambda _request: call("pay", amount=5), count=2)
    view = harness.runner.start("boss", "go")
    unread = child_run_id(view.run_id, parse_path("0.0"))
    load = harness.store.load

    def failing_load(run_id: str, *, partial: bool = False) -> Snapshot | None:
        if run_id == unread and not partial:
            raise CorruptValue("the value is gone")
        return load(run_id, partial=partial)

    harness.store.load = failing_load  # type: ignore[method-assign]
    with pytest.raises(Retryable, match="cannot be read now"):
        harness.runner.decide(view.run_id, view.waiting[1].request_id, "approve")
    other = view.waiting[3].request_id
    harness.runner._services.runs.find_request(view.run_id, other)
    harness.store.load = load  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        harness.runner.decide(view.run_id, "other", "approve")
    harness.runner.decide(view.run_id, view.waiting[1].request_id, "approve")
