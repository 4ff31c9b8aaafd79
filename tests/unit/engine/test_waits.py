"""Every reason to wait but approval: timers, questions, events, jobs, and several at once."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from agent_continuations import (
    Agent,
    Approval,
    Escalation,
    InMemoryStore,
    Job,
    LocalRunner,
    Pending,
    Question,
    ScriptedModel,
    Sleep,
    ToolContext,
    WaitFor,
    calls,
    say,
    tool,
)
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.run import Status
from agent_continuations.errors import (
    AlreadyDecided,
    Conflict,
    Forbidden,
    Invalid,
    KeyReused,
    NotFound,
)
from agent_continuations.operations.stuck_runs import why_stuck
from agent_continuations.views.run import RunView

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ANN, BOB = "ann@example.com", "bob@example.com"


class Place:
    """One agent, or more, and a clock that the test moves."""

    def __init__(
        self,
        *tools: Tool,
        script: Script | None = None,
        agents: Sequence[Agent] = (),
        scripts: Mapping[str, Script] | None = None,
    ) -> None:
        self.now = NOW
        self.agents = agents or [Agent("a", tools=tools)]
        self.model = ScriptedModel(scripts or {"a": script or []})
        self.store = InMemoryStore()
        self.runner = self.restarted()

    def restarted(self) -> LocalRunner:
        """Another process: nothing is kept but the store."""
        return LocalRunner(
            self.agents, self.model, store=self.store, clock=lambda: self.now, signing_key="k" * 32
        )

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def result(self, run_id: str, path: str = "0.0") -> str:
        """What the model was told of a call."""
        for at, call in self.runner.continuation(run_id).calls():
            if "/".join(f"{step.turn}.{step.call}" for step in at) == path:
                assert call.outcome
                return call.outcome.content
        raise LookupError(path)

    def check(self, run_id: str) -> None:
        """Something will move the run, and it costs nothing until then."""
        head = self.store.head(run_id)
        assert head
        assert head.lease_until is None
        assert why_stuck(head, self.runner.continuation(run_id), self.now) is None


def kinds(view: RunView) -> list[str]:
    return [each.kind for each in view.waiting]


# -- timers ----------------------------------------------------------------------------------------


@tool(effect="read")
def nap(minutes: int) -> Sleep:
    """Wait."""
    return Sleep(seconds=60 * minutes)


def test_a_timer_lets_the_run_go_on_at_its_time_and_not_before() -> None:
    place = Place(nap, script=[calls(("nap", {"minutes": 10})), say("awake")])
    view = place.runner.start("a", "go")
    [waits] = view.waiting
    assert (view.status, waits.kind, waits.expires_at) == (
        Status.SUSPENDED,
        "timer",
        NOW + timedelta(minutes=10),
    )
    head = place.store.head(view.run_id)
    assert head
    assert head.due == NOW + timedelta(minutes=10)
    place.check(view.run_id)
    place.later(minutes=9)
    assert place.runner.advance(view.run_id).status is Status.SUSPENDED
    place.later(minutes=1)
    assert place.restarted().advance(view.run_id).result == "awake"
    assert "2026-11-26T12:10:00" in place.result(view.run_id)


def test_a_timer_until_a_time_and_its_cancel() -> None:
    @tool
    def until() -> Sleep:
        """Wait."""
        return Sleep(until=NOW + timedelta(days=30))

    place = Place(until, script=[calls(("until", {}))])
    view = place.runner.start("a", "go")
    assert view.waiting[0].expires_at == NOW + timedelta(days=30)
    assert place.runner.cancel(view.run_id).status is Status.CANCELLED
    place.later(days=31)
    assert place.runner.advance(view.run_id).status is Status.CANCELLED
    assert len(place.model.requests) == 1


def test_a_timer_that_is_up_already_does_not_suspend() -> None:
    @tool(effect="read")
    def past() -> Sleep:
        """Wait."""
        return Sleep(until=NOW - timedelta(days=1))

    place = Place(past, script=[calls(("past", {})), say("done")])
    assert place.runner.start("a", "go").result == "done"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Sleep(),
        lambda: Sleep(seconds=1, until=NOW),
        lambda: Sleep(seconds=0),
        lambda: Sleep(until=datetime(2026, 1, 1)),
        lambda: Question("", [ANN]),
        lambda: Question("What?", []),
        lambda: WaitFor(""),
        lambda: WaitFor("e", timeout_seconds=-1),
        lambda: Job(object(), timeout_seconds=1),
        lambda: Job("x", timeout_seconds=0),
    ],
)
def test_what_cannot_be_waited_for_is_refused_where_it_is_written(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        wrong()


# -- questions -------------------------------------------------------------------------------------


class Delivery(BaseModel):
    day: Literal["monday", "friday"]
    floor: int = Field(ge=0)


@tool(effect="read", answer=Delivery)
def ask_delivery(order: str) -> Question:
    """Ask when to deliver."""
    return Question(f"When shall {order} be delivered?", ask=[ANN, BOB], timeout_seconds=3600)


@tool(effect="read")
def ask_anything() -> Question:
    """Ask."""
    return Question("What now?", ask=[ANN])


def asked(one: Tool = ask_delivery) -> tuple[Place, RunView]:
    arguments = {"order": "o-1"} if one is ask_delivery else {}
    place = Place(one, script=[calls((one.name, arguments)), say("done")])
    return place, place.runner.start("a", "go")


def test_a_person_is_asked_and_the_answer_is_the_calls_result() -> None:
    place, view = asked()
    [waits] = view.waiting
    assert (waits.kind, waits.message) == ("question", "When shall o-1 be delivered?")
    assert waits.approvers == (ANN, BOB)
    assert waits.answer_schema == Delivery.model_json_schema()
    assert waits.expires_at == NOW + timedelta(hours=1)
    [notice] = place.store.notices(view.run_id)
    assert notice.kind == "question"
    assert notice.preview
    assert notice.preview.effect == "When shall o-1 be delivered?"
    place.check(view.run_id)
    done = place.restarted().answer(
        view.run_id, waits.request_id, {"day": "friday", "floor": 3}, approver=BOB
    )
    assert done.result == "done"
    assert place.result(view.run_id) == '{"day": "friday", "floor": 3}'


@pytest.mark.parametrize(
    "answer", [None, "friday", {"day": "sunday", "floor": 1}, {"day": "friday", "floor": -1}]
)
def test_an_answer_that_does_not_fit_is_explained_and_the_question_stays_open(answer: Any) -> None:
    place, view = asked()
    request_id = view.waiting[0].request_id
    with pytest.raises(Invalid) as refused:
        place.runner.answer(view.run_id, request_id, answer, approver=ANN)
    assert refused.value.fields
    assert all(name.startswith("answer") for name, _ in refused.value.fields)
    assert kinds(place.runner.get(view.run_id)) == ["question"]
    right = {"day": "monday", "floor": 0}
    assert place.runner.answer(view.run_id, request_id, right, approver=ANN).result == "done"


def test_a_plain_answer_is_told_as_it_is() -> None:
    place, view = asked(ask_anything)
    place.runner.answer(view.run_id, view.waiting[0].request_id, "Go home.")
    assert place.result(view.run_id) == "Go home."


def test_the_first_answer_stands_and_the_same_again_is_taken() -> None:
    place, view = asked()
    request_id, answer = view.waiting[0].request_id, {"day": "friday", "floor": 3}
    place.runner.answer(view.run_id, request_id, answer, approver=ANN)
    place.runner.answer(view.run_id, request_id, answer, approver=ANN)
    with pytest.raises(AlreadyDecided) as late:
        place.runner.answer(view.run_id, request_id, {"day": "monday", "floor": 3}, approver=ANN)
    assert late.value.decision["answer"] == answer


def test_only_those_who_are_asked_can_answer() -> None:
    place, view = asked()
    with pytest.raises(Forbidden):
        place.runner.answer(
            view.run_id,
            view.waiting[0].request_id,
            {"day": "friday", "floor": 3},
            approver="eve@example.com",
        )


def test_a_question_can_be_declined_and_the_reason_is_told() -> None:
    place, view = asked()
    place.runner.decide(
        view.run_id, view.waiting[0].request_id, "reject", approver=ANN, reason="ask the buyer"
    )
    assert "ask the buyer" in place.result(view.run_id)
    assert "no answer" in place.result(view.run_id)


def test_nobody_answers_in_time_and_the_model_is_told_so() -> None:
    place, view = asked()
    place.later(hours=1)
    assert place.runner.advance(view.run_id).result == "done"
    assert "nobody answered before the deadline" in place.result(view.run_id)
    with pytest.raises(AlreadyDecided):
        place.runner.answer(
            view.run_id, view.waiting[0].request_id, {"day": "friday", "floor": 3}, approver=ANN
        )


def test_others_are_asked_where_nobody_answers() -> None:
    @tool(effect="read")
    def escalating() -> Question:
        """Ask."""
        later = Escalation(approvers=(BOB,), timeout_seconds=600)
        return Question("Well?", [ANN], timeout_seconds=60, escalations=[later])

    place = Place(escalating, script=[calls(("escalating", {})), say("done")])
    view = place.runner.start("a", "go")
    place.later(minutes=2)
    view = place.runner.advance(view.run_id)
    assert view.waiting[0].approvers == (BOB,)
    place.runner.answer(view.run_id, view.waiting[0].request_id, "well")
    assert place.result(view.run_id) == "well"


def test_a_question_is_on_the_audit_trail_with_its_answer() -> None:
    place, view = asked()
    place.runner.answer(
        view.run_id, view.waiting[0].request_id, {"day": "friday", "floor": 3}, approver=ANN
    )
    audit = place.runner.audit(view.run_id)
    assert [each["kind"] for each in audit.items] == ["approval_requested", "decided"]
    assert audit.items[1]["decision"]["answer"] == {"day": "friday", "floor": 3}
    from agent_continuations.services.audit import document_faults

    document = audit.model_dump(mode="json")
    assert document_faults(document) == []
    document["calls"]["0.0"]["question"]["text"] = "When shall o-2 be delivered?"
    assert document_faults(document)


def test_a_tool_that_needs_approval_asks_no_question_too() -> None:
    @tool(approval=Approval([ANN]))
    def both() -> Question:
        """Ask."""
        return Question("What?", [ANN])

    place = Place(both, script=[calls(("both", {})), say("done")])
    view = place.runner.start("a", "go")
    place.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    assert "cannot ask a question" in place.result(view.run_id)


def test_arguments_do_not_answer_a_question_and_an_answer_approves_no_call() -> None:
    place, view = asked()
    with pytest.raises(Invalid):
        place.runner.decide(
            view.run_id,
            view.waiting[0].request_id,
            "approve",
            approver=ANN,
            arguments={"order": "x"},
        )

    @tool(approval=Approval([ANN]))
    def pay() -> str:
        """Pay."""
        return "paid"

    other = Place(pay, script=[calls(("pay", {})), say("done")])
    gated = other.runner.start("a", "go")
    with pytest.raises(Invalid):
        other.runner.answer(gated.run_id, gated.waiting[0].request_id, "yes")


# -- events ----------------------------------------------------------------------------------------


@tool(effect="read")
def wait_paid(order: str) -> WaitFor:
    """Wait for a payment."""
    return WaitFor("paid", correlation=order, timeout_seconds=3600)


@tool(effect="read")
def wait_any() -> WaitFor:
    """Wait for anything."""
    return WaitFor("anything")


def test_an_event_lets_the_run_go_on_with_what_it_brings() -> None:
    place = Place(wait_paid, script=[calls(("wait_paid", {"order": "o-1"})), say("done")])
    view = place.runner.start("a", "go")
    [waits] = view.waiting
    assert (waits.kind, waits.event, waits.correlation) == ("event", "paid", "o-1")
    place.check(view.run_id)
    other = place.runner.signal(view.run_id, "paid", {"euros": 1}, correlation="o-2")
    assert kinds(other) == ["event"]
    assert kinds(place.runner.signal(view.run_id, "refunded", correlation="o-1")) == ["event"]
    done = place.runner.signal(view.run_id, "paid", {"euros": 5}, correlation="o-1")
    assert done.result == "done"
    assert place.result(view.run_id) == '{"euros":5}'


def test_an_event_that_comes_early_is_kept() -> None:
    place = Place(
        nap, wait_any, script=[calls(("nap", {"minutes": 1})), calls(("wait_any", {})), say("done")]
    )
    view = place.runner.start("a", "go")
    place.runner.signal(view.run_id, "anything", "early")
    place.later(minutes=1)
    assert place.runner.advance(view.run_id).result == "done"
    assert place.result(view.run_id, "1.0") == "early"


def test_an_event_that_does_not_come_is_a_result() -> None:
    place = Place(wait_paid, script=[calls(("wait_paid", {"order": "o-1"})), say("done")])
    view = place.runner.start("a", "go")
    place.later(hours=1)
    assert place.runner.advance(view.run_id).result == "done"
    assert "has not come in time" in place.result(view.run_id)


def test_each_event_is_taken_by_one_call_only_the_first_first() -> None:
    place = Place(wait_any, script=[calls(("wait_any", {}), ("wait_any", {})), say("done")])
    view = place.runner.start("a", "go")
    assert kinds(view) == ["event", "event"]
    view = place.runner.signal(view.run_id, "anything", "one")
    assert [each.path for each in view.waiting] == ["0.1"]
    place.later(seconds=1)
    assert place.runner.signal(view.run_id, "anything", "two").result == "done"
    assert [place.result(view.run_id, at) for at in ("0.0", "0.1")] == ["one", "two"]


def test_the_same_event_again_is_one_event() -> None:
    place = Place(wait_any, script=[calls(("wait_any", {}), ("wait_any", {})), say("done")])
    view = place.runner.start("a", "go")
    services = place.runner._services
    first = services.inbound.signal(view.run_id, "anything", "one", key="k")
    place.later(seconds=5)
    assert services.inbound.signal(view.run_id, "anything", "one", key="k") == first
    with pytest.raises(KeyReused):
        services.inbound.signal(view.run_id, "anything", "two", key="k")
    assert kinds(place.runner.advance(view.run_id)) == ["event"]


def test_an_event_for_a_run_that_has_ended_is_refused() -> None:
    place = Place(script=[say("done")])
    view = place.runner.start("a", "go")
    with pytest.raises(Conflict):
        place.runner.signal(view.run_id, "anything")
    with pytest.raises(NotFound):
        place.runner.signal("aaaa", "anything")
    with pytest.raises(Invalid):
        place.runner.signal(view.run_id, "")


# -- jobs ------------------------------------------------------------------------------------------


def test_a_job_is_done_when_the_other_side_says_so() -> None:
    started: list[str] = []

    @tool
    def export(context: ToolContext) -> Job:
        """Export."""
        started.append(context.idempotency_key)
        return Job({"id": 7}, timeout_seconds=3600)

    place = Place(export, script=[calls(("export", {})), say("done")])
    view = place.runner.start("a", "go")
    assert kinds(view) == ["job"]
    place.check(view.run_id)
    place.later(minutes=30)
    assert kinds(place.restarted().advance(view.run_id)) == ["job"]
    done = place.runner.complete(view.run_id, "0.0", {"rows": 12})
    assert (done.result, len(started)) == ("done", 1)
    assert place.result(view.run_id) == '{"rows": 12}'
    with pytest.raises(Conflict):
        place.runner.complete(view.run_id, "0.0", {"rows": 13})
    with pytest.raises(NotFound):
        place.runner.complete(view.run_id, "9.9", {})


def test_a_job_that_does_not_finish_is_a_result() -> None:
    @tool
    def export() -> Job:
        """Export."""
        return Job("j", timeout_seconds=60)

    place = Place(export, script=[calls(("export", {})), say("done")])
    view = place.runner.start("a", "go")
    place.later(minutes=1)
    assert place.runner.advance(view.run_id).result == "done"
    assert "has not finished in time" in place.result(view.run_id)
    with pytest.raises(Conflict):
        place.runner.complete(view.run_id, "0.0", "late")


def polled(answers: list[Any], **job: Any) -> tuple[Place, list[Any]]:
    """A job that is polled; each answer is what one poll finds."""
    handles: list[Any] = []

    def look(handle: Any, context: ToolContext) -> Any:
        handles.append((handle, context.path, context.attempt))
        answer = answers.pop(0) if answers else Pending()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @tool(effect="idempotent", poll=look)
    def export() -> Job:
        """Export."""
        return Job("j-1", **{"timeout_seconds": 3600, "poll_seconds": 60, **job})

    return Place(export, script=[calls(("export", {})), say("done")]), handles


def test_a_job_is_polled_with_backoff_until_it_is_done() -> None:
    place, handles = polled([Pending(), RuntimeError("down"), "12 rows"])
    view = place.runner.start("a", "go")
    times = []
    for _ in range(3):
        head = place.store.head(view.run_id)
        assert head
        assert head.due
        place.check(view.run_id)
        times.append((head.due - place.now).total_seconds())
        assert kinds(place.runner.advance(view.run_id)) == ["job"]
        place.now = head.due
        view = place.restarted().advance(view.run_id)
    assert times == [60, 120, 240]
    assert view.result == "done"
    assert place.result(view.run_id) == "12 rows"
    assert handles == [("j-1", "0.0", 1), ("j-1", "0.0", 2), ("j-1", "0.0", 3)]


def test_polling_ends_with_the_jobs_time() -> None:
    place, handles = polled([], timeout_seconds=100, longest_poll_seconds=60)
    view = place.runner.start("a", "go")
    for _ in range(2):
        head = place.store.head(view.run_id)
        assert head
        assert head.due
        place.now = head.due
        view = place.runner.advance(view.run_id)
    assert view.result == "done"
    assert "has not finished in time" in place.result(view.run_id)
    assert len(handles) == 1


def test_a_polled_job_without_a_poll_function_is_told_to_the_model() -> None:
    @tool
    def export() -> Job:
        """Export."""
        return Job("j", timeout_seconds=60, poll_seconds=1)

    place = Place(export, script=[calls(("export", {})), say("done")])
    view = place.runner.start("a", "go")
    assert "no poll function" in place.result(view.run_id)


# -- at any depth, and several at once -------------------------------------------------------------


def test_all_of_them_at_once_three_levels_deep_are_answered_one_by_one() -> None:
    @tool(approval=Approval([ANN]))
    def pay() -> str:
        """Pay."""
        return "paid"

    @tool
    def export() -> Job:
        """Export."""
        return Job("j", timeout_seconds=1e6)

    leaf = Agent("leaf", tools=[nap, ask_anything, wait_any, export, pay])
    middle = Agent("middle", tools=[leaf.as_tool(description="Ask.")])
    root = Agent("root", tools=[middle.as_tool(description="Ask."), wait_any])
    every = [("nap", {"minutes": 5}), *((name, {}) for name in ("ask_anything", "wait_any"))]
    place = Place(
        agents=[root],
        scripts={
            "root": [calls(("middle", {"input": "x"}), ("wait_any", {})), say("root done")],
            "middle": [calls(("leaf", {"input": "x"})), say("middle done")],
            "leaf": [calls(*every, ("export", {}), ("pay", {})), say("leaf done")],
        },
    )
    view = place.runner.start("root", "go")
    assert kinds(view) == ["timer", "question", "event", "job", "approval", "event"]
    assert [each.path for each in view.waiting][-2:] == ["0.0/0.0/0.4", "0.1"]
    assert view.waiting[0].agents == ("root", "middle", "leaf")
    place.check(view.run_id)
    by_kind = {each.kind: each for each in reversed(view.waiting)}
    document = place.runner.dump(view.run_id)
    assert kinds(place.restarted().get(view.run_id)) == kinds(view)
    assert document
    place.runner.complete(view.run_id, by_kind["job"].path, "rows")
    place.runner.answer(view.run_id, by_kind["question"].request_id, "yes")
    view = place.runner.signal(view.run_id, "anything", "first")
    assert kinds(view) == ["timer", "approval", "event"]
    view = place.runner.decide(view.run_id, by_kind["approval"].request_id, "approve")
    place.later(minutes=5)
    view = place.runner.advance(view.run_id)
    assert kinds(view) == ["event"]
    assert place.runner.signal(view.run_id, "anything", "second").result == "root done"
    results = [place.result(view.run_id, f"0.0/0.0/0.{index}") for index in (1, 2, 3, 4)]
    assert results == ["yes", "first", "rows", "paid"]


def test_a_waiting_run_goes_on_in_another_store() -> None:
    place = Place(
        nap, wait_any, script=[calls(("nap", {"minutes": 5}), ("wait_any", {})), say("x")]
    )
    view = place.runner.start("a", "go")
    place.runner.signal(view.run_id, "unwanted", "kept")
    other = Place(
        nap, wait_any, script=[calls(("nap", {"minutes": 5}), ("wait_any", {})), say("x")]
    )
    view = other.runner.load(place.runner.dump(view.run_id))
    assert kinds(view) == ["timer", "event"]
    other.runner.signal(view.run_id, "anything", "yes")
    other.later(minutes=5)
    assert other.runner.advance(view.run_id).result == "x"
