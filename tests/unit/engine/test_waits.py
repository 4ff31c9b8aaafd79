"""Waits: timers, questions, events, jobs, and several of them at once."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from agent_continuations import (
    Agent,
    Approval,
    Escalation,
    Job,
    Pending,
    Question,
    Sleep,
    ToolContext,
    WaitFor,
    calls,
    say,
    tool,
)
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
from agent_continuations.views.run import RunView
from tests.support.local_harness import (
    ANN,
    BOB,
    NOW,
    Delivery,
    LocalHarness,
    ask_anything,
    ask_delivery,
    kinds,
    nap,
    wait_any,
    wait_paid,
)

# -- timers ----------------------------------------------------------------------------------------


def test_a_timer_continues_the_run_at_its_time_and_not_before() -> None:
    harness = LocalHarness(nap, script=[calls(("nap", {"minutes": 10})), say("awake")])
    view = harness.runner.start("a", "go")
    [waits] = view.waiting
    assert (view.status, waits.kind, waits.expires_at) == (
        Status.SUSPENDED,
        "timer",
        NOW + timedelta(minutes=10),
    )
    head = harness.store.head(view.run_id)
    assert head
    assert head.due == NOW + timedelta(minutes=10)
    harness.check(view.run_id)
    harness.later(minutes=9)
    assert harness.runner.advance(view.run_id).status is Status.SUSPENDED
    harness.later(minutes=1)
    assert harness.restarted().advance(view.run_id).result == "awake"
    assert "2026-11-26T12:10:00" in harness.result(view.run_id)


def test_a_run_can_be_cancelled_while_its_timer_runs() -> None:
    @tool
    def until() -> Sleep:
        """Wait."""
        return Sleep(until=NOW + timedelta(days=30))

    harness = LocalHarness(until, script=[calls(("until", {}))])
    view = harness.runner.start("a", "go")
    assert view.waiting[0].expires_at == NOW + timedelta(days=30)
    assert harness.runner.cancel(view.run_id).status is Status.CANCELLED
    harness.later(days=31)
    assert harness.runner.advance(view.run_id).status is Status.CANCELLED
    assert len(harness.model.requests) == 1


def test_a_timer_in_the_past_does_not_suspend_the_run() -> None:
    @tool(effect="read")
    def past() -> Sleep:
        """Wait."""
        return Sleep(until=NOW - timedelta(days=1))

    harness = LocalHarness(past, script=[calls(("past", {})), say("done")])
    assert harness.runner.start("a", "go").result == "done"


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
def test_an_invalid_wait_is_refused_when_it_is_constructed(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        wrong()


# -- questions -------------------------------------------------------------------------------------


def asked_question(one: Tool = ask_delivery) -> tuple[LocalHarness, RunView]:
    arguments = {"order": "o-1"} if one is ask_delivery else {}
    harness = LocalHarness(one, script=[calls((one.name, arguments)), say("done")])
    return harness, harness.runner.start("a", "go")


def test_the_answer_to_a_question_is_the_calls_result() -> None:
    harness, view = asked_question()
    [waits] = view.waiting
    assert (waits.kind, waits.message) == ("question", "When shall o-1 be delivered?")
    assert waits.approvers == (ANN, BOB)
    assert waits.answer_schema == Delivery.model_json_schema()
    assert waits.expires_at == NOW + timedelta(hours=1)
    [notice] = harness.store.notices(view.run_id)
    assert notice.kind == "question"
    assert notice.preview
    assert notice.preview.effect == "When shall o-1 be delivered?"
    harness.check(view.run_id)
    done = harness.restarted().answer(
        view.run_id, waits.request_id, {"day": "friday", "floor": 3}, approver=BOB
    )
    assert done.result == "done"
    assert harness.result(view.run_id) == '{"day": "friday", "floor": 3}'


@pytest.mark.parametrize(
    "answer", [None, "friday", {"day": "sunday", "floor": 1}, {"day": "friday", "floor": -1}]
)
def test_an_invalid_answer_is_explained_and_the_question_stays_open(answer: Any) -> None:
    harness, view = asked_question()
    request_id = view.waiting[0].request_id
    with pytest.raises(Invalid) as refused:
        harness.runner.answer(view.run_id, request_id, answer, approver=ANN)
    assert refused.value.fields
    assert all(name.startswith("answer") for name, _ in refused.value.fields)
    assert kinds(harness.runner.get(view.run_id)) == ["question"]
    right = {"day": "monday", "floor": 0}
    assert harness.runner.answer(view.run_id, request_id, right, approver=ANN).result == "done"


def test_a_text_answer_is_passed_to_the_model_unchanged() -> None:
    harness, view = asked_question(ask_anything)
    harness.runner.answer(view.run_id, view.waiting[0].request_id, "Go home.")
    assert harness.result(view.run_id) == "Go home."


def test_the_first_answer_stands_and_its_repetition_is_accepted() -> None:
    harness, view = asked_question()
    request_id, answer = view.waiting[0].request_id, {"day": "friday", "floor": 3}
    harness.runner.answer(view.run_id, request_id, answer, approver=ANN)
    harness.runner.answer(view.run_id, request_id, answer, approver=ANN)
    with pytest.raises(AlreadyDecided) as late:
        harness.runner.answer(view.run_id, request_id, {"day": "monday", "floor": 3}, approver=ANN)
    assert late.value.decision["answer"] == answer


def test_only_approvers_of_the_question_can_answer() -> None:
    harness, view = asked_question()
    with pytest.raises(Forbidden):
        harness.runner.answer(
            view.run_id,
            view.waiting[0].request_id,
            {"day": "friday", "floor": 3},
            approver="eve@example.com",
        )


def test_a_question_can_be_declined_with_a_reason_for_the_model() -> None:
    harness, view = asked_question()
    harness.runner.decide(
        view.run_id, view.waiting[0].request_id, "reject", approver=ANN, reason="ask the buyer"
    )
    assert "ask the buyer" in harness.result(view.run_id)
    assert "no answer" in harness.result(view.run_id)


def test_a_question_without_an_answer_in_time_is_a_result_for_the_model() -> None:
    harness, view = asked_question()
    harness.later(hours=1)
    assert harness.runner.advance(view.run_id).result == "done"
    assert "nobody answered before the deadline" in harness.result(view.run_id)
    with pytest.raises(AlreadyDecided):
        harness.runner.answer(
            view.run_id, view.waiting[0].request_id, {"day": "friday", "floor": 3}, approver=ANN
        )


def test_an_unanswered_question_is_escalated() -> None:
    @tool(effect="read")
    def escalating() -> Question:
        """Ask."""
        later = Escalation(approvers=(BOB,), timeout_seconds=600)
        return Question("Well?", [ANN], timeout_seconds=60, escalations=[later])

    harness = LocalHarness(escalating, script=[calls(("escalating", {})), say("done")])
    view = harness.runner.start("a", "go")
    harness.later(minutes=2)
    view = harness.runner.advance(view.run_id)
    assert view.waiting[0].approvers == (BOB,)
    harness.runner.answer(view.run_id, view.waiting[0].request_id, "well")
    assert harness.result(view.run_id) == "well"


def test_a_question_is_on_the_audit_trail_with_its_answer() -> None:
    harness, view = asked_question()
    harness.runner.answer(
        view.run_id, view.waiting[0].request_id, {"day": "friday", "floor": 3}, approver=ANN
    )
    audit = harness.runner.audit(view.run_id)
    assert [each["kind"] for each in audit.items] == ["approval_requested", "decided"]
    assert audit.items[1]["decision"]["answer"] == {"day": "friday", "floor": 3}
    from agent_continuations.services.audit import document_faults

    document = audit.model_dump(mode="json")
    assert document_faults(document) == []
    document["calls"]["0.0"]["question"]["text"] = "When shall o-2 be delivered?"
    assert document_faults(document)


def test_a_tool_that_needs_approval_cannot_ask_a_question() -> None:
    @tool(approval=Approval([ANN]))
    def both() -> Question:
        """Ask."""
        return Question("What?", [ANN])

    harness = LocalHarness(both, script=[calls(("both", {})), say("done")])
    view = harness.runner.start("a", "go")
    harness.runner.decide(view.run_id, view.waiting[0].request_id, "approve")
    assert "cannot ask a question" in harness.result(view.run_id)


def test_arguments_do_not_answer_a_question_and_an_answer_approves_no_call() -> None:
    harness, view = asked_question()
    with pytest.raises(Invalid):
        harness.runner.decide(
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

    other = LocalHarness(pay, script=[calls(("pay", {})), say("done")])
    gated = other.runner.start("a", "go")
    with pytest.raises(Invalid):
        other.runner.answer(gated.run_id, gated.waiting[0].request_id, "yes")


# -- events ----------------------------------------------------------------------------------------


def test_an_event_continues_the_run_with_its_payload() -> None:
    harness = LocalHarness(wait_paid, script=[calls(("wait_paid", {"order": "o-1"})), say("done")])
    view = harness.runner.start("a", "go")
    [waits] = view.waiting
    assert (waits.kind, waits.event, waits.correlation) == ("event", "paid", "o-1")
    harness.check(view.run_id)
    other = harness.runner.signal(view.run_id, "paid", {"euros": 1}, correlation="o-2")
    assert kinds(other) == ["event"]
    assert kinds(harness.runner.signal(view.run_id, "refunded", correlation="o-1")) == ["event"]
    done = harness.runner.signal(view.run_id, "paid", {"euros": 5}, correlation="o-1")
    assert done.result == "done"
    assert harness.result(view.run_id) == '{"euros":5}'


def test_an_early_event_is_kept_for_a_later_call() -> None:
    harness = LocalHarness(
        nap, wait_any, script=[calls(("nap", {"minutes": 1})), calls(("wait_any", {})), say("done")]
    )
    view = harness.runner.start("a", "go")
    harness.runner.signal(view.run_id, "anything", "early")
    harness.later(minutes=1)
    assert harness.runner.advance(view.run_id).result == "done"
    assert harness.result(view.run_id, "1.0") == "early"


def test_an_event_that_does_not_arrive_in_time_is_a_result() -> None:
    harness = LocalHarness(wait_paid, script=[calls(("wait_paid", {"order": "o-1"})), say("done")])
    view = harness.runner.start("a", "go")
    harness.later(hours=1)
    assert harness.runner.advance(view.run_id).result == "done"
    assert "has not come in time" in harness.result(view.run_id)


@pytest.mark.parametrize(("after", "comes"), [(0, True), (0.001, False)])
def test_an_event_counts_up_to_the_deadline_whenever_the_run_gets_to_see_it(
    after: float, comes: bool
) -> None:
    harness = LocalHarness(wait_paid, script=[calls(("wait_paid", {"order": "o-1"})), say("done")])
    view = harness.runner.start("a", "go")
    harness.runner.pause(view.run_id)
    harness.later(hours=1, seconds=after)
    harness.runner.signal(view.run_id, "paid", "5 euros", correlation="o-1")
    harness.later(hours=1)
    assert harness.runner.resume(view.run_id).result == "done"
    told = harness.result(view.run_id)
    assert told == ("5 euros" if comes else "The event paid has not come in time.")


def test_each_event_is_taken_by_the_first_call_that_waits_for_it() -> None:
    harness = LocalHarness(
        wait_any, script=[calls(("wait_any", {}), ("wait_any", {})), say("done")]
    )
    view = harness.runner.start("a", "go")
    assert kinds(view) == ["event", "event"]
    view = harness.runner.signal(view.run_id, "anything", "one")
    assert [each.path for each in view.waiting] == ["0.1"]
    harness.later(seconds=1)
    assert harness.runner.signal(view.run_id, "anything", "two").result == "done"
    assert [harness.result(view.run_id, at) for at in ("0.0", "0.1")] == ["one", "two"]


def test_a_repeated_event_counts_once() -> None:
    harness = LocalHarness(
        wait_any, script=[calls(("wait_any", {}), ("wait_any", {})), say("done")]
    )
    view = harness.runner.start("a", "go")
    services = harness.runner._services
    first = services.inbound.signal(view.run_id, "anything", "one", key="k")
    harness.later(seconds=5)
    assert services.inbound.signal(view.run_id, "anything", "one", key="k") == first
    with pytest.raises(KeyReused):
        services.inbound.signal(view.run_id, "anything", "two", key="k")
    assert kinds(harness.runner.advance(view.run_id)) == ["event"]


def test_an_event_for_a_run_that_has_ended_is_refused() -> None:
    harness = LocalHarness(script=[say("done")])
    view = harness.runner.start("a", "go")
    with pytest.raises(Conflict):
        harness.runner.signal(view.run_id, "anything")
    with pytest.raises(NotFound):
        harness.runner.signal("aaaa", "anything")
    with pytest.raises(Invalid):
        harness.runner.signal(view.run_id, "")


# -- jobs ------------------------------------------------------------------------------------------


def test_a_job_is_completed_by_the_other_system() -> None:
    started: list[str] = []

    @tool
    def export(context: ToolContext) -> Job:
        """Export."""
        started.append(context.idempotency_key)
        return Job({"id": 7}, timeout_seconds=3600)

    harness = LocalHarness(export, script=[calls(("export", {})), say("done")])
    view = harness.runner.start("a", "go")
    assert kinds(view) == ["job"]
    harness.check(view.run_id)
    harness.later(minutes=30)
    assert kinds(harness.restarted().advance(view.run_id)) == ["job"]
    done = harness.runner.complete(view.run_id, "0.0", {"rows": 12})
    assert (done.result, len(started)) == ("done", 1)
    assert harness.result(view.run_id) == '{"rows": 12}'
    with pytest.raises(Conflict):
        harness.runner.complete(view.run_id, "0.0", {"rows": 13})
    with pytest.raises(NotFound):
        harness.runner.complete(view.run_id, "9.9", {})


def test_a_job_that_does_not_finish_is_a_result() -> None:
    @tool
    def export() -> Job:
        """Export."""
        return Job("j", timeout_seconds=60)

    harness = LocalHarness(export, script=[calls(("export", {})), say("done")])
    view = harness.runner.start("a", "go")
    harness.later(minutes=1)
    assert harness.runner.advance(view.run_id).result == "done"
    assert "has not finished in time" in harness.result(view.run_id)
    with pytest.raises(Conflict):
        harness.runner.complete(view.run_id, "0.0", "late")


def polled(answers: list[Any], **job: Any) -> tuple[LocalHarness, list[Any]]:
    """A job that is polled; each answer is the result of one poll."""
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

    return LocalHarness(export, script=[calls(("export", {})), say("done")]), handles


def test_a_job_is_polled_with_backoff_until_it_is_done() -> None:
    harness, handles = polled([Pending(), RuntimeError("down"), "12 rows"])
    view = harness.runner.start("a", "go")
    times = []
    for _ in range(3):
        head = harness.store.head(view.run_id)
        assert head
        assert head.due
        harness.check(view.run_id)
        times.append((head.due - harness.now).total_seconds())
        assert kinds(harness.runner.advance(view.run_id)) == ["job"]
        harness.now = head.due
        view = harness.restarted().advance(view.run_id)
    assert times == [60, 120, 240]
    assert view.result == "done"
    assert harness.result(view.run_id) == "12 rows"
    assert handles == [("j-1", "0.0", 1), ("j-1", "0.0", 2), ("j-1", "0.0", 3)]


def test_polling_ends_at_the_jobs_deadline() -> None:
    harness, handles = polled([], timeout_seconds=100, longest_poll_seconds=60)
    view = harness.runner.start("a", "go")
    for _ in range(2):
        head = harness.store.head(view.run_id)
        assert head
        assert head.due
        harness.now = head.due
        view = harness.runner.advance(view.run_id)
    assert view.result == "done"
    assert "has not finished in time" in harness.result(view.run_id)
    assert len(handles) == 1


def test_a_polled_job_without_a_poll_function_is_an_error_for_the_model() -> None:
    @tool
    def export() -> Job:
        """Export."""
        return Job("j", timeout_seconds=60, poll_seconds=1)

    harness = LocalHarness(export, script=[calls(("export", {})), say("done")])
    view = harness.runner.start("a", "go")
    assert "no poll function" in harness.result(view.run_id)


# -- at any depth, and several at once -------------------------------------------------------------


def test_all_kinds_of_waits_three_levels_deep_end_one_by_one() -> None:
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
    harness = LocalHarness(
        agents=[root],
        scripts={
            "root": [calls(("middle", {"input": "x"}), ("wait_any", {})), say("root done")],
            "middle": [calls(("leaf", {"input": "x"})), say("middle done")],
            "leaf": [calls(*every, ("export", {}), ("pay", {})), say("leaf done")],
        },
    )
    view = harness.runner.start("root", "go")
    assert kinds(view) == ["timer", "question", "event", "job", "approval", "event"]
    assert [each.path for each in view.waiting][-2:] == ["0.0/0.0/0.4", "0.1"]
    assert view.waiting[0].agents == ("root", "middle", "leaf")
    harness.check(view.run_id)
    by_kind = {each.kind: each for each in reversed(view.waiting)}
    document = harness.runner.dump(view.run_id)
    assert harness.restarted().load(document).waiting == view.waiting
    harness.runner.complete(view.run_id, by_kind["job"].path, "rows")
    harness.runner.answer(view.run_id, by_kind["question"].request_id, "yes")
    view = harness.runner.signal(view.run_id, "anything", "first")
    assert kinds(view) == ["timer", "approval", "event"]
    view = harness.runner.decide(view.run_id, by_kind["approval"].request_id, "approve")
    harness.later(minutes=5)
    view = harness.runner.advance(view.run_id)
    assert kinds(view) == ["event"]
    assert harness.runner.signal(view.run_id, "anything", "second").result == "root done"
    results = [harness.result(view.run_id, f"0.0/0.0/0.{index}") for index in (1, 2, 3, 4)]
    assert results == ["yes", "first", "rows", "paid"]


def test_a_run_that_waits_for_several_times_wakes_at_the_first() -> None:
    naps = calls(("nap", {"minutes": 9}), ("nap", {"minutes": 5}), ("nap", {"minutes": 7}))
    harness = LocalHarness(nap, script=[naps, say("awake")])
    view = harness.runner.start("a", "go")
    head = harness.store.head(view.run_id)
    assert head
    assert head.due == NOW + timedelta(minutes=5)


def test_a_waiting_run_continues_in_another_store() -> None:
    harness = LocalHarness(
        nap, wait_any, script=[calls(("nap", {"minutes": 5}), ("wait_any", {})), say("x")]
    )
    view = harness.runner.start("a", "go")
    harness.runner.signal(view.run_id, "unwanted", "kept")
    other = LocalHarness(
        nap, wait_any, script=[calls(("nap", {"minutes": 5}), ("wait_any", {})), say("x")]
    )
    view = other.runner.load(harness.runner.dump(view.run_id))
    assert kinds(view) == ["timer", "event"]
    other.runner.signal(view.run_id, "anything", "yes")
    other.later(minutes=5)
    assert other.runner.advance(view.run_id).result == "x"
