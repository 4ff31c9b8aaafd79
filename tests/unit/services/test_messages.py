"""Messages to a run, validated answers, and operators who pause it."""

from typing import Any

import pytest
from pydantic import BaseModel, Field

from agent_continuations import Agent, Approval, calls, say, tool
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import Status
from agent_continuations.errors import Conflict, Invalid, KeyReused
from agent_continuations.ports.model import ModelRequest
from agent_continuations.services.inbound_checks import MAX_PENDING_INBOUND
from agent_continuations.services.services import Services
from tests.support.local_harness import ANN, LocalHarness, kinds, nap, wait_any

# -- messages --------------------------------------------------------------------------------------


def told(request: ModelRequest) -> list[tuple[str, Any]]:
    return [(message["role"], message["content"]) for message in request.messages]


def test_a_completed_run_continues_with_the_next_message() -> None:
    harness = LocalHarness(script=[say("hello"), say("fine"), say("bye")])
    view = harness.runner.start("a", "hi")
    assert view.result == "hello"
    view = harness.restarted().message(view.run_id, "how are you?")
    assert (view.status, view.result) == (Status.COMPLETED, "fine")
    assert harness.restarted().message(view.run_id, "bye").result == "bye"
    assert told(harness.model.requests[-1]) == [
        ("user", "hi"),
        ("assistant", "hello"),
        ("user", "how are you?"),
        ("assistant", "fine"),
        ("user", "bye"),
    ]


def test_a_message_to_a_waiting_run_is_in_its_next_turn() -> None:
    harness = LocalHarness(nap, script=[calls(("nap", {"minutes": 1})), say("done")])
    view = harness.runner.start("a", "hi")
    harness.runner.message(view.run_id, "one")
    harness.later(seconds=1)
    assert kinds(harness.runner.message(view.run_id, "two")) == ["timer"]
    assert len(harness.model.requests) == 1
    harness.later(minutes=1)
    assert harness.runner.advance(view.run_id).result == "done"
    assert len(harness.model.requests) == 2
    assert told(harness.model.requests[-1])[-2:] == [("user", "one"), ("user", "two")]


def test_a_message_during_a_model_call_is_in_the_next_turn() -> None:
    def script(request: ModelRequest) -> Reply:
        heard = [content for role, content in told(request) if role == "user"]
        if heard == ["hi"]:
            services.inbound.message(run_ids[0], "and?")
        return say(f"heard {len(heard)}")

    harness = LocalHarness(script=script)
    services = Services.of(
        store=harness.store,
        queue=harness.runner._queue,
        registry=lambda: harness.runner._services.runs.registry(),
        clock=lambda: harness.now,
    )
    run_ids = [services.runs.start("a", "hi").run_id]
    view = harness.runner.advance(run_ids[0])
    assert view.result == "heard 2"
    turns = harness.runner.continuation(view.run_id).turns
    assert [[each.text for each in turn.heard] for turn in turns] == [[], ["and?"]]


def test_a_repeated_message_is_stored_once() -> None:
    harness = LocalHarness(wait_any, script=[calls(("wait_any", {})), say("done")])
    view = harness.runner.start("a", "hi")
    services = harness.runner._services
    first = services.inbound.message(view.run_id, "one", key="k")
    assert services.inbound.message(view.run_id, "one", key="k") == first
    with pytest.raises(KeyReused):
        services.inbound.message(view.run_id, "two", key="k")
    assert len(harness.runner.continuation(view.run_id).messages) == 1


def test_turns_are_counted_from_the_last_message() -> None:
    agent = Agent("a", max_turns=2)
    harness = LocalHarness(agents=[agent], scripts={"a": [say("1"), say("2"), say("3"), say("4")]})
    view = harness.runner.start("a", "hi")
    for number in ("2", "3", "4"):
        view = harness.runner.message(view.run_id, "on")
        assert view.result == number


def test_a_failed_or_cancelled_run_accepts_no_message() -> None:
    harness = LocalHarness(wait_any, script=[calls(("wait_any", {}))])
    view = harness.runner.start("a", "hi")
    harness.runner.cancel(view.run_id)
    with pytest.raises(Conflict):
        harness.runner.message(view.run_id, "hello?")


def test_invalid_or_too_many_messages_are_refused() -> None:
    harness = LocalHarness(wait_any, script=[calls(("wait_any", {}))])
    view = harness.runner.start("a", "hi")
    for text in (" ", "x" * 300_000):
        with pytest.raises(Invalid):
            harness.runner.message(view.run_id, text)
    for number in range(MAX_PENDING_INBOUND):
        harness.runner.message(view.run_id, str(number))
    with pytest.raises(Conflict):
        harness.runner.message(view.run_id, "one more")


# -- validated answers -----------------------------------------------------------------------------


class Verdict(BaseModel):
    good: bool
    marks: int = Field(ge=1, le=5)


def judge(*replies: str) -> LocalHarness:
    agent = Agent("a", output_type=Verdict)
    return LocalHarness(agents=[agent], scripts={"a": [say(each) for each in replies]})


def test_a_valid_answer_is_the_result() -> None:
    harness = judge('{"marks": 5, "good": true}')
    assert harness.runner.start("a", "judge").result == '{"good": true, "marks": 5}'
    assert harness.model.requests[0].output == Verdict.model_json_schema()


def test_an_invalid_answer_is_returned_to_the_model_with_the_errors() -> None:
    harness = judge('{"good": true, "marks": 9}', "Very good!", '{"good": true, "marks": 5}')
    view = harness.runner.start("a", "judge")
    assert (view.status, view.turns) == (Status.COMPLETED, 3)
    second, third = (told(request)[-1] for request in harness.model.requests[1:])
    assert second[0] == third[0] == "user"
    assert "marks: Input should be less than or equal to 5" in second[1]
    assert "not JSON" in third[1]


def test_the_number_of_invalid_answers_is_limited() -> None:
    harness = judge(*["nonsense"] * 9)
    view = harness.runner.start("a", "judge")
    assert view.status is Status.FAILED
    assert view.turns == 3
    assert view.error
    assert "output" in view.error


def test_the_answer_of_a_sub_agent_is_validated_too() -> None:
    inner = Agent("inner", output_type=Verdict)
    outer = Agent("outer", tools=[inner.as_tool(description="Judge.")])
    scripts = {
        "outer": [calls(("inner", {"input": "x"})), say("done")],
        "inner": [say("no"), say('{"good": false, "marks": 1}')],
    }
    harness = LocalHarness(agents=[outer], scripts=scripts)
    view = harness.runner.start("outer", "go")
    assert harness.result(view.run_id) == '{"good": false, "marks": 1}'


# -- operators -------------------------------------------------------------------------------------


def test_a_paused_run_accepts_decisions_and_does_not_advance() -> None:
    ran: list[str] = []

    @tool(approval=Approval([ANN]))
    def pay() -> str:
        """Pay."""
        ran.append("paid")
        return "paid"

    harness = LocalHarness(
        pay, nap, script=[calls(("pay", {}), ("nap", {"minutes": 1})), say("done")]
    )
    view = harness.runner.start("a", "go")
    paused = harness.runner.pause(view.run_id)
    assert (paused.status, paused.paused) == (Status.SUSPENDED, True)
    assert harness.runner.pause(view.run_id) == paused
    view = harness.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    harness.later(hours=1)
    view = harness.restarted().advance(view.run_id)
    assert (view.paused, ran, len(harness.model.requests)) == (True, [], 1)
    head = harness.store.head(view.run_id)
    assert head
    assert head.due is None
    assert kinds(view) == ["timer"]
    view = harness.runner.resume(view.run_id)
    assert (view.result, view.paused, ran) == ("done", False, ["paid"])
    with pytest.raises(Conflict):
        harness.runner.pause(view.run_id)
    with pytest.raises(Conflict):
        harness.runner.resume(view.run_id)


def test_a_running_run_that_is_paused_starts_nothing_more() -> None:
    ran: list[str] = []
    hold: list[Any] = []

    @tool
    def first() -> str:
        """Do it."""
        ran.append("first")
        hold[0]()
        return "done"

    @tool
    def second() -> str:
        """Do it."""
        ran.append("second")
        return "done"

    harness = LocalHarness(
        first, second, script=[calls(("first", {})), calls(("second", {})), say("finished")]
    )
    view = harness.runner._services.runs.start("a", "go")
    hold.append(lambda: harness.runner.pause(view.run_id))
    stopped = harness.runner.advance(view.run_id)
    assert (stopped.paused, ran) == (True, ["first"])
    assert harness.result(view.run_id) == "done"
    assert harness.runner.resume(view.run_id).result == "finished"
    assert ran == ["first", "second"]


def test_a_paused_run_can_be_cancelled() -> None:
    harness = LocalHarness(wait_any, script=[calls(("wait_any", {}))])
    view = harness.runner.start("a", "go")
    harness.runner.pause(view.run_id)
    cancelled = harness.runner.cancel(view.run_id)
    assert (cancelled.status, cancelled.paused) == (Status.CANCELLED, False)


def test_a_run_that_ends_is_not_paused_any_more() -> None:
    harness = LocalHarness(script=lambda request: ending(request))
    ran: list[str] = []

    def ending(request: ModelRequest) -> Reply:
        if not ran:
            harness.runner.pause(run_id)
            ran.append("paused")
        return say(f"heard {len(request.messages)}")

    run_id = harness.runner._services.runs.start("a", "go").run_id
    view = harness.runner.advance(run_id)
    assert (view.status, view.paused) == (Status.COMPLETED, False)
    assert harness.runner.message(run_id, "more").result == "heard 3"
