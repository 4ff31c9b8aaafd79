"""One execution: what it records while other effects are in flight, and before it ends."""

import pytest

from agent_continuations import InMemoryStore, Job, ToolContext, call, calls, say, tool
from agent_continuations.core.events import ModelReplied, ToolReturned
from agent_continuations.core.keys import reply_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import ROOT, parse_path
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import JournalEntry, Status
from agent_continuations.errors import Retryable
from agent_continuations.ports.model import ModelRequest
from tests.support.engine_harness import NOW, Harness
from tests.support.executors import ImpatientExecutor, PatientExecutor


@pytest.mark.parametrize("loads_first", [False, True])
def test_a_reply_that_another_execution_has_stored_is_the_turns(loads_first: bool) -> None:
    executor = ImpatientExecutor()
    ran: list[str] = []

    @tool
    def work() -> str:
        """Work."""
        ran.append("x")
        return "done"

    def script(_request: ModelRequest) -> Reply:
        """Meanwhile the execution of an expired lease stores its reply, and wakes the run."""
        event = ModelReplied(path="", turn=0, reply=say("the other execution's"), at=NOW)
        harness.store.append(run_id, JournalEntry(reply_key(ROOT, 0), (event,)))
        harness.store.wake(run_id, now=harness.now)
        if loads_first:
            harness.later(seconds=50)
            executor.until_looked()
        return call("work")

    harness = Harness(work, script=script)
    run_id = harness.start()
    assert harness.worker(executor=lambda: executor).advance(run_id) is Status.COMPLETED
    outcome = harness.loaded(run_id).continuation.outcome
    assert outcome
    assert outcome.content == "the other execution's"
    assert ran == []


def test_a_cancelled_execution_waits_for_a_tool_that_has_an_effect() -> None:
    executor = ImpatientExecutor()

    @tool
    def work() -> str:
        """Work until the execution knows that its run is cancelled."""
        harness.services.control.cancel(run_id)
        harness.later(seconds=50)
        executor.until_looked()
        return "finished anyway"

    harness = Harness(work, script=[call("work"), say("never said")])
    run_id = harness.start()
    assert harness.worker(executor=lambda: executor).advance(run_id) is Status.CANCELLED
    outcome = harness.loaded(run_id).continuation.call_at(parse_path("0.0")).outcome
    assert outcome
    assert outcome.content == "finished anyway"


def test_an_interrupt_ends_the_process_after_the_results_at_the_same_time_are_stored() -> None:
    @tool
    def stop() -> str:
        """Stop."""
        raise KeyboardInterrupt

    @tool
    def send() -> str:
        """Send."""
        return "sent"

    turn = calls(("stop", {}), ("send", {}))
    harness = Harness(stop, send, script=[turn, say("never said")])
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.worker(executor=lambda: PatientExecutor(8)).advance(run_id)
    stopped, sent = harness.loaded(run_id).continuation.turns[0].calls
    assert stopped.outcome is None
    assert sent.outcome
    assert sent.outcome.content == "sent"


def test_an_interrupt_ends_the_process_though_the_store_does_not_answer() -> None:
    class SilentStore(InMemoryStore):
        def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
            if isinstance(entry.events[0], ToolReturned):
                raise Retryable("no answer")
            return super().append(run_id, entry)

    @tool
    def stop() -> str:
        """Stop."""
        raise KeyboardInterrupt

    @tool
    def send() -> str:
        """Send."""
        return "sent"

    turn = calls(("stop", {}), ("send", {}))
    harness = Harness(stop, send, script=[turn, say("never said")], store=SilentStore())
    worker = harness.worker(
        executor=lambda: PatientExecutor(8), pause=lambda seconds: harness.later(seconds=seconds)
    )
    with pytest.raises(KeyboardInterrupt):
        worker.advance(harness.start())


def test_a_job_may_call_back_before_its_tool_fails() -> None:
    outcome = Outcome(kind="ok", content="42")

    @tool
    def order(context: ToolContext) -> Job:
        """Order a report, and miss the answer of the other side."""
        harness.services.inbound.complete(context.run_id, context.path, outcome)
        raise TimeoutError("no answer")

    harness = Harness(order, script=[call("order"), say("it is 42")])
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert harness.loaded(run_id).continuation.call_at(parse_path("0.0")).outcome == outcome
