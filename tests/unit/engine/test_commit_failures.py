"""What an execution has in hand while the store fails, refuses, or is slow."""

from collections.abc import Collection
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, TypeVar

from agent_continuations import (
    Agent,
    Approval,
    Escalation,
    InMemoryStore,
    Job,
    Pending,
    ToolContext,
    WaitFor,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.events import Escalated, ToolReturned
from agent_continuations.core.keys import call_key
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import parse_path
from agent_continuations.core.run import JournalEntry, Status
from agent_continuations.errors import Retryable
from tests.support.engine_harness import NOW, Harness
from tests.support.executors import OneAtATime
from tests.support.simulated_store import simulated_store

Answer = TypeVar("Answer")


def test_a_batch_that_is_written_is_not_written_again_if_the_next_one_fails() -> None:
    class FailingStore(InMemoryStore):
        batches = 0

        def commit(self, run_id: str, **rest: Any) -> bool:
            events = [entry.events[0] for entry in rest["entries"]]
            self.batches += any(isinstance(each, Escalated) for each in events)
            if self.batches == 2:
                self.batches += 1
                raise Retryable("throttled")
            return super().commit(run_id, **rest)

    class Slow(OneAtATime):
        """While the first tool runs, the deadline of every request passes."""

        waits = 0

        def wait(self, futures: Collection["Future[Any]"], seconds: float) -> None:
            self.waits += 1
            if self.waits == 2:
                harness.later(seconds=61)
            else:
                super().wait(futures, seconds)

    then = Escalation(approvers=("y@example.com",), timeout_seconds=3600)
    asked = Approval(["x@example.com"], timeout_seconds=60, escalations=[then])

    @tool(effect="once", approval=asked)
    def pay(number: int) -> str:
        """Pay."""
        raise AssertionError("nobody approved")

    @tool(effect="once")
    def send() -> str:
        """Send."""
        return "sent"

    turn = calls(("send", {}), *[("pay", {"number": n}) for n in range(120)])
    harness = Harness(pay, send, script=[turn, say("done")], store=FailingStore())
    run_id = harness.start()
    worker = harness.worker(executor=Slow, pause=lambda seconds: harness.later(seconds=seconds))
    assert worker.advance(run_id) is Status.SUSPENDED
    stored = harness.loaded(run_id).snapshot.events()
    assert sum(isinstance(each, Escalated) for each in stored) == 120


def test_an_outcome_that_another_execution_stored_first_settles_the_intent_once() -> None:
    @tool(effect="idempotent")
    def put() -> str:
        """Put, while the execution of an expired lease stores its outcome."""
        outcome = Outcome(kind="ok", content="the other execution's")
        event = ToolReturned(path="0.0", outcome=outcome, attempt=1, started_at=NOW, at=NOW)
        entry = JournalEntry(call_key(parse_path("0.0"), "outcome"), (event,))
        harness.store.append(run_id, entry)
        return "mine"

    harness = Harness(put, script=[call("put"), say("done")], store=simulated_store().store)
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert harness.loaded(run_id).head.intents == {}


def test_an_outcome_that_is_there_when_time_is_up_is_stored() -> None:
    executor = OneAtATime()

    class SlowStore(InMemoryStore):
        slow = True

        def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
            if self.slow and isinstance(entry.events[0], ToolReturned):
                self.slow = False
                harness.later(minutes=15)  # meanwhile the second tool ends
                executor.do_one()
            return super().append(run_id, entry)

    @tool(effect="once")
    def pay(number: int) -> str:
        """Pay."""
        return f"paid {number}"

    turn = calls(("pay", {"number": 1}), ("pay", {"number": 2}))
    harness = Harness(pay, script=[turn, say("done")], store=SlowStore())
    run_id = harness.start()
    deadline = harness.now + timedelta(minutes=15)
    harness.worker(executor=lambda: executor).advance(run_id, deadline=deadline)
    made = harness.loaded(run_id).continuation.turns[0].calls
    assert [each.outcome is not None for each in made] == [True, True]


def test_a_signal_that_could_not_be_taken_yet_is_due() -> None:
    class RefusingStore(InMemoryStore):
        refusals = 3

        def commit(self, run_id: str, **rest: Any) -> bool:
            takes = [each for entry in rest["entries"] for each in entry.events]
            if self.refusals and any(getattr(each, "took", None) for each in takes):
                self.refusals -= 1
                return False
            return super().commit(run_id, **rest)

    @tool(effect="read")
    def hear() -> WaitFor:
        """Hear."""
        return WaitFor("news", timeout_seconds=86_400)

    harness = Harness(hear, script=[call("hear"), say("done")], store=RefusingStore())
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    harness.services.inbound.signal(run_id, "news", {})
    harness.worker().advance(run_id)
    head = harness.loaded(run_id).head
    assert head.due
    assert head.due <= harness.now


def test_a_poll_that_is_blocked_is_tried_again_with_the_interval_of_the_obstacle() -> None:
    def is_done(_handle: Any, _context: ToolContext) -> Pending:
        """Whether the job is done."""
        return Pending()

    @tool(effect="once", poll=is_done)
    def order() -> Job:
        """Order."""
        return Job("order", timeout_seconds=86_400, poll_seconds=60)

    harness = Harness(order, script=[call("order"), say("done")])
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    harness.registry = Registry([Agent("a")])
    harness.later(hours=1)
    harness.worker().advance(run_id)
    head = harness.loaded(run_id).head
    assert head.status is Status.PARKED or (head.due and head.due > harness.now)
