"""The runner on the in-memory store: leases, crashes, cancel, calls in doubt, deadlines."""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Event, Thread
from time import sleep
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    LocalRunner,
    ScriptedModel,
    ToolContext,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.backoff import next_backoff
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.events import Decided, ModelReplied
from agent_continuations.core.keys import START_KEY, call_key
from agent_continuations.core.path import parse_path
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import JournalEntry, RunHead, Snapshot, Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.executor import ThreadExecutor
from agent_continuations.engine.planning import plan_calls
from agent_continuations.errors import (
    Conflict,
    CorruptValue,
    Forbidden,
    KeyReused,
    ModelRefused,
    ModelUnavailable,
    Retryable,
)
from agent_continuations.ports.limits import MAX_FRUITLESS
from agent_continuations.ports.model import ModelRequest
from agent_continuations.views.base import moment
from agent_continuations.views.run import run_view
from tests.support.engine_harness import NOW, Harness
from tests.support.events import tool_returned


class RecordingExecutor(ThreadExecutor):
    """Threads that return to the execution at once, and a record of its waits in seconds."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.waits: list[float] = []
        self.waited_often = Event()

    def wait(self, begun: Collection["Future[Any]"], seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) > 3:
            self.waited_often.set()
        super().wait(begun, min(seconds, 0.01))


def tool_killed_once(then: str = "done") -> tuple[Tool, list[str]]:
    """A `once` tool whose process is killed in the middle of its first run."""
    ran: list[str] = []

    @tool
    def launch() -> str:
        """Launch."""
        ran.append("x")
        if len(ran) == 1:
            raise KeyboardInterrupt
        return then

    return launch, ran


def gated_tool() -> tuple[Tool, list[str]]:
    ran: list[str] = []

    @tool(approval=Approval(["x@example.com"], timeout_seconds=3600))
    def pay() -> str:
        """Pay."""
        ran.append("x")
        return "paid"

    return pay, ran


def test_a_waiting_run_has_no_lease_holder_and_approvers_are_notified() -> None:
    pay, _ = gated_tool()
    harness = Harness(pay, script=[call("pay"), say("ok")])
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    head = harness.loaded(run_id).head
    assert (head.owner, head.lease_until, head.due) == (None, None, NOW + timedelta(hours=1))
    (asked,) = harness.waiting(run_id)
    assert harness.queue.sent == [("advance", run_id), ("notify", run_id, asked.request_id)]
    (notice,) = harness.store.notices(run_id)
    assert (notice.approvers, notice.answerers) == (("x@example.com",), ("x@example.com",))
    assert (notice.delivered, notice.undelivered) == ((), ())


def test_approvers_are_asked_while_sibling_calls_still_run() -> None:
    pay, _ = gated_tool()
    asked = Event()

    @tool(effect="idempotent")
    def slow() -> str:
        """Work until the approvers were asked."""
        assert asked.wait(20)
        return "done"

    class SignallingStore(InMemoryStore):
        def commit(self, run_id: str, **rest: object) -> bool:
            written = super().commit(run_id, **rest)  # type: ignore[arg-type]
            asked.set()
            return written

    both = calls(("slow", {}), ("pay", {}))
    harness = Harness(pay, slow, script=[both, say("ok")], store=SignallingStore())
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    call_ = harness.loaded(run_id).continuation.turns[0].calls[0]
    assert call_.outcome
    assert call_.outcome.content == "done"


def test_a_missed_deadline_rejects_the_call() -> None:
    pay, ran = gated_tool()
    harness = Harness(pay, script=[call("pay"), say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id)
    harness.later(minutes=59)
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    harness.later(minutes=2)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    decision = harness.loaded(run_id).continuation.turns[0].calls[0].decision
    assert decision
    assert (decision.verdict, decision.approver) == (Verdict.REJECT, "deadline")
    assert ran == []


def test_a_decision_before_the_deadline_stands_even_if_it_is_loaded_later() -> None:
    pay, ran = gated_tool()
    harness = Harness(pay, script=[call("pay"), say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id)
    harness.later(minutes=59)
    harness.decide(run_id, Verdict.APPROVE)
    harness.later(hours=5)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert ran == ["x"]


def test_a_once_tool_in_doubt_is_put_to_a_person_and_does_not_run_again() -> None:
    launch, ran = tool_killed_once()
    harness = Harness(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.worker().advance(run_id)
    harness.later(minutes=5)
    # The lease holder could still be alive: nothing is asked yet, and nothing runs.
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    assert [each.kind for each in harness.waiting(run_id)] == ["timer"]
    due = harness.loaded(run_id).head.due
    assert due
    harness.now = due
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    assert [each.kind for each in harness.waiting(run_id)] == ["doubt"]
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    assert ran == ["x"]


def in_doubt(script: Script) -> tuple[Harness, str, list[str]]:
    launch, ran = tool_killed_once()
    harness = Harness(launch, script=script)
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.worker().advance(run_id)
    harness.later(hours=1)
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    return harness, run_id, ran


def test_a_call_in_doubt_that_can_be_put_to_nobody_blocks_the_run_until_there_are_operators() -> (
    None
):
    launch, ran = tool_killed_once()
    harness = Harness(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.worker().advance(run_id)
    harness.later(hours=1)
    assert harness.worker(operators=()).advance(run_id) is Status.SUSPENDED
    head = harness.loaded(run_id).head
    assert "no operators" in (head.note or "")
    assert head.due == harness.now + timedelta(minutes=5)
    assert harness.store.notices(run_id) == []
    harness.now = head.due
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    assert [each.kind for each in harness.waiting(run_id)] == ["doubt"]
    assert ran == ["x"]


def test_a_call_that_happened_gets_the_persons_note_as_its_result() -> None:
    harness, run_id, ran = in_doubt([call("launch"), say("ok")])
    harness.decide(run_id, Verdict.APPROVE, "it is in orbit")
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert "it is in orbit" in str(harness.model.requests[-1].messages[-1]["content"])
    assert ran == ["x"]


def test_a_call_that_did_not_happen_runs_again() -> None:
    harness, run_id, ran = in_doubt([call("launch"), say("ok")])
    harness.decide(run_id, Verdict.REJECT)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert harness.model.requests[-1].messages[-1]["content"] == "done"
    assert ran == ["x", "x"]


def test_a_late_outcome_resolves_the_doubt() -> None:
    harness, run_id, ran = in_doubt([call("launch"), say("ok")])
    outcome = JournalEntry("00000.000~outcome", (tool_returned("0.0", "it had worked"),))
    assert harness.store.append_external(run_id, [outcome], now=harness.now) is None
    assert harness.waiting(run_id) == []
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert harness.model.requests[-1].messages[-1]["content"] == "it had worked"
    assert ran == ["x"]


def test_an_idempotent_tool_runs_again_with_the_same_key() -> None:
    keys: list[tuple[int, str]] = []

    @tool(effect="idempotent")
    def send(context: ToolContext) -> str:
        """Send."""
        keys.append((context.attempt, context.idempotency_key))
        if len(keys) == 1:
            raise KeyboardInterrupt
        return "sent"

    harness = Harness(send, script=[call("send"), say("ok")])
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.worker().advance(run_id)
    harness.later(minutes=3)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    (first, key), (second, again) = keys
    assert (first, second) == (1, 2)
    assert key == again


def test_a_cancelled_run_starts_no_effects_but_records_running_tools() -> None:
    started, cancelled = Event(), Event()

    @tool
    def work() -> str:
        """Work until after the cancel."""
        started.set()
        assert cancelled.wait(20)
        return "finished anyway"

    harness = Harness(work, script=[call("work"), say("never said")])
    run_id = harness.start()
    statuses: list[Status | None] = []
    thread = Thread(target=lambda: statuses.append(harness.worker().advance(run_id)))
    thread.start()
    assert started.wait(20)
    harness.services.control.cancel(run_id)
    cancelled.set()
    thread.join(20)
    loaded = harness.loaded(run_id)
    outcome = loaded.continuation.turns[0].calls[0].outcome
    assert outcome
    assert outcome.content == "finished anyway"
    assert statuses == [loaded.head.status] == [Status.CANCELLED]


def test_a_cancelled_waiting_run_ends_at_once_and_takes_no_decision() -> None:
    pay, ran = gated_tool()
    harness = Harness(pay, script=[call("pay"), say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id)
    request_id = harness.waiting(run_id)[0].request_id
    harness.services.control.cancel(run_id)
    answer = Decide(verdict=Verdict.APPROVE, approver="x@example.com", decided_by="me", via="api")
    with pytest.raises(Conflict, match="cancelled"):
        harness.services.decisions.decide(run_id, request_id, answer)
    assert harness.worker().advance(run_id) is Status.CANCELLED
    with pytest.raises(Conflict, match="cancelled"):
        harness.services.decisions.decide(run_id, request_id, answer)
    assert ran == []


def test_a_run_is_handed_on_when_little_time_is_left() -> None:
    harness = Harness(script=[say("ok")])
    run_id = harness.start()
    deadline = NOW + timedelta(seconds=50)
    assert harness.worker().advance(run_id, deadline=deadline) is Status.READY
    assert harness.queue.sent[-1] == ("resume", run_id)
    assert harness.loaded(run_id).head.due == NOW
    assert harness.model.requests == []
    assert harness.worker().advance(run_id) is Status.COMPLETED


def test_an_execution_that_lost_its_lease_stops_and_stores_only_late_outcomes() -> None:
    harness = Harness(script=[])

    @tool
    def overtaken() -> str:
        """While it runs, the lease expires and another execution claims the run."""
        harness.later(minutes=3)
        taken = harness.store.claim(
            run_id, holder="other", now=harness.now, lease_until=harness.now + timedelta(minutes=2)
        )
        assert taken
        return "late"

    harness.registry = Registry([Agent("a", tools=[overtaken])])
    harness.model.scripts = {"a": [call("overtaken"), say("the zombie says")]}
    run_id = harness.start()
    assert harness.worker().advance(run_id) is None
    loaded = harness.loaded(run_id)
    assert (loaded.head.epoch, loaded.head.owner) == (2, "other")
    outcome = loaded.continuation.turns[0].calls[0].outcome
    assert outcome
    assert outcome.content == "late"
    # The run is woken, because the other execution may have loaded it just before.
    assert loaded.head.wake == 1
    assert harness.queue.sent[-1] == ("resume", run_id)


def test_an_execution_that_learns_late_of_its_lost_lease_wakes_the_run() -> None:
    """The outcome is stored before the execution knows that its lease is lost."""

    class LeaseLosingStore(InMemoryStore):
        def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
            if entry.key.endswith("~outcome"):
                harness.later(minutes=3)
                lease_until = harness.now + timedelta(minutes=2)
                assert self.claim(run_id, holder="other", now=harness.now, lease_until=lease_until)
            return super().append(run_id, entry)

    @tool
    def launch() -> str:
        """Launch."""
        return "launched"

    harness = Harness(launch, script=[call("launch"), say("ok")], store=LeaseLosingStore())
    run_id = harness.start()
    assert harness.worker().advance(run_id) is None
    loaded = harness.loaded(run_id)
    assert loaded.continuation.turns[0].calls[0].outcome
    assert (loaded.head.owner, loaded.head.wake) == ("other", 1)
    assert harness.queue.sent[-1] == ("resume", run_id)


def test_a_second_worker_cannot_claim_a_leased_run() -> None:
    harness = Harness(script=[say("ok")])
    run_id = harness.start()
    harness.store.claim(run_id, holder="other", now=NOW, lease_until=NOW + timedelta(minutes=2))
    assert harness.worker().advance(run_id) is None
    assert harness.model.requests == []


def failing_model(error: Exception) -> Callable[[ModelRequest], Reply]:
    def script(_request: ModelRequest) -> Reply:
        raise error

    return script


def test_an_unavailable_model_suspends_the_run_until_a_later_time() -> None:
    harness = Harness(script=failing_model(ModelUnavailable("busy", after_seconds=90)))
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    assert harness.loaded(run_id).head.due == NOW + timedelta(seconds=90)
    (entry,) = harness.waiting(run_id)
    assert (entry.kind, entry.message) == ("model", "busy")
    harness.model.scripts = {"a": [say("ok")]}
    harness.later(seconds=91)
    assert harness.worker().advance(run_id) is Status.COMPLETED


def test_a_wake_during_the_back_off_calls_no_model_and_the_back_off_grows() -> None:
    pay, _ = gated_tool()
    harness = Harness(pay, script=failing_model(ModelUnavailable("busy", after_seconds=90)))
    run_id = harness.start()
    harness.worker().advance(run_id)
    asked = len(harness.model.requests)
    harness.store.wake(run_id, now=harness.now)
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    assert len(harness.model.requests) == asked
    head = harness.loaded(run_id).head
    assert head.due == NOW + timedelta(seconds=90)
    (entry,) = harness.waiting(run_id)
    assert (entry.kind, entry.message) == ("model", "busy")
    # The second failure in a row asks for less than the back-off has grown to.
    harness.model.scripts = {"a": failing_model(ModelUnavailable("busy", after_seconds=1))}
    harness.later(seconds=91)
    harness.worker().advance(run_id)
    assert harness.loaded(run_id).head.due == harness.now + timedelta(
        seconds=2 * Limits().model_retry
    )
    harness.model.scripts = {"a": [call("pay"), say("ok")]}
    harness.later(seconds=61)
    harness.worker().advance(run_id)
    assert harness.loaded(run_id).head.model_pause is None


def test_model_calls_that_fail_together_count_as_one_try() -> None:
    error = ModelUnavailable("busy")
    pause = next_backoff(None, error, NOW, shortest=30, longest=900)
    for _ in range(20):
        pause = next_backoff(pause, error, NOW, shortest=30, longest=900)
    assert (pause.tries, pause.until) == (1, NOW + timedelta(seconds=30))
    for _ in range(20):
        pause = next_backoff(pause, error, pause.until, shortest=30, longest=900)
    late = next_backoff(pause, error, pause.until, shortest=30, longest=900)
    assert late.until == pause.until + timedelta(seconds=900)


@pytest.mark.parametrize("error", [ModelRefused("no such key"), RuntimeError("a bug")])
def test_a_refusing_model_blocks_the_run_with_the_reason(error: Exception) -> None:
    harness = Harness(script=failing_model(error))
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    head = harness.loaded(run_id).head
    assert str(error) in (head.note or "")
    assert head.due == harness.now + timedelta(minutes=5)
    harness.model.scripts = {"a": [say("ok")]}
    harness.services.control.redrive(run_id)
    assert harness.worker().advance(run_id) is Status.COMPLETED


def test_a_blocked_run_is_tried_again_ever_more_rarely_and_told_of_after_a_quarter() -> None:
    told: list[datetime] = []
    harness = Harness(script=failing_model(ModelRefused("no such key")))
    worker = harness.worker(on_blocked=lambda: told.append(harness.now))
    run_id, start, tries = harness.start(), harness.now, []
    for _ in range(7):
        assert worker.advance(run_id) is Status.SUSPENDED
        due = harness.loaded(run_id).head.due
        assert due
        tries.append((due - start).total_seconds() / 60)
        harness.now = due
    assert tries == [5, 15, 35, 75, 135, 195, 255]
    assert [(each - start).total_seconds() / 60 for each in told] == [15, 35, 75, 135, 195]
    harness.model.scripts = {"a": [say("ok")]}
    assert worker.advance(run_id) is Status.COMPLETED
    head = harness.loaded(run_id).head
    assert (head.obstacle, head.note) == (None, None)


def test_a_blocked_run_can_be_cancelled() -> None:
    harness = Harness(script=failing_model(ModelRefused("no such key")))
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    harness.services.control.cancel(run_id)
    assert harness.worker().advance(run_id) is Status.CANCELLED


def lose_executions(harness: Harness, run_id: str, number: int) -> None:
    """Let so many processes claim the run and die, each once it knows of its claim."""
    for _ in range(number):
        lease_until = harness.now + timedelta(minutes=2)
        taken = harness.store.claim(
            run_id, holder=f"h{harness.now}", now=harness.now, lease_until=lease_until
        )
        assert taken
        harness.store.count_stall(taken)
        harness.later(minutes=3)


def test_a_run_is_parked_after_five_fruitless_executions() -> None:
    harness = Harness(script=[say("ok")])
    run_id = harness.start()
    lose_executions(harness, run_id, MAX_FRUITLESS - 1)
    head = harness.store.head(run_id)
    assert head
    harness.store.progress(run_id, epoch=head.epoch, entry_count=1)
    lose_executions(harness, run_id, MAX_FRUITLESS - 1)
    assert harness.worker().advance(run_id) is Status.PARKED
    assert harness.loaded(run_id).head.note == "5 executions without progress"
    assert harness.services.control.redrive(run_id).stalls == 0
    assert harness.worker().advance(run_id) is Status.COMPLETED


def test_claims_that_make_progress_do_not_park_a_run() -> None:
    harness = Harness(script=[say("ok")])
    run_id = harness.start()
    for number in range(MAX_FRUITLESS):
        harness.store.claim(
            run_id,
            holder=f"o{number}",
            now=harness.now,
            lease_until=harness.now + timedelta(minutes=2),
        )
        harness.later(minutes=3)
    assert harness.worker().advance(run_id) is Status.COMPLETED


def test_a_corrupt_value_parks_the_run() -> None:
    class CorruptStore(InMemoryStore):
        broken = False

        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            if self.broken:
                raise CorruptValue("the value of J#!start has changed")
            return super().load(run_id, partial=partial)

    store = CorruptStore()
    harness = Harness(script=[say("ok")], store=store)
    run_id = harness.start()
    store.broken = True
    assert harness.worker().advance(run_id) is Status.PARKED
    store.broken = False
    assert harness.loaded(run_id).head.note == "the value of J#!start has changed"


def test_a_decision_during_an_execution_is_not_missed() -> None:
    pay, ran = gated_tool()
    harness = Harness(script=[])

    @tool(effect="idempotent")
    def slow() -> str:
        """While it runs, a person decides."""
        if harness.waiting(run_id):
            harness.decide(run_id, Verdict.APPROVE)
        return "done"

    harness.registry = Registry([Agent("a", tools=[pay, slow])])
    harness.model.scripts = {"a": [call("pay"), say("ok")]}
    harness.model.scripts = {"a": [calls(("pay", {}), ("slow", {})), say("ok")]}
    run_id = harness.start()
    harness.worker().advance(run_id)
    if harness.waiting(run_id):
        harness.decide(run_id, Verdict.APPROVE)
        harness.worker().advance(run_id)
    assert harness.loaded(run_id).head.status is Status.COMPLETED
    assert ran == ["x"]


def test_a_repeated_start_request_makes_one_run() -> None:
    harness = Harness(script=[say("ok")])
    one = harness.services.runs.start("a", "go", key="k")
    assert harness.services.runs.start("a", "go", key="k").run_id == one.run_id
    with pytest.raises(KeyReused):
        harness.services.runs.start("a", "stop", key="k")
    assert harness.services.runs.start("a", "go").run_id != one.run_id


def test_a_call_runs_only_as_it_was_approved() -> None:
    pay, ran = gated_tool()
    store = InMemoryStore()
    harness = Harness(pay, script=[call("pay"), say("ok")], store=store)
    run_id = harness.start()
    harness.worker().advance(run_id)
    harness.decide(run_id, Verdict.APPROVE)
    # An attacker with access to the table alters the stored decision.
    run = store._runs[run_id]
    register = run.entries["00000.000!2decision"]
    event = register.events[0]
    forged = event.model_copy(
        update={"decision": event.decision.model_copy(update={"arguments_hash": "0" * 64})}  # type: ignore[union-attr]
    )
    run.entries[register.key] = JournalEntry(register.key, (forged,))
    assert harness.worker().advance(run_id) is Status.PARKED
    assert harness.loaded(run_id).head.note == "0.0 is not what was approved"
    assert ran == []


def test_a_call_that_was_approved_after_its_deadline_does_not_run() -> None:
    pay, ran = gated_tool()
    store = InMemoryStore()
    harness = Harness(pay, script=[call("pay"), say("ok")], store=store)
    run_id = harness.start()
    harness.worker().advance(run_id)
    deadline = harness.loaded(run_id).head.due
    assert deadline
    harness.now = deadline
    harness.decide(run_id, Verdict.APPROVE)
    # The clock of the process that checked the deadline was late; the stored time is not.
    run = store._runs[run_id]
    entry = run.entries["00000.000!2decision"]
    decided = entry.events[0]
    assert isinstance(decided, Decided)
    late = {"decided_at": deadline + timedelta(milliseconds=1)}
    changed = {"decision": decided.decision.model_copy(update=late)}
    run.entries[entry.key] = JournalEntry(entry.key, (decided.model_copy(update=changed),))
    assert harness.worker().advance(run_id) is Status.PARKED
    assert harness.loaded(run_id).head.note == "0.0 was approved after its deadline"
    assert ran == []


def test_the_start_is_a_journal_entry() -> None:
    harness = Harness(script=[say("ok")])
    run_id = harness.start()
    snapshot = harness.store.load(run_id)
    assert snapshot
    assert [register.key for register in snapshot.entries] == [START_KEY]
    assert isinstance(snapshot.head, RunHead)


@pytest.mark.parametrize("width", [1, 25, 26, 45, 46, 128])
def test_every_call_of_a_wide_turn_is_requested_and_run(width: int) -> None:
    pay, paid = gated_tool()
    noted: list[str] = []

    @tool
    def note() -> str:
        """Note."""
        noted.append("x")
        return "noted"

    wide = calls(*[("pay", {})] * width)
    harness = Harness(pay, note, script=[wide, calls(*[("note", {})] * width), say("ok")])
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    assert len(harness.waiting(run_id)) == len(harness.store.notices(run_id)) == width
    for entry in harness.waiting(run_id):
        answer = Decide(
            verdict=Verdict.APPROVE, approver="x@example.com", decided_by="me", via="api"
        )
        harness.services.decisions.decide(run_id, entry.request_id, answer)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert (len(paid), len(noted)) == (width, width)
    assert harness.loaded(run_id).head.intents == {}


def test_calls_beyond_the_limit_of_a_turn_are_refused_and_the_others_run() -> None:
    pay, _ = gated_tool()
    harness = Harness(pay, script=[calls(*[("pay", {})] * 130), say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id)
    assert len(harness.waiting(run_id)) == 128
    refused = harness.loaded(run_id).continuation.turns[0].calls[128].outcome
    assert refused
    assert "only 128 tool calls are possible in one turn" in refused.content


def test_agents_nest_thirty_two_deep_and_no_deeper() -> None:
    inner = Agent("a0")
    for depth in range(1, 40):
        tools = [inner.as_tool(description="deeper", name="deeper")]
        inner = Agent(f"a{depth}", tools=tools)

    def script(request: ModelRequest) -> Reply:
        last = request.messages[-1]
        return say(str(last["content"])) if last["role"] == "tool" else call("deeper", input="x")

    harness = Harness(script=[])
    harness.registry = Registry([inner])
    harness.model.scripts = {f"a{depth}": script for depth in range(40)}
    run_id = harness.services.runs.start("a39", "go").run_id
    assert harness.worker().advance(run_id) is Status.COMPLETED
    root = harness.loaded(run_id).continuation
    assert max(len(path) for path, call_ in root.calls() if call_.child) == 32
    assert "agents may be nested 32 deep" in (root.outcome.content if root.outcome else "")


def test_a_notice_replaces_huge_arguments_by_their_size() -> None:
    @tool(approval=Approval(["x@example.com"]))
    def file(text: str) -> str:
        """File."""
        return text

    harness = Harness(file, script=[call("file", text="x" * 1_000_000), say("ok")])
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    (notice,) = harness.store.notices(run_id)
    assert len(notice.model_dump_json()) < 10_000
    assert "1000011 characters" in str(notice.arguments)


def test_a_run_whose_process_dies_again_and_again_is_parked() -> None:
    def model(_request: ModelRequest) -> Reply:
        raise KeyboardInterrupt

    harness = Harness(script=model)
    run_id = harness.start()
    # The first five have the start of the run as an entry that no execution had counted yet.
    for _ in range(2 * MAX_FRUITLESS):
        with pytest.raises(KeyboardInterrupt):
            harness.worker().advance(run_id)
        harness.later(minutes=3)
    status = None
    with suppress(KeyboardInterrupt):
        status = harness.worker().advance(run_id)
    assert status is Status.PARKED


def test_a_run_that_cannot_be_loaded_is_parked() -> None:
    class BrokenStore(InMemoryStore):
        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            del run_id, partial
            raise ZeroDivisionError("a bug")

    store = BrokenStore()
    harness = Harness(script=[say("ok")], store=store)
    run_id = harness.start()
    for _ in range(2 * MAX_FRUITLESS):
        with pytest.raises(ZeroDivisionError):
            harness.worker().advance(run_id)
        harness.later(minutes=3)
    assert harness.worker().advance(run_id) is Status.PARKED
    head = store.head(run_id)
    assert head
    assert head.note == "10 executions without progress: ZeroDivisionError: a bug"


def test_a_tool_that_gained_an_argument_does_not_run_on_an_older_approval() -> None:
    ran: list[str] = []

    @tool(approval=Approval(["x@example.com"]))
    def pay(amount: int) -> str:
        """Pay."""
        return f"{amount}"

    harness = Harness(pay, script=[call("pay", amount=5), say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id)

    @tool(approval=Approval(["x@example.com"]), name="pay")
    def pay_in(amount: int, currency: str = "gold") -> str:
        """Pay."""
        ran.append(currency)
        return f"{amount} {currency}"

    harness.registry = Registry([Agent("a", tools=[pay_in])])
    harness.decide(run_id, Verdict.APPROVE)
    assert harness.worker().advance(run_id) is Status.PARKED
    note = harness.loaded(run_id).head.note
    assert note == (
        'the tool pay would now run with {"amount":5,"currency":"gold"}, and people decided on'
        ' {"amount":5}'
    )
    assert ran == []


def test_an_unexpected_validator_error_is_reported_to_the_model() -> None:
    def odd(_value: int) -> int:
        raise RuntimeError("odd")

    @tool
    def count(number: Annotated[int, AfterValidator(odd)]) -> int:
        """Count."""
        return number

    harness = Harness(count, script=[call("count", number=1), say("ok")])
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert "odd" in str(harness.model.requests[-1].messages[-1]["content"])


def test_a_failed_run_shows_its_whole_reason() -> None:
    harness = Harness(script=lambda _request: Reply(fault="empty"))
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.FAILED
    loaded = harness.loaded(run_id)
    error = run_view(loaded.head, loaded.continuation).error
    assert error == "the model gave no usable answer: empty, empty, empty"


def test_times_have_one_length_so_that_they_sort_as_texts() -> None:
    times = [NOW, NOW + timedelta(milliseconds=267), NOW + timedelta(seconds=1)]
    assert [moment(at) for at in times] == [
        "2026-11-22T12:00:00.000Z",
        "2026-11-22T12:00:00.267Z",
        "2026-11-22T12:00:01.000Z",
    ]


# -- rare interleavings ---------------------------------------------------------------------------


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def limited_child(crash_at: int | None) -> Harness:
    """A child ends at its limit on a read call; its caller's next reply depends on that.

    Args:
        crash_at: which of the caller's requests after that crashes the process, once.
    """
    asked: list[str] = []

    def manager(request: ModelRequest) -> Reply:
        if request.messages[-1]["role"] != "tool":
            return call("child", input="x")
        asked.append("x")
        if len(asked) == crash_at:
            raise KeyboardInterrupt
        return call("look") if len(asked) < 4 else say("ok")

    child = Agent("child", tools=[look], max_turns=1)
    harness = Harness(script=[])
    manager_agent = Agent("a", tools=[child.as_tool(description="Looks."), look])
    harness.registry = Registry([manager_agent])
    harness.model.scripts = {"a": manager, "child": [call("look")]}
    return harness


@pytest.mark.parametrize("crash_at", [None, 1, 2])
def test_a_read_of_an_ended_child_is_stored_before_its_caller_replies(
    crash_at: int | None,
) -> None:
    harness = limited_child(crash_at)
    run_id = harness.start()
    if crash_at:
        with pytest.raises(KeyboardInterrupt):
            harness.worker().advance(run_id)
        harness.later(minutes=3)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert harness.loaded(run_id).continuation.outcome


def test_a_reply_stored_by_another_execution_is_not_folded_twice() -> None:
    harness = Harness(script=[])

    @tool(effect="idempotent")
    def slow() -> str:
        """Work."""
        return "done"

    def script(request: ModelRequest) -> Reply:
        # While this model call is in flight, the reply of an execution with an expired lease is
        # stored for the same turn, and the run is woken, so that this execution loads it.
        if len(request.messages) == 1:
            return call("slow")
        event = ModelReplied(path="", turn=1, reply=say("the other execution's"), at=NOW)
        harness.store.append(run_id, JournalEntry("00001!reply", (event,)))
        harness.store.wake(run_id, now=NOW)
        harness.later(seconds=50)
        return say("mine")

    harness.registry = Registry([Agent("a", tools=[slow])])
    harness.model.scripts = {"a": script}
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.COMPLETED
    outcome = harness.loaded(run_id).continuation.outcome
    assert outcome
    assert outcome.content == "the other execution's"


def test_an_execution_without_a_lease_cannot_park_the_run() -> None:
    class TornStore(InMemoryStore):
        broken = False

        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            if self.broken:
                self.broken = False
                later = NOW + timedelta(minutes=9)
                self.claim(
                    run_id, holder="new", now=later, lease_until=later + timedelta(minutes=2)
                )
                raise CorruptValue("a form that this code does not know")
            return super().load(run_id, partial=partial)

    store = TornStore()
    harness = Harness(script=[say("ok")], store=store)
    run_id = harness.start()
    store.broken = True
    assert harness.worker().advance(run_id) is None
    head = store.head(run_id)
    assert head
    assert (head.status, head.owner) == (Status.RUNNING, "new")


def test_a_query_without_a_consistent_snapshot_is_repeated() -> None:
    class TornStore(InMemoryStore):
        tears = 0

        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            snapshot = super().load(run_id, partial=partial)
            if snapshot is None or self.tears == 0:
                return snapshot
            # The query has passed the key of the outcome before it was written.
            self.tears -= 1
            kept = [each for each in snapshot.entries if not each.key.endswith("~outcome")]
            return Snapshot(snapshot.head, tuple(kept))

    @tool(effect="idempotent")
    def work() -> str:
        """Work."""
        return "done"

    store = TornStore()
    harness = Harness(work, script=[call("work"), say("ok")], store=store)
    run_id = harness.start()
    harness.worker().advance(run_id)
    store.tears = 3
    assert harness.loaded(run_id).continuation.outcome
    store.tears = 4
    with pytest.raises(Retryable):
        harness.loaded(run_id)


def test_a_run_that_is_handed_on_repeatedly_without_progress_is_parked() -> None:
    harness = Harness(script=[say("ok")])
    run_id = harness.start()
    soon = NOW + timedelta(seconds=50)
    # The first one counts as progress, because the journal has its start.
    statuses = [harness.worker().advance(run_id, deadline=soon) for _ in range(2 + MAX_FRUITLESS)]
    assert statuses == [*[Status.READY] * (1 + MAX_FRUITLESS), Status.PARKED]


def test_no_tool_starts_after_a_cancel_in_a_wide_turn() -> None:
    began: list[str] = []
    harness = Harness(script=[])

    @tool
    def work() -> str:
        """The first one cancels the run; those that already run may finish."""
        began.append("x")
        if len(began) == 1:
            harness.services.control.cancel(run_id)
        return "done"

    harness.registry = Registry([Agent("a", tools=[work])])
    harness.model.scripts = {"a": [calls(*[("work", {})] * 128), say("ok")]}
    run_id = harness.start()
    assert harness.worker(Limits(workers=4)).advance(run_id) is Status.CANCELLED
    assert len(began) <= 8
    assert harness.loaded(run_id).head.intents == {}


def test_an_unsaved_outcome_is_stored_once_the_store_answers_again() -> None:
    class FlakyStore(InMemoryStore):
        failures = 0

        def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
            if entry.key.endswith("~outcome") and self.failures < 3:
                self.failures += 1
                raise Retryable("throttled")
            return super().append(run_id, entry)

    ran: list[str] = []

    @tool
    def launch() -> str:
        """Launch."""
        ran.append("x")
        return "launched"

    store = FlakyStore()
    harness = Harness(launch, script=[call("launch"), say("ok")], store=store)
    run_id = harness.start()
    assert harness.worker(pause=lambda _seconds: None).advance(run_id) is Status.COMPLETED
    assert (ran, store.failures) == (["x"], 3)


def test_a_process_with_an_abandoned_tool_is_ended() -> None:
    free, ended = Event(), Event()

    @tool
    def stuck() -> str:
        """Never return in time."""
        harness.later(seconds=200)
        free.wait(20)
        return "late"

    harness = Harness(script=[])
    harness.registry = Registry([Agent("a", tools=[stuck])])
    harness.model.scripts = {"a": [call("stuck"), say("ok")]}
    run_id = harness.start()
    deadline = NOW + timedelta(seconds=200)
    limits = Limits(lease_renewal=0.01)
    assert (
        harness.worker(limits, abandon=ended.set).advance(run_id, deadline=deadline) is Status.READY
    )
    assert ended.is_set()
    free.set()


def test_operators_are_asked_about_a_call_in_doubt_without_approvers() -> None:
    launch, ran = tool_killed_once()
    harness = Harness(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.worker().advance(run_id)
    harness.later(hours=1)
    assert harness.worker(operators=["ops@example.com"]).advance(run_id) is Status.SUSPENDED
    (asked,) = harness.waiting(run_id)
    assert asked.approvers == ("ops@example.com",)
    (notice,) = harness.store.notices(run_id)
    assert notice.answerers == ("ops@example.com",)
    answer = Decide(verdict=Verdict.APPROVE, approver="x@example.com", decided_by="me", via="api")
    with pytest.raises(Forbidden):
        harness.services.decisions.decide(run_id, asked.request_id, answer)
    assert ran == ["x"]


def test_a_parked_run_is_reported_again_because_its_process_may_have_died_before_the_alarm() -> (
    None
):
    harness = Harness(script=[say("ok")])
    run_id = harness.start()
    harness.registry = Registry([])
    assert harness.worker().advance(run_id) is Status.PARKED
    assert harness.worker().advance(run_id) is Status.PARKED
    assert harness.loaded(run_id).head.epoch == 1


def test_a_parked_run_can_be_cancelled() -> None:
    pay, _ = gated_tool()
    harness = Harness(pay, script=[call("pay"), say("ok")])
    run_id = harness.start()
    harness.registry = Registry([])
    assert harness.worker().advance(run_id) is Status.PARKED
    harness.services.control.cancel(run_id)
    assert harness.worker().advance(run_id) is Status.CANCELLED
    assert harness.worker().advance(run_id) is None


def test_a_document_of_a_cancelled_run_does_not_revive_it() -> None:
    pay, ran = gated_tool()
    model = ScriptedModel({"a": [call("pay"), say("ok")]})
    runs = LocalRunner([Agent("a", tools=[pay])], model, signing_key="k" * 32)
    run = runs.start("a", "go")
    runs.cancel(run.run_id)
    other = LocalRunner([Agent("a", tools=[pay])], model, signing_key="k" * 32)
    loaded = other.load(runs.dump(run.run_id))
    assert (loaded.status, loaded.waiting) == (Status.CANCELLED, ())
    with pytest.raises(Conflict):
        other.decide(run.run_id, run.waiting[0].request_id, "approve")
    assert ran == []


def test_blocked_calls_do_not_block_the_others() -> None:
    pay, _ = gated_tool()
    noted: list[str] = []

    @tool
    def note() -> str:
        """Note."""
        noted.append("x")
        return "noted"

    turn = calls(*[("gone", {})] * 5, ("note", {}))

    @tool
    def gone() -> str:
        """Exist when the model asks for it, and not any more when it would run."""
        raise AssertionError

    harness = Harness(gone, note, script=[turn, say("ok")])
    run_id = harness.start()
    event = ModelReplied(
        path="",
        turn=0,
        reply=turn,
        calls=plan_calls(harness.registry.startable["a"], (), turn),
        at=NOW,
    )
    harness.store.append(run_id, JournalEntry("00000!reply", (event,)))
    harness.registry = Registry([Agent("a", tools=[note, pay])])
    assert harness.worker(Limits(workers=2)).advance(run_id) is Status.PARKED
    assert noted == ["x"]


def test_an_execution_that_lost_its_lease_waits_for_its_tool_without_spinning() -> None:
    executor = RecordingExecutor(8)

    @tool
    def overtaken() -> str:
        """While it runs, the lease expires and another execution claims the run."""
        harness.later(minutes=3)
        lease_until = harness.now + timedelta(minutes=2)
        assert harness.store.claim(run_id, holder="other", now=harness.now, lease_until=lease_until)
        executor.waited_often.wait(10)
        return "late"

    harness = Harness(overtaken, script=[call("overtaken"), say("ok")])
    run_id = harness.start()
    assert harness.worker(executor=lambda: executor).advance(run_id) is None
    assert min(executor.waits[-2:]) > 1


def test_a_model_call_in_flight_is_awaited_when_time_runs_out() -> None:
    executor = RecordingExecutor(8)

    def slow(request: ModelRequest) -> Reply:
        harness.later(seconds=150)
        executor.waited_often.wait(10)
        return say("ok")

    harness = Harness(script=[])
    harness.model.scripts = {"a": slow}
    run_id = harness.start()
    worker = harness.worker(executor=lambda: executor)
    assert worker.advance(run_id, deadline=NOW + timedelta(seconds=200)) is Status.COMPLETED
    assert harness.loaded(run_id).continuation.turns[0].reply.content == "ok"


def test_a_decision_is_loaded_again_after_a_failed_load() -> None:
    class FlakyStore(InMemoryStore):
        fails = False

        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            if self.fails:
                self.fails = False
                raise Retryable("throttled")
            return super().load(run_id, partial=partial)

    pay, ran = gated_tool()
    store = FlakyStore()
    executor = RecordingExecutor(8)

    @tool(effect="idempotent")
    def slow() -> str:
        """While it runs, a person decides, and the store does not answer for a moment."""
        for _ in range(200):
            if harness.waiting(run_id):
                break
            sleep(0.01)
        harness.decide(run_id, Verdict.APPROVE)
        store.fails = True
        harness.later(seconds=60)
        executor.waited_often.clear()
        executor.waits.clear()
        executor.waited_often.wait(10)
        return "done"

    harness = Harness(pay, slow, script=[calls(("pay", {}), ("slow", {})), say("ok")], store=store)
    run_id = harness.start()
    worker = harness.worker(executor=lambda: executor, pause=lambda _seconds: None)
    assert worker.advance(run_id) is Status.COMPLETED
    assert (ran, store.fails) == (["x"], False)


def test_an_outcome_of_a_lost_lease_is_found_before_the_call_is_in_doubt() -> None:
    launch, _ = tool_killed_once()
    begun: list[str] = []

    @tool(effect="idempotent")
    def slow() -> str:
        """While it runs, the process of the other call ends, after storing the outcome."""
        begun.append("x")
        if len(begun) == 1:
            raise KeyboardInterrupt
        late = JournalEntry(
            call_key(parse_path("0.0"), "outcome"), (tool_returned("0.0", "launched"),)
        )
        harness.store.append(run_id, late)
        harness.later(minutes=30)
        return "done"

    script = [calls(("launch", {}), ("slow", {})), say("ok")]
    harness = Harness(launch, slow, script=script)
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.worker().advance(run_id)
    harness.later(minutes=3)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert not harness.store.notices(run_id)


def test_a_run_that_is_resumed_when_little_time_is_left_starts_nothing_here() -> None:
    class Resumed(InMemoryStore):
        """The run is resumed as its pause is about to release it, shortly before the deadline."""

        def commit(self, run_id: str, **terms: Any) -> bool:
            head = self.head(run_id)
            if head and head.paused and terms.get("release"):
                harness.later(seconds=100)
                self.pause(run_id, paused=False, now=harness.now)
            return super().commit(run_id, **terms)

    ran: list[str] = []

    @tool
    def first() -> str:
        """An operator pauses the run meanwhile."""
        harness.services.control.pause(run_id)
        return "done"

    @tool
    def second() -> str:
        """Run."""
        ran.append("second")
        return "done"

    script = [call("first"), call("second"), say("ok")]
    harness = Harness(first, second, script=script, store=Resumed())
    run_id = harness.start()
    deadline = NOW + timedelta(seconds=150)
    assert harness.worker().advance(run_id, deadline=deadline) is Status.READY
    assert ran == []
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert ran == ["second"]
