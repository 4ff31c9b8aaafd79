"""Tool hosts that were taken over: no answer is believed further than it must be."""

from datetime import timedelta
from typing import Any

import pytest

from agent_continuations import Approval, Question, call, calls, say, tool
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.run import Status
from agent_continuations.core.waits import QuestionWait
from agent_continuations.ports.tool_host import HostAnswer, HostRequest, HostResponse
from tests.support.engine_harness import NOW
from tests.support.scripted_hosts import Answer, Rule, each_call, ok
from tests.unit.engine.test_tool_hosts import LATER, Hosted, ordered, waits

UNUSABLE = "the answer of the tool's host cannot be used"


def answers(*found: HostAnswer) -> Rule:
    return lambda _request: HostResponse(answers=found)


def of_path(path: str, kind: Any = "ok", **more: Any) -> HostAnswer:
    return HostAnswer(path=path, kind=kind, **more)


NONE = [
    answers(),
    answers(of_path("0.1")),
    answers(of_path("")),
    answers(of_path("0.0"), of_path("0.0")),
    answers(of_path("0.0", "refused"), of_path("0.0", "error")),
    answers(of_path("0.0", "pending")),
    answers(of_path("0.00")),
    answers(of_path("0.0 ")),
]


@pytest.mark.parametrize("rule", NONE)
def test_an_answer_that_is_none_puts_a_once_call_in_doubt(rule: Rule) -> None:
    run = Hosted("launch", rule)
    assert run.advance() is Status.SUSPENDED
    assert run.asked == ["doubt"]
    assert run.results == [""]


@pytest.mark.parametrize("rule", NONE)
@pytest.mark.parametrize("name", ["look", "note"])
def test_an_answer_that_is_none_has_other_calls_run_again(name: str, rule: Rule) -> None:
    run = Hosted(name, rule, each_call(ok))
    assert run.advance() is Status.SUSPENDED
    assert (run.head.note, run.head.due) == (UNUSABLE, LATER)
    assert run.advance_at(LATER) is Status.COMPLETED


@pytest.mark.parametrize(
    "rule", [*NONE, answers(of_path("0.0", "error")), waits(kind="sleep", seconds=1)]
)
def test_whatever_is_no_result_of_a_job_means_that_it_is_pending(rule: Rule) -> None:
    run = ordered(rule, each_call(ok))
    assert run.advance() is Status.SUSPENDED
    assert run.head.due == run.harness.now + timedelta(seconds=40)
    assert run.advance_at(run.head.due) is Status.COMPLETED
    assert run.results == ["order 0.0"]


def test_a_host_answers_for_no_other_call() -> None:
    """One that is asked about a call says what became of both."""

    def both(request: HostRequest) -> Answer:
        [asked] = request.calls
        return HostResponse(
            answers=tuple(of_path(path, content=f"by {asked.path}") for path in ("0.0", "0.1"))
        )

    run = Hosted([calls(("launch", {}), ("launch", {})), say("done")], both)
    assert run.advance() is Status.COMPLETED
    assert run.results == ["by 0.0", "by 0.1"]


def test_a_host_names_no_run_as_a_child() -> None:
    """Otherwise that run would be cancelled with the one that waits for it."""
    run = Hosted("launch", waits(kind="child", run_id="other"))
    run.harness.services.runs.start("a", "go", key="other")
    assert run.advance() is Status.COMPLETED
    assert run.calls[0].wait is None
    assert run.results == ["The tool failed. KeyError: 'child'"]


WRONG: list[Any] = [
    None,
    {},
    {"kind": None},
    {"kind": []},
    {"kind": {}},
    {"kind": "timer", "until": "2026-11-23T00:00:00+00:00"},
    {"kind": "sleep"},
    {"kind": "sleep", "seconds": "1"},
    {"kind": "sleep", "seconds": []},
    {"kind": "sleep", "seconds": float("nan")},
    {"kind": "sleep", "seconds": float("inf")},
    {"kind": "sleep", "seconds": -1},
    {"kind": "sleep", "seconds": 1e300},
    {"kind": "sleep", "until": "2026-11-23T00:00:00"},
    {"kind": "sleep", "until": 5},
    {"kind": "sleep", "until": "soon"},
    {"kind": "sleep", "seconds": 1, "more": 1},
    {"kind": "event"},
    {"kind": "event", "event": ""},
    {"kind": "event", "event": 5},
    {"kind": "event", "event": ["news"]},
    {"kind": "event", "event": "x" * 100_000},
    {"kind": "event", "event": "news", "correlation": {"a": 1}},
    {"kind": "event", "event": "news", "timeout_seconds": 10**12},
    {"kind": "event", "event": "news", "until": "2026-11-23T00:00:00+00:00"},
    {"kind": "question", "text": "What?", "ask": ["x@example.com"]},
    {"kind": "question", "text": "", "ask": ["x@example.com"], "escalations": []},
    {"kind": "question", "text": 5, "ask": ["x@example.com"], "escalations": []},
    {"kind": "question", "text": "What?", "ask": [], "escalations": []},
    {"kind": "question", "text": "What?", "ask": 5, "escalations": []},
    {"kind": "question", "text": "What?", "ask": [5], "escalations": []},
    {"kind": "question", "text": "What?", "ask": ["x@example.com"], "escalations": [{}]},
    {"kind": "question", "text": "What?", "ask": ["x@example.com"] * 2000, "escalations": []},
    {
        "kind": "question",
        "text": "What?",
        "ask": ["x@example.com"],
        "escalations": [],
        "timeout_seconds": 10**12,
    },
    {"kind": "question", "text": "?", "ask": ["x@example.com"], "escalations": [], "risk": "none"},
    {"kind": "question", "text": "?", "ask": ["x@example.com"], "escalations": [], "answer": {}},
    {"kind": "question", "text": "?", "ask": ["x@example.com"], "escalations": [], "gate": None},
    {"kind": "job", "handle": 1},
    {"kind": "job", "handle": 1, "timeout_seconds": 0},
    {"kind": "job", "handle": 1, "timeout_seconds": 10**12},
    {"kind": "job", "handle": 1, "timeout_seconds": "1"},
    {"kind": "job", "handle": "x" * 100_000, "timeout_seconds": 1},
    {"kind": "job", "handle": float("nan"), "timeout_seconds": 1},
    {"kind": "job", "handle": 1, "timeout_seconds": 9, "poll_seconds": 1},
    {"kind": "job", "handle": 1, "timeout_seconds": 9, "polls": 7},
]


@pytest.mark.parametrize("wait", WRONG)
def test_a_wait_that_no_tool_can_return_is_an_error_of_the_tool(wait: Any) -> None:
    run = Hosted(
        "launch", each_call(lambda each: HostAnswer(path=each.path, kind="wait", wait=wait))
    )
    assert run.advance() is Status.COMPLETED
    [done] = run.calls
    assert (done.wait, done.outcome and done.outcome.kind) == (None, "error")
    assert run.results[0].startswith("The tool failed. ")


def test_the_schema_of_an_answer_is_that_of_the_tool_as_it_is_deployed() -> None:
    @tool(answer=int)
    def inquire() -> Question:
        """Inquire."""
        raise AssertionError("it ran in the engine")

    asked = {"text": "How many?", "ask": ["x@example.com"], "escalations": []}
    run = Hosted("inquire", waits(kind="question", **asked), tools=(inquire,))
    assert run.advance() is Status.SUSPENDED
    wait = run.calls[0].wait
    assert isinstance(wait, QuestionWait)
    assert wait.answer == inquire.answer.schema


def test_a_host_has_no_further_question_asked_about_a_call_that_was_approved() -> None:
    @tool(approval=Approval(["x@example.com"]))
    def pay() -> str:
        """Pay."""
        raise AssertionError("it ran in the engine")

    asked = {"text": "Again?", "ask": ["y@example.com"], "escalations": []}
    run = Hosted("pay", waits(kind="question", **asked), tools=(pay,))
    run.advance()
    run.harness.decide(run.run_id, Verdict.APPROVE)
    assert run.advance() is Status.COMPLETED
    assert run.results[0].startswith("The tool failed. ")


@pytest.mark.parametrize(
    "answer",
    [
        {"kind": "ok", "content": "a\ud800b"},
        {"kind": "error", "content": "a\udfffb"},
        {"kind": "wait", "wait": {"kind": "event", "event": "a\ud800", "timeout_seconds": 9}},
        {
            "kind": "wait",
            "wait": {"kind": "question", "text": "a\ud800", "ask": ["a\ud800"], "escalations": []},
        },
        {
            "kind": "wait",
            "wait": {"kind": "job", "handle": {"\ud800": "\udfff"}, "timeout_seconds": 9},
        },
        {"kind": "wait", "wait": {"kind": "\ud800"}},
        {"kind": "wait", "wait": {"kind": "sleep", "\ud800": 1}},
        {"kind": "refused", "content": "a\ud800b", "passes": True},
        {"kind": "refused", "content": "a\ud800b"},
        {"kind": "refused", "content": "changed", "shown": {"a\ud800": "\udfff"}},
    ],
)
@pytest.mark.parametrize("name", ["look", "launch"])
def test_a_text_that_no_store_takes_is_stored_without_what_is_wrong(
    name: str, answer: dict[str, Any]
) -> None:
    run = Hosted(name, each_call(lambda each: HostAnswer(path=each.path, **answer)))
    assert run.advance() in (Status.COMPLETED, Status.SUSPENDED, Status.PARKED)
    loaded = run.harness.loaded(run.run_id)
    assert loaded.head.model_dump_json()
    assert loaded.continuation.model_dump_json()
    assert all(each.model_dump_json() for each in run.harness.store.notices(run.run_id))
    assert run.head.stalls == 0


@pytest.mark.parametrize(
    "shown",
    [{"amount": float("nan")}, {"a": {"b": "x" * 3_000_000}}, {"a": float("inf")}],
)
@pytest.mark.parametrize("name", ["look", "note", "launch"])
def test_a_refusal_with_any_arguments_parks_the_run_with_its_reason(
    name: str, shown: dict[str, Any]
) -> None:
    refusal = {"content": "people decided otherwise", "shown": shown}
    run = Hosted(name, answers(of_path("0.0", "refused", **refusal)))
    assert run.advance() is Status.PARKED
    assert run.head.note
    assert (run.head.stalls, run.asked) == (0, [])


def test_a_host_that_shows_other_arguments_parks_the_run_with_both_forms() -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        raise AssertionError("it ran in the engine")

    refusal = {"content": "changed", "shown": {"amount": 9}}
    run = Hosted(
        [call("pay", amount=5), say("done")],
        answers(of_path("0.0", "refused", **refusal)),
        tools=(pay,),
    )
    assert run.advance() is Status.PARKED
    assert run.head.note == (
        'the tool pay would now run with {"amount":9}, and people decided on {"amount":5}'
    )
    assert run.head.intents == {}


def test_a_refusal_that_passes_is_tried_again_soon() -> None:
    refused = of_path("0.0", "refused", content="too late", passes=True)
    run = Hosted("launch", answers(refused), each_call(ok))
    assert run.advance() is Status.SUSPENDED
    assert (run.head.note, run.head.due) == ("too late", NOW + timedelta(seconds=30))
    assert run.head.intents == {}
    assert run.advance_at(run.head.due) is Status.COMPLETED
    assert run.hosts.sent == [[("0.0", 1)], [("0.0", 1)]]
