"""Results of effects: in which order they are stored, and how long they are kept."""

from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest

from agent_continuations import Agent, call, calls, say, tool
from agent_continuations.authoring.in_process_host import InProcessHost
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.effects import CallModel, PollJob, RunTool
from agent_continuations.core.events import Polled, Suspended
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.path import ROOT, parse_path
from agent_continuations.core.plans import Effect
from agent_continuations.core.waits import TimerWait
from agent_continuations.engine.context import EngineContext, Limits
from agent_continuations.engine.executor import ThreadExecutor
from agent_continuations.engine.in_flight import InFlight, InFlightEffect, Submitted, TimedWork
from agent_continuations.engine.release_status import Block
from agent_continuations.engine.results import EffectResults
from agent_continuations.engine.scheduler import EffectScheduler
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.errors import ModelUnavailable, Retryable
from tests.support.engine_harness import NOW, Harness
from tests.support.events import tool_returned
from tests.support.executors import PatientExecutor
from tests.support.failing_store import FailingStore


@tool
def launch() -> str:
    """Launch."""
    return "done"


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def completed(effect: Submitted, result: Any) -> InFlightEffect:
    """An effect that has completed with this result, or with this error."""
    future: Future[Any] = Future()
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
    return InFlightEffect(effect, TimedWork(lambda: None), future)


def returned(path: str, effect: Effect = Effect.ONCE) -> InFlightEffect:
    run = RunTool(path=parse_path(path), attempt=1, effect=effect)
    return completed(run, tool_returned(path, f"result of {path}"))


def replied(result: Any) -> InFlightEffect:
    """The reply to the request of the first turn, or its error."""
    answer = result if isinstance(result, Exception) else (result, None)
    return completed(CallModel(path=ROOT, turn=0), answer)


class Results(Harness):
    """The results of an execution that has claimed a run and has loaded it.

    Args:
        width: with so many open calls of `launch`; without a turn if 0.
    """

    def __init__(self, width: int = 0) -> None:
        self.failing = FailingStore()
        super().__init__(launch, look, script=[call("look"), say("ok")], store=self.failing)
        self.failing.clock = lambda: self.now
        self.run_id = self.start()
        context = EngineContext(
            store=self.failing,
            model=self.model,
            registry=self.registry,
            queue=self.queue,
            recipients=lambda _approvers: (),
            clock=lambda: self.now,
            limits=Limits(),
            executor=lambda: ThreadExecutor(1),
            hosts=lambda: InProcessHost(self.registry),
        )
        head = self.store.claim(
            self.run_id, holder="me", now=NOW, lease_until=NOW + timedelta(seconds=120)
        )
        assert head
        self.unit_of_work = RunUnitOfWork(context, head)
        self.unit_of_work.load()
        in_flight = InFlight(ThreadExecutor(1), 1)
        self.scheduler = EffectScheduler(context, self.unit_of_work, in_flight, None)
        self.results = EffectResults(context, self.unit_of_work, self.scheduler)
        if width:
            self.add(replied(calls(*[("launch", {})] * width)))
            self.results.record_replies()

    def add(self, *effects: InFlightEffect, leased: bool = True) -> None:
        self.results.add(effects, leased=leased)

    @property
    def stored(self) -> list[str]:
        """Where the events after the start are, in the order in which they were stored."""
        entries = self.failing._runs[self.run_id].entries.values()
        return [
            getattr(event, "path", "")
            for entry in entries
            if entry.key != START_KEY
            for event in entry.events
        ]


def test_outcomes_are_stored_in_the_order_in_which_they_came() -> None:
    run = Results(width=3)
    run.add(returned("0.2"))
    run.add(returned("0.0"), returned("0.1"))
    run.results.record_outcomes(late=False)
    assert run.stored == ["", "0.2", "0.0", "0.1"]
    assert not run.results


def test_an_outcome_that_is_not_stored_is_kept_with_those_after_it() -> None:
    run = Results(width=3)
    run.add(returned("0.0"))
    run.results.record_outcomes(late=False)
    run.failing.fail("outcome", seconds=10)
    run.add(returned("0.1"), returned("0.2"))
    for _ in range(3):
        with pytest.raises(Retryable):
            run.results.record_outcomes(late=False)
        assert run.results.has_outcomes
    run.later(seconds=10)
    run.results.record_outcomes(late=False)
    assert run.stored == ["", "0.0", "0.1", "0.2"]
    assert not run.results.has_outcomes


def test_a_reply_that_is_not_stored_is_kept_and_no_model_is_asked_again() -> None:
    run = Results()
    run.failing.fail("reply", seconds=10)
    run.add(replied(call("launch")))
    with pytest.raises(Retryable):
        run.results.record_replies()
    assert run.results
    assert not run.results.has_outcomes
    run.later(seconds=10)
    run.results.record_replies()
    assert run.stored == [""]
    assert not run.results
    assert run.model.requests == []


def test_an_outcome_is_stored_although_the_reply_at_the_same_time_is_not() -> None:
    store = FailingStore()

    @tool
    def send() -> str:
        """Send; from now on no reply can be stored."""
        store.fail("reply", seconds=10_000)
        return "sent"

    harness = Harness(script=[], store=store)
    store.clock = lambda: harness.now
    clerk = Agent("clerk").as_tool(description="Works.")
    harness.registry = Registry([Agent("a", tools=[clerk, send])])
    turn = calls(("clerk", {"input": "x"}), ("send", {}))
    harness.model.scripts = {"a": [turn, say("ok")], "clerk": [say("done")]}
    run_id = harness.start()
    worker = harness.worker(
        executor=lambda: PatientExecutor(8), pause=lambda seconds: harness.later(seconds=seconds)
    )
    with pytest.raises(Retryable):
        worker.advance(run_id)
    [_, sent] = harness.loaded(run_id).continuation.turns[0].calls
    assert sent.outcome
    assert sent.outcome.content == "sent"


def test_without_the_lease_only_outcomes_of_tools_with_an_intent_count() -> None:
    run = Results(width=3)
    poll = PollJob(path=parse_path("0.2"), number=1)
    run.add(
        replied(say("x")),
        returned("0.0", Effect.READ),
        returned("0.1"),
        completed(poll, Polled(path="0.2", number=1, at=NOW)),
        leased=False,
    )
    assert run.unit_of_work.pending.reads == []
    run.results.record_outcomes(late=True)
    assert run.stored == ["", "0.1"]
    assert not run.results


def test_an_outcome_without_the_lease_wakes_the_run() -> None:
    run = Results(width=1)
    run.add(returned("0.0"), leased=False)
    run.results.record_outcomes(late=True)
    assert run.loaded(run.run_id).head.wake == 1
    assert run.queue.sent[-1] == ("resume", run.run_id)


def test_replies_are_dropped_without_the_lease_and_outcomes_are_not() -> None:
    run = Results(width=1)
    run.add(returned("0.0"), replied(say("x")))
    run.results.drop_replies()
    assert run.results.has_outcomes
    run.results.record_replies()
    assert run.stored == [""]


def test_the_result_of_a_read_waits_for_the_reply_that_is_made_from_it() -> None:
    run = Results()
    run.add(replied(call("look")))
    run.results.record_replies()
    run.add(returned("0.0", Effect.READ))
    assert not run.results
    run.results.record_outcomes(late=False)
    assert run.stored == [""]
    assert [each.path for each in run.unit_of_work.pending.reads] == ["0.0"]


def test_a_wait_that_a_tool_returned_is_stored_like_an_outcome() -> None:
    run = Results(width=1)
    wait = Suspended(path="0.0", wait=TimerWait(until=NOW), at=NOW)
    run.add(completed(RunTool(path=parse_path("0.0"), attempt=1, effect=Effect.ONCE), wait))
    run.results.record_outcomes(late=False)
    assert run.unit_of_work.continuation.call_at(parse_path("0.0")).wait


def test_an_unavailable_model_is_asked_later_and_blocks_nothing() -> None:
    run = Results()
    run.add(replied(ModelUnavailable("busy", after_seconds=90)))
    run.results.record_replies()
    assert run.results.model_backoff
    assert run.results.model_backoff.until == NOW + timedelta(seconds=90)
    assert run.scheduler.blocked == {}


def test_any_other_error_of_a_model_blocks_its_call_until_it_passes() -> None:
    run = Results()
    run.add(replied(ZeroDivisionError("a bug")))
    run.results.record_replies()
    assert run.scheduler.blocked[ROOT] == Block("the model call failed: a bug", passes=True)
    assert run.stored == []


def test_a_reply_to_an_agent_that_is_gone_blocks_the_call_until_a_deployment() -> None:
    run = Results()
    run.unit_of_work.continuation = run.unit_of_work.continuation.model_copy(
        update={"agent": "gone"}
    )
    run.add(replied(say("x")))
    run.results.record_replies()
    assert run.scheduler.blocked[ROOT] == Block("there is no agent named gone", passes=False)
