"""Runs some of whose stored values cannot be read: shown, spoken to, cancelled, and continued once
the values are back."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from agent_continuations import Agent, Approval, InMemoryStore, call, say, tool
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.ids import child_run_id
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import parse_path
from agent_continuations.core.run import Snapshot, Status
from agent_continuations.errors import Retryable
from agent_continuations.views.run import run_view
from tests.support.engine_harness import Harness
from tests.support.simulated_store import simulated_store


@tool(effect="read")
def large() -> str:
    """Give much."""
    return random.Random(1).randbytes(60_000).hex()


@tool(approval=Approval(["x@example.com"]))
def pay() -> str:
    """Pay."""
    return "paid"


class Lossy(Harness):
    """A run with a large value in the bucket, which then waits for a child run."""

    def __init__(self) -> None:
        simulated = simulated_store()
        store: Any = simulated.store
        self.bucket = simulated.s3
        super().__init__(script=[call("large"), call("ask", input="go"), say("done")], store=store)
        child = Agent("child", tools=[pay])
        ask = child.as_tool(name="ask", description="Ask.", spawn=True)
        self.registry = Registry([Agent("a", tools=[large, ask])])
        scripts = {"child": [call("pay"), say("ok")]}
        self.model.scripts = {**self.model.scripts, **scripts}
        self.run_id = self.start()
        self.child = child_run_id(self.run_id, parse_path("1.0"))
        assert self.worker().advance(self.run_id) is Status.SUSPENDED
        assert self.worker().advance(self.child) is Status.SUSPENDED
        self.kept = dict(self.bucket.objects)
        self.bucket.objects.clear()

    def status(self, run_id: str) -> Status:
        head = self.store.head(run_id)
        assert head
        return head.status


def parked() -> Lossy:
    harness = Lossy()
    harness.services.control.resume(harness.run_id)
    assert harness.worker().advance(harness.run_id) is Status.PARKED
    return harness


@pytest.mark.parametrize("made", [Lossy, parked])
def test_what_can_be_read_of_a_run_is_shown_with_the_reason(made: Callable[[], Lossy]) -> None:
    harness = made()
    looked = harness.services.runs.look(harness.run_id)
    view = run_view(looked.head, looked.continuation)
    assert "is gone" in (view.error or "")
    assert view.agent == "a"
    assert looked.snapshot.unreadable == ("00001!reply",)
    with pytest.raises(Retryable, match="cannot be read"):
        harness.services.runs.load(harness.run_id)


def test_a_cancel_ends_a_run_that_cannot_be_read_and_its_child_runs() -> None:
    harness = parked()
    harness.services.control.cancel(harness.run_id)
    assert harness.worker().advance(harness.run_id) is Status.CANCELLED
    assert harness.worker().advance(harness.child) is Status.CANCELLED
    assert harness.worker().advance(harness.run_id) is None


def test_a_cancel_ends_a_run_that_was_not_parked_yet() -> None:
    harness = Lossy()
    harness.services.control.cancel(harness.run_id)
    assert harness.worker().advance(harness.run_id) is Status.CANCELLED
    assert harness.worker().advance(harness.child) is Status.CANCELLED


def test_messages_and_events_are_kept_and_others_are_told_to_come_again() -> None:
    harness = parked()
    harness.services.inbound.message(harness.run_id, "hello")
    harness.services.inbound.signal(harness.run_id, "paid", 5)
    outcome = Outcome(kind="ok", content="12 rows")
    with pytest.raises(Retryable) as told:
        harness.services.inbound.complete(harness.run_id, "1.0", outcome)
    assert told.value.after_seconds
    assert harness.status(harness.run_id) is Status.PARKED


def test_the_end_of_a_child_is_kept_and_the_run_goes_on_once_the_value_is_back() -> None:
    harness = parked()
    harness.decide(harness.child, Verdict.APPROVE)
    assert harness.worker().advance(harness.child) is Status.COMPLETED
    assert harness.status(harness.run_id) is Status.PARKED
    harness.services.control.redrive(harness.run_id)
    assert harness.worker().advance(harness.run_id) is Status.PARKED
    harness.bucket.objects.update(harness.kept)
    harness.services.control.redrive(harness.run_id)
    assert harness.worker().advance(harness.run_id) is Status.COMPLETED
    assert "ok" in str(harness.model.requests[-1].messages[-1]["content"])


def test_a_store_that_does_not_answer_is_no_run_that_cannot_be_read() -> None:
    class SilentOnce(InMemoryStore):
        asked = 0

        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            self.asked += 1
            if self.asked == 1:
                raise Retryable("no answer")
            return super().load(run_id, partial=partial)

    store = SilentOnce()
    harness = Harness(script=[say("ok")], store=store)
    run_id = harness.start()
    with pytest.raises(Retryable, match="no answer"):
        harness.services.runs.look(run_id)
    assert store.asked == 1
    assert harness.services.runs.look(run_id).head.note is None
