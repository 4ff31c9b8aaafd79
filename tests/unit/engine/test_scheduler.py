"""The scheduler: calls whose process was lost, and deadlines that an answer has come before."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    ScriptedModel,
    WaitFor,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.keys import call_key
from agent_continuations.core.path import parse_path
from agent_continuations.core.replies import Reply
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import JournalEntry, Snapshot, Status
from agent_continuations.engine.context import Limits
from agent_continuations.ports.model import ModelRequest
from tests.support.engine_harness import NOW, Harness
from tests.support.events import tool_returned

LIMITS = Limits(default_tool_timeout=900, clock_skew=120)
IN_DOUBT_AT = NOW + timedelta(seconds=900 + 120)


def killed_once() -> tuple[Tool, list[str]]:
    """A `once` tool whose process is killed in the middle of its first run."""
    ran: list[str] = []

    @tool
    def launch() -> str:
        """Launch."""
        ran.append("x")
        if len(ran) == 1:
            raise KeyboardInterrupt
        return "launched again"

    return launch, ran


def killed(harness: Harness) -> str:
    """A run whose process was killed while `launch` ran."""
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.worker(LIMITS).advance(run_id)
    return run_id


def test_a_call_is_in_doubt_when_its_process_is_dead_by_any_machines_clock() -> None:
    launch, ran = killed_once()
    harness = Harness(launch, script=[call("launch"), say("ok")])
    run_id = killed(harness)
    harness.now = IN_DOUBT_AT - timedelta(seconds=1)
    assert harness.worker(LIMITS).advance(run_id) is Status.SUSPENDED
    assert harness.loaded(run_id).head.due == IN_DOUBT_AT
    assert harness.store.notices(run_id) == []
    harness.now = IN_DOUBT_AT
    assert harness.worker(LIMITS).advance(run_id) is Status.SUSPENDED
    assert [each.kind for each in harness.waiting(run_id)] == ["doubt"]
    assert ran == ["x"]


class LateOutcomeStore(InMemoryStore):
    """The killed process has stored its outcome after all, without a wake.

    Attributes:
        arrive: stores the outcome, and lets the time pass after which the call would be in doubt;
            called once, at the first request of the kind that `at` names.
    """

    arrive: Callable[[], None] | None = None
    at = ""

    def _request(self, kind: str) -> None:
        if self.arrive and kind == self.at:
            arrive, self.arrive = self.arrive, None
            arrive()

    def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
        snapshot = super().load(run_id, partial=partial)
        self._request("load")
        return snapshot

    def save_profile(self, profile: RequestProfile) -> None:
        super().save_profile(profile)
        self._request("save_profile")


@pytest.mark.parametrize("at", ["load", "save_profile"])
def test_no_call_is_in_doubt_whose_outcome_may_have_been_stored_since_the_load(at: str) -> None:
    """The time of the doubt comes during the load, or between the load and the request."""
    launch, ran = killed_once()
    asked: list[str] = []

    def child(_request: ModelRequest) -> Reply:
        asked.append("x")
        if len(asked) == 1:
            raise KeyboardInterrupt
        return say("done")

    store = LateOutcomeStore()
    harness = Harness(script=[], store=store)
    works = Agent("child").as_tool(description="Works.")
    harness.registry = Registry([Agent("a", tools=[works, launch])])
    turn = calls(("child", {"input": "x"}), ("launch", {}))
    harness.model = ScriptedModel({"a": [turn, say("ok")], "child": child})
    run_id = killed(harness)

    def arrive() -> None:
        key = call_key(parse_path("0.1"), "outcome")
        store.append(run_id, JournalEntry(key, (tool_returned("0.1", "launched"),)))
        harness.now = IN_DOUBT_AT

    harness.now = IN_DOUBT_AT - timedelta(seconds=1)
    store.arrive, store.at = arrive, at
    assert harness.worker(LIMITS).advance(run_id) is Status.COMPLETED
    assert store.arrive is None
    assert harness.store.notices(run_id) == []
    assert ran == ["x"]


def test_a_decision_that_was_stored_before_the_deadline_wins() -> None:
    """It is stored just before the deadline, and the run was loaded before that."""
    ran: list[str] = []

    @tool(approval=Approval(["x@example.com"], timeout_seconds=3600))
    def pay() -> str:
        """Pay."""
        ran.append("x")
        return "paid"

    class DecidedStore(InMemoryStore):
        decides = False

        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            snapshot = super().load(run_id, partial=partial)
            if self.decides:
                self.decides = False
                harness.decide(run_id, Verdict.APPROVE)
                harness.later(seconds=2)
            return snapshot

    store = DecidedStore()
    harness = Harness(pay, script=[call("pay"), say("ok")], store=store)
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    harness.now = NOW + timedelta(seconds=3599)
    store.decides = True
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert ran == ["x"]


class SignalledStore(InMemoryStore):
    """An event comes right after the next load, and then the deadline of the wait passes."""

    arrive: Callable[[], None] | None = None

    def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
        snapshot = super().load(run_id, partial=partial)
        if self.arrive:
            arrive, self.arrive = self.arrive, None
            arrive()
        return snapshot


def test_an_event_that_was_stored_before_the_deadline_counts() -> None:
    """It is stored just before the deadline, and the run was loaded before that."""

    @tool
    def wait_paid() -> WaitFor:
        """Wait for the payment."""
        return WaitFor("paid", timeout_seconds=3600)

    store = SignalledStore()
    harness = Harness(wait_paid, script=[call("wait_paid"), say("ok")], store=store)
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    harness.now = NOW + timedelta(seconds=3599)

    def arrive() -> None:
        harness.services.inbound.signal(run_id, "paid", "5 euros")
        harness.later(seconds=2)

    store.arrive = arrive
    assert harness.worker().advance(run_id) is Status.COMPLETED
    outcome = harness.loaded(run_id).continuation.call_at(parse_path("0.0")).outcome
    assert outcome
    assert outcome.content == "5 euros"
