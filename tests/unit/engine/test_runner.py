"""The shell around the core, on the in-memory store: leases, crashes, cancel, doubt, deadlines."""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
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
from agent_continuations.core.events import ModelReplied
from agent_continuations.core.keys import START_KEY, call_key
from agent_continuations.core.path import parse_path
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import JournalEntry, LoadedRun, RunHead, Snapshot, Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.executor import ThreadExecutor
from agent_continuations.engine.planning import plan_calls
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import (
    Conflict,
    CorruptValue,
    Forbidden,
    IllegalEvent,
    KeyReused,
    ModelRefused,
    ModelUnavailable,
    Retryable,
)
from agent_continuations.ports.limits import MAX_FRUITLESS_CLAIMS
from agent_continuations.ports.model import ModelRequest
from agent_continuations.services.services import Services
from agent_continuations.views.base import moment
from agent_continuations.views.run import run_view
from agent_continuations.views.waiting import Waiting, waiting
from tests.unit.core.test_fold import returned

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Recorded:
    """Hints, remembered."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, ...]] = []

    def advance(self, run_id: str) -> None:
        self.sent.append(("advance", run_id))

    def resume(self, run_id: str) -> None:
        self.sent.append(("resume", run_id))

    def notify(self, run_id: str, notice_id: str) -> None:
        self.sent.append(("notify", run_id, notice_id))


class House:
    """One store, one clock that the test moves, and as many workers as it wants."""

    def __init__(self, *tools: Tool, script: Script, store: InMemoryStore | None = None) -> None:
        self.now = NOW
        self.store = store or InMemoryStore()
        self.queue = Recorded()
        self.model = ScriptedModel({"a": script})
        self.registry = Registry([Agent("a", tools=tools)])
        self.services = Services.of(
            store=self.store,
            queue=self.queue,
            registry=lambda: self.registry,
            clock=lambda: self.now,
        )

    def worker(self, limits: Limits | None = None, **more: Any) -> Runner:
        return Runner(
            store=self.store,
            model=self.model,
            registry=self.registry,
            queue=self.queue,
            recipients=lambda approvers: [f"email:{each}" for each in approvers],
            clock=lambda: self.now,
            limits=limits,
            **more,
        )

    def start(self) -> str:
        return self.services.runs.start("a", "go").run_id

    def loaded(self, run_id: str) -> LoadedRun:
        return self.services.runs.load(run_id)

    def waiting(self, run_id: str) -> list[Waiting]:
        loaded = self.loaded(run_id)
        return list(waiting(loaded.head, loaded.continuation))

    def decide(self, run_id: str, verdict: Verdict, reason: str | None = None) -> None:
        answer = Decide(
            verdict=verdict, approver="x@example.com", decided_by="me", via="api", reason=reason
        )
        self.services.decisions.decide(run_id, self.waiting(run_id)[0].request_id, answer)

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)


class Watched(ThreadExecutor):
    """Threads whose owner looks up all the time, and what it would have waited for."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.waits: list[float] = []
        self.waited_often = Event()

    def wait(self, begun: Collection["Future[Any]"], seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) > 3:
            self.waited_often.set()
        super().wait(begun, min(seconds, 0.01))


def killed_once(then: str = "done") -> tuple[Tool, list[str]]:
    """A `once` tool whose process is killed in the middle, the first time."""
    ran: list[str] = []

    @tool
    def launch() -> str:
        """Launch."""
        ran.append("x")
        if len(ran) == 1:
            raise KeyboardInterrupt
        return then

    return launch, ran


def gated() -> tuple[Tool, list[str]]:
    ran: list[str] = []

    @tool(approval=Approval(["x@example.com"], timeout_seconds=3600))
    def pay() -> str:
        """Pay."""
        ran.append("x")
        return "paid"

    return pay, ran


def test_a_run_that_waits_has_no_owner_and_people_have_been_told() -> None:
    pay, _ = gated()
    house = House(pay, script=[call("pay"), say("ok")])
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.SUSPENDED
    head = house.loaded(run_id).head
    assert (head.owner, head.lease_until, head.due) == (None, None, NOW + timedelta(hours=1))
    (asked,) = house.waiting(run_id)
    assert house.queue.sent == [("advance", run_id), ("notify", run_id, asked.request_id)]
    (notice,) = house.store.notices(run_id)
    assert notice.undelivered == ("email:x@example.com",)


def test_people_are_asked_while_siblings_still_work() -> None:
    pay, _ = gated()
    asked = Event()

    @tool(effect="idempotent")
    def slow() -> str:
        """Work until somebody was asked."""
        assert asked.wait(20)
        return "done"

    class Telling(InMemoryStore):
        def commit(self, run_id: str, **rest: object) -> bool:
            written = super().commit(run_id, **rest)  # type: ignore[arg-type]
            asked.set()
            return written

    both = calls(("slow", {}), ("pay", {}))
    house = House(pay, slow, script=[both, say("ok")], store=Telling())
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.SUSPENDED
    call_ = house.loaded(run_id).continuation.turns[0].calls[0]
    assert call_.outcome
    assert call_.outcome.content == "done"


def test_nobody_decides_in_time_and_the_call_is_rejected_never_approved() -> None:
    pay, ran = gated()
    house = House(pay, script=[call("pay"), say("ok")])
    run_id = house.start()
    house.worker().advance(run_id)
    house.later(minutes=59)
    assert house.worker().advance(run_id) is Status.SUSPENDED
    house.later(minutes=2)
    assert house.worker().advance(run_id) is Status.COMPLETED
    decision = house.loaded(run_id).continuation.turns[0].calls[0].decision
    assert decision
    assert (decision.verdict, decision.approver) == (Verdict.REJECT, "deadline")
    assert ran == []


def test_a_decision_just_before_the_deadline_stands_however_late_it_is_seen() -> None:
    pay, ran = gated()
    house = House(pay, script=[call("pay"), say("ok")])
    run_id = house.start()
    house.worker().advance(run_id)
    house.later(minutes=59)
    house.decide(run_id, Verdict.APPROVE)
    house.later(hours=5)
    assert house.worker().advance(run_id) is Status.COMPLETED
    assert ran == ["x"]


def test_a_lost_once_tool_is_put_to_a_person_and_never_run_again_by_itself() -> None:
    launch, ran = killed_once()
    house = House(launch, script=[call("launch"), say("ok")])
    run_id = house.start()
    with pytest.raises(KeyboardInterrupt):
        house.worker().advance(run_id)
    house.later(minutes=5)
    # Its owner could still be alive: nothing is asked yet, and nothing runs.
    assert house.worker().advance(run_id) is Status.SUSPENDED
    assert [each.kind for each in house.waiting(run_id)] == ["timer"]
    due = house.loaded(run_id).head.due
    assert due
    house.now = due
    assert house.worker().advance(run_id) is Status.SUSPENDED
    assert [each.kind for each in house.waiting(run_id)] == ["doubt"]
    assert house.worker().advance(run_id) is Status.SUSPENDED
    assert ran == ["x"]


def in_doubt(script: Script) -> tuple[House, str, list[str]]:
    launch, ran = killed_once()
    house = House(launch, script=script)
    run_id = house.start()
    with pytest.raises(KeyboardInterrupt):
        house.worker().advance(run_id)
    house.later(hours=1)
    assert house.worker().advance(run_id) is Status.SUSPENDED
    return house, run_id, ran


def test_it_happened_the_run_goes_on_with_the_persons_note() -> None:
    house, run_id, ran = in_doubt([call("launch"), say("ok")])
    house.decide(run_id, Verdict.APPROVE, "it is in orbit")
    assert house.worker().advance(run_id) is Status.COMPLETED
    assert "it is in orbit" in str(house.model.requests[-1].messages[-1]["content"])
    assert ran == ["x"]


def test_it_did_not_happen_the_tool_runs_now() -> None:
    house, run_id, ran = in_doubt([call("launch"), say("ok")])
    house.decide(run_id, Verdict.REJECT)
    assert house.worker().advance(run_id) is Status.COMPLETED
    assert house.model.requests[-1].messages[-1]["content"] == "done"
    assert ran == ["x", "x"]


def test_a_late_outcome_closes_the_question_by_itself() -> None:
    house, run_id, ran = in_doubt([call("launch"), say("ok")])
    outcome = JournalEntry("00000.000~outcome", (returned("0.0", "it had worked"),))
    assert house.store.append_external(run_id, [outcome], now=house.now) is None
    assert house.waiting(run_id) == []
    assert house.worker().advance(run_id) is Status.COMPLETED
    assert house.model.requests[-1].messages[-1]["content"] == "it had worked"
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

    house = House(send, script=[call("send"), say("ok")])
    run_id = house.start()
    with pytest.raises(KeyboardInterrupt):
        house.worker().advance(run_id)
    house.later(minutes=3)
    assert house.worker().advance(run_id) is Status.COMPLETED
    (first, key), (second, again) = keys
    assert (first, second) == (1, 2)
    assert key == again


def test_cancel_begins_nothing_more_but_records_what_was_running() -> None:
    started, cancelled = Event(), Event()

    @tool
    def work() -> str:
        """Work until after the cancel."""
        started.set()
        assert cancelled.wait(20)
        return "finished anyway"

    house = House(work, script=[call("work"), say("never said")])
    run_id = house.start()
    statuses: list[Status | None] = []
    thread = Thread(target=lambda: statuses.append(house.worker().advance(run_id)))
    thread.start()
    assert started.wait(20)
    house.services.control.cancel(run_id)
    cancelled.set()
    thread.join(20)
    loaded = house.loaded(run_id)
    outcome = loaded.continuation.turns[0].calls[0].outcome
    assert outcome
    assert outcome.content == "finished anyway"
    assert statuses == [loaded.head.status] == [Status.CANCELLED]


def test_a_cancelled_run_that_waits_ends_at_once_and_cannot_be_decided() -> None:
    pay, ran = gated()
    house = House(pay, script=[call("pay"), say("ok")])
    run_id = house.start()
    house.worker().advance(run_id)
    request_id = house.waiting(run_id)[0].request_id
    house.services.control.cancel(run_id)
    answer = Decide(verdict=Verdict.APPROVE, approver="x@example.com", decided_by="me", via="api")
    with pytest.raises(Conflict, match="cancelled"):
        house.services.decisions.decide(run_id, request_id, answer)
    assert house.worker().advance(run_id) is Status.CANCELLED
    with pytest.raises(Conflict, match="cancelled"):
        house.services.decisions.decide(run_id, request_id, answer)
    assert ran == []


def test_with_little_time_left_the_run_is_handed_on() -> None:
    house = House(script=[say("ok")])
    run_id = house.start()
    deadline = NOW + timedelta(seconds=50)
    assert house.worker().advance(run_id, deadline=deadline) is Status.READY
    assert house.queue.sent[-1] == ("resume", run_id)
    assert house.model.requests == []
    assert house.worker().advance(run_id) is Status.COMPLETED


def test_an_owner_that_lost_its_lease_stops_and_writes_no_more() -> None:
    house = House(script=[])

    @tool
    def overtaken() -> str:
        """While it runs, the lease ends and another owner takes the run."""
        house.later(minutes=3)
        taken = house.store.claim(
            run_id, holder="other", now=house.now, lease_until=house.now + timedelta(minutes=2)
        )
        assert taken
        return "late"

    house.registry = Registry([Agent("a", tools=[overtaken])])
    house.model.scripts = {"a": [call("overtaken"), say("the zombie says")]}
    run_id = house.start()
    assert house.worker().advance(run_id) is None
    loaded = house.loaded(run_id)
    assert (loaded.head.epoch, loaded.head.owner) == (2, "other")
    outcome = loaded.continuation.turns[0].calls[0].outcome
    assert outcome
    assert outcome.content == "late"
    # The other owner is told: it may have looked just before.
    assert loaded.head.wake == 1
    assert house.queue.sent[-1] == ("resume", run_id)


def test_an_owner_that_lost_its_run_unawares_wakes_whoever_has_it_now() -> None:
    """It stores the outcome while it still thinks that the run is its own."""

    class Overtaken(InMemoryStore):
        def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
            if entry.key.endswith("~outcome"):
                house.later(minutes=3)
                lease_until = house.now + timedelta(minutes=2)
                assert self.claim(run_id, holder="other", now=house.now, lease_until=lease_until)
            return super().append(run_id, entry)

    @tool
    def launch() -> str:
        """Launch."""
        return "launched"

    house = House(launch, script=[call("launch"), say("ok")], store=Overtaken())
    run_id = house.start()
    assert house.worker().advance(run_id) is None
    loaded = house.loaded(run_id)
    assert loaded.continuation.turns[0].calls[0].outcome
    assert (loaded.head.owner, loaded.head.wake) == ("other", 1)
    assert house.queue.sent[-1] == ("resume", run_id)


def test_a_second_worker_does_not_touch_a_run_that_has_an_owner() -> None:
    house = House(script=[say("ok")])
    run_id = house.start()
    house.store.claim(run_id, holder="other", now=NOW, lease_until=NOW + timedelta(minutes=2))
    assert house.worker().advance(run_id) is None
    assert house.model.requests == []


def failing(error: Exception) -> Callable[[ModelRequest], Reply]:
    def script(_request: ModelRequest) -> Reply:
        raise error

    return script


def test_an_unavailable_model_is_a_timer_and_not_a_sleep() -> None:
    house = House(script=failing(ModelUnavailable("busy", after_seconds=90)))
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.SUSPENDED
    assert house.loaded(run_id).head.due == NOW + timedelta(seconds=90)
    (entry,) = house.waiting(run_id)
    assert (entry.kind, entry.message) == ("model", "busy")
    house.model.scripts = {"a": [say("ok")]}
    house.later(seconds=91)
    assert house.worker().advance(run_id) is Status.COMPLETED


def test_a_wake_during_the_models_pause_does_not_call_it_and_the_pause_grows() -> None:
    pay, _ = gated()
    house = House(pay, script=failing(ModelUnavailable("busy", after_seconds=90)))
    run_id = house.start()
    house.worker().advance(run_id)
    asked = len(house.model.requests)
    house.store.wake(run_id, now=house.now)
    assert house.worker().advance(run_id) is Status.SUSPENDED
    assert len(house.model.requests) == asked
    head = house.loaded(run_id).head
    assert head.due == NOW + timedelta(seconds=90)
    (entry,) = house.waiting(run_id)
    assert (entry.kind, entry.message) == ("model", "busy")
    # The second failure in a row asks for less than the pause has grown to.
    house.model.scripts = {"a": failing(ModelUnavailable("busy", after_seconds=1))}
    house.later(seconds=91)
    house.worker().advance(run_id)
    assert house.loaded(run_id).head.due == house.now + timedelta(seconds=2 * Limits().model_retry)
    house.model.scripts = {"a": [call("pay"), say("ok")]}
    house.later(seconds=61)
    house.worker().advance(run_id)
    assert house.loaded(run_id).head.model_pause is None


def test_siblings_that_fail_together_are_one_try() -> None:
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
def test_a_model_that_refuses_parks_the_run_with_the_reason(error: Exception) -> None:
    house = House(script=failing(error))
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.PARKED
    head = house.loaded(run_id).head
    assert str(error) in (head.note or "")
    assert head.due is None
    house.model.scripts = {"a": [say("ok")]}
    house.services.control.redrive(run_id)
    assert house.worker().advance(run_id) is Status.COMPLETED


def test_a_poisonous_run_is_parked_after_five_claims_without_progress() -> None:
    house = House(script=[say("ok")])
    run_id = house.start()
    for number in range(MAX_FRUITLESS_CLAIMS - 1):
        taken = house.store.claim(
            run_id, holder=f"o{number}", now=house.now, lease_until=house.now + timedelta(minutes=2)
        )
        assert taken
        house.later(minutes=3)
    if house.store.head(run_id):
        head = house.store.head(run_id)
        assert head
        house.store.progress(run_id, epoch=head.epoch, entry_count=1)
    for number in range(MAX_FRUITLESS_CLAIMS - 1):
        house.store.claim(
            run_id, holder=f"p{number}", now=house.now, lease_until=house.now + timedelta(minutes=2)
        )
        house.later(minutes=3)
    assert house.worker().advance(run_id) is Status.PARKED
    assert house.loaded(run_id).head.note == "5 claims without progress"
    assert house.services.control.redrive(run_id).stalls == 0
    assert house.worker().advance(run_id) is Status.COMPLETED


def test_claims_that_end_badly_but_get_somewhere_do_not_park_a_run() -> None:
    house = House(script=[say("ok")])
    run_id = house.start()
    for number in range(MAX_FRUITLESS_CLAIMS):
        house.store.claim(
            run_id, holder=f"o{number}", now=house.now, lease_until=house.now + timedelta(minutes=2)
        )
        house.later(minutes=3)
    assert house.worker().advance(run_id) is Status.COMPLETED


def test_a_corrupt_value_parks_the_run_instead_of_failing_for_ever() -> None:
    class Corrupt(InMemoryStore):
        broken = False

        def load(self, run_id: str) -> Snapshot | None:
            if self.broken:
                raise CorruptValue("the value of J#!start has changed")
            return super().load(run_id)

    store = Corrupt()
    house = House(script=[say("ok")], store=store)
    run_id = house.start()
    store.broken = True
    assert house.worker().advance(run_id) is Status.PARKED
    store.broken = False
    assert house.loaded(run_id).head.note == "the value of J#!start has changed"


def test_a_decision_that_comes_while_the_owner_works_is_not_slept_through() -> None:
    pay, ran = gated()
    house = House(script=[])

    @tool(effect="idempotent")
    def slow() -> str:
        """While it runs, a person decides."""
        if house.waiting(run_id):
            house.decide(run_id, Verdict.APPROVE)
        return "done"

    house.registry = Registry([Agent("a", tools=[pay, slow])])
    house.model.scripts = {"a": [call("pay"), say("ok")]}
    house.model.scripts = {"a": [calls(("pay", {}), ("slow", {})), say("ok")]}
    run_id = house.start()
    house.worker().advance(run_id)
    if house.waiting(run_id):
        house.decide(run_id, Verdict.APPROVE)
        house.worker().advance(run_id)
    assert house.loaded(run_id).head.status is Status.COMPLETED
    assert ran == ["x"]


def test_a_request_that_was_started_twice_is_one_run() -> None:
    house = House(script=[say("ok")])
    one = house.services.runs.start("a", "go", key="k")
    assert house.services.runs.start("a", "go", key="k").run_id == one.run_id
    with pytest.raises(KeyReused):
        house.services.runs.start("a", "stop", key="k")
    assert house.services.runs.start("a", "go").run_id != one.run_id


def test_what_runs_must_be_what_was_approved() -> None:
    pay, ran = gated()
    house = House(pay, script=[call("pay"), say("ok")])
    run_id = house.start()
    house.worker().advance(run_id)
    house.decide(run_id, Verdict.APPROVE)
    # Somebody with access to the table alters the stored decision.
    run = house.store._runs[run_id]
    register = run.entries["00000.000!2decision"]
    event = register.events[0]
    forged = event.model_copy(
        update={"decision": event.decision.model_copy(update={"arguments_hash": "0" * 64})}  # type: ignore[union-attr]
    )
    run.entries[register.key] = JournalEntry(register.key, (forged,))
    assert house.worker().advance(run_id) is Status.PARKED
    assert house.loaded(run_id).head.note == "0.0 is not what was approved"
    assert ran == []


def test_the_start_is_a_register_like_any_other() -> None:
    house = House(script=[say("ok")])
    run_id = house.start()
    snapshot = house.store.load(run_id)
    assert snapshot
    assert [register.key for register in snapshot.entries] == [START_KEY]
    assert isinstance(snapshot.head, RunHead)


@pytest.mark.parametrize("width", [1, 25, 26, 45, 46, 128])
def test_a_turn_of_any_width_is_asked_and_run_as_a_whole(width: int) -> None:
    pay, paid = gated()
    noted: list[str] = []

    @tool
    def note() -> str:
        """Note."""
        noted.append("x")
        return "noted"

    wide = calls(*[("pay", {})] * width)
    house = House(pay, note, script=[wide, calls(*[("note", {})] * width), say("ok")])
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.SUSPENDED
    assert len(house.waiting(run_id)) == len(house.store.notices(run_id)) == width
    for entry in house.waiting(run_id):
        answer = Decide(
            verdict=Verdict.APPROVE, approver="x@example.com", decided_by="me", via="api"
        )
        house.services.decisions.decide(run_id, entry.request_id, answer)
    assert house.worker().advance(run_id) is Status.COMPLETED
    assert (len(paid), len(noted)) == (width, width)
    assert house.loaded(run_id).head.intents == {}


def test_calls_beyond_the_limit_of_a_turn_are_refused_and_the_others_run() -> None:
    pay, _ = gated()
    house = House(pay, script=[calls(*[("pay", {})] * 130), say("ok")])
    run_id = house.start()
    house.worker().advance(run_id)
    assert len(house.waiting(run_id)) == 128
    refused = house.loaded(run_id).continuation.turns[0].calls[128].outcome
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

    house = House(script=[])
    house.registry = Registry([inner])
    house.model.scripts = {f"a{depth}": script for depth in range(40)}
    run_id = house.services.runs.start("a39", "go").run_id
    assert house.worker().advance(run_id) is Status.COMPLETED
    root = house.loaded(run_id).continuation
    assert max(len(path) for path, call_ in root.calls() if call_.child) == 32
    assert "agents may be nested 32 deep" in (root.outcome.content if root.outcome else "")


def test_huge_arguments_fit_into_the_notice_by_a_word_about_their_size() -> None:
    @tool(approval=Approval(["x@example.com"]))
    def file(text: str) -> str:
        """File."""
        return text

    house = House(file, script=[call("file", text="x" * 1_000_000), say("ok")])
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.SUSPENDED
    (notice,) = house.store.notices(run_id)
    assert len(notice.model_dump_json()) < 10_000
    assert "1000011 characters" in str(notice.arguments)


def test_a_run_that_cannot_even_be_loaded_is_parked_in_the_end() -> None:
    class Broken(InMemoryStore):
        def load(self, run_id: str) -> Snapshot | None:
            raise ZeroDivisionError(run_id)

    store = Broken()
    house = House(script=[say("ok")], store=store)
    run_id = house.start()
    for _ in range(2 * MAX_FRUITLESS_CLAIMS):
        with pytest.raises(ZeroDivisionError):
            house.worker().advance(run_id)
        house.later(minutes=3)
    assert house.worker().advance(run_id) is Status.PARKED
    head = store.head(run_id)
    assert head
    assert head.note == "11 claims came to nothing"


def test_a_tool_that_gained_an_argument_does_not_run_on_an_older_approval() -> None:
    ran: list[str] = []

    @tool(approval=Approval(["x@example.com"]))
    def pay(amount: int) -> str:
        """Pay."""
        return f"{amount}"

    house = House(pay, script=[call("pay", amount=5), say("ok")])
    run_id = house.start()
    house.worker().advance(run_id)

    @tool(approval=Approval(["x@example.com"]), name="pay")
    def pay_in(amount: int, currency: str = "gold") -> str:
        """Pay."""
        ran.append(currency)
        return f"{amount} {currency}"

    house.registry = Registry([Agent("a", tools=[pay_in])])
    house.decide(run_id, Verdict.APPROVE)
    assert house.worker().advance(run_id) is Status.PARKED
    note = house.loaded(run_id).head.note
    assert note == "the tool pay would now run with more than was approved"
    assert ran == []


def test_a_validator_that_fails_in_an_odd_way_is_told_to_the_model() -> None:
    def odd(_value: int) -> int:
        raise RuntimeError("odd")

    @tool
    def count(number: Annotated[int, AfterValidator(odd)]) -> int:
        """Count."""
        return number

    house = House(count, script=[call("count", number=1), say("ok")])
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.COMPLETED
    assert "odd" in str(house.model.requests[-1].messages[-1]["content"])


def test_a_failed_run_tells_its_whole_reason() -> None:
    house = House(script=lambda _request: Reply(fault="empty"))
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.FAILED
    loaded = house.loaded(run_id)
    error = run_view(loaded.head, loaded.continuation).error
    assert error == "the model gave no usable answer: empty, empty, empty"


def test_times_are_all_of_one_length_so_that_they_sort_as_texts() -> None:
    times = [NOW, NOW + timedelta(milliseconds=267), NOW + timedelta(seconds=1)]
    assert [moment(at) for at in times] == [
        "2026-11-22T12:00:00.000Z",
        "2026-11-22T12:00:00.267Z",
        "2026-11-22T12:00:01.000Z",
    ]


# -- what a reviewer's scripts found --------------------------------------------------------------


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def limited_child(crash: bool) -> House:
    """A child ends at its limit on a read call; its caller's next reply depends on that."""
    asked: list[str] = []

    def manager(request: ModelRequest) -> Reply:
        if request.messages[-1]["role"] != "tool":
            return call("child", input="x")
        asked.append("x")
        if crash and len(asked) == 1:
            raise KeyboardInterrupt
        return call("look") if len(asked) < 3 else say("ok")

    child = Agent("child", tools=[look], max_turns=1)
    house = House(script=[])
    manager_agent = Agent("a", tools=[child.as_tool(description="Looks."), look])
    house.registry = Registry([manager_agent])
    house.model.scripts = {"a": manager, "child": [call("look")]}
    return house


@pytest.mark.parametrize("crash", [False, True])
def test_a_child_that_ends_on_a_read_leaves_it_on_record_before_its_caller_replies(
    crash: bool,
) -> None:
    house = limited_child(crash)
    run_id = house.start()
    if crash:
        with pytest.raises(KeyboardInterrupt):
            house.worker().advance(run_id)
        house.later(minutes=3)
    assert house.worker().advance(run_id) is Status.COMPLETED
    assert house.loaded(run_id).continuation.outcome


def test_another_owners_reply_that_was_loaded_meanwhile_is_not_folded_twice() -> None:
    house = House(script=[])

    @tool(effect="idempotent")
    def slow() -> str:
        """Work."""
        return "done"

    def script(request: ModelRequest) -> Reply:
        # While this model call is under way, the lapsed owner's reply to the same turn is stored,
        # and something wakes the run, so that this owner loads it.
        if len(request.messages) == 1:
            return call("slow")
        event = ModelReplied(path="", turn=1, reply=say("the other owner's"), at=NOW)
        house.store.append(run_id, JournalEntry("00001!reply", (event,)))
        house.store.wake(run_id, now=NOW)
        house.later(seconds=50)
        return say("mine")

    house.registry = Registry([Agent("a", tools=[slow])])
    house.model.scripts = {"a": script}
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.COMPLETED
    outcome = house.loaded(run_id).continuation.outcome
    assert outcome
    assert outcome.content == "the other owner's"


def test_a_stale_owner_cannot_park_the_run_of_another() -> None:
    class Torn(InMemoryStore):
        broken = False

        def load(self, run_id: str) -> Snapshot | None:
            if self.broken:
                self.broken = False
                later = NOW + timedelta(minutes=9)
                self.claim(
                    run_id, holder="new", now=later, lease_until=later + timedelta(minutes=2)
                )
                raise CorruptValue("a form that this code does not know")
            return super().load(run_id)

    store = Torn()
    house = House(script=[say("ok")], store=store)
    run_id = house.start()
    store.broken = True
    assert house.worker().advance(run_id) is None
    head = store.head(run_id)
    assert head
    assert (head.status, head.owner) == (Status.RUNNING, "new")


def test_a_query_that_was_no_snapshot_is_made_again() -> None:
    class Torn(InMemoryStore):
        tears = 0

        def load(self, run_id: str) -> Snapshot | None:
            snapshot = super().load(run_id)
            if snapshot is None or self.tears == 0:
                return snapshot
            # What was written just before the last register was passed too early.
            self.tears -= 1
            kept = [each for each in snapshot.entries if not each.key.endswith("~outcome")]
            return Snapshot(snapshot.head, tuple(kept))

    @tool(effect="idempotent")
    def work() -> str:
        """Work."""
        return "done"

    store = Torn()
    house = House(work, script=[call("work"), say("ok")], store=store)
    run_id = house.start()
    house.worker().advance(run_id)
    store.tears = 3
    assert house.loaded(run_id).continuation.outcome
    store.tears = 4
    with pytest.raises(IllegalEvent):
        house.loaded(run_id)


def test_a_run_that_is_handed_on_again_and_again_without_progress_is_parked() -> None:
    house = House(script=[say("ok")])
    run_id = house.start()
    soon = NOW + timedelta(seconds=50)
    # The first claim finds the start, which is more than nothing.
    statuses = [
        house.worker().advance(run_id, deadline=soon) for _ in range(1 + MAX_FRUITLESS_CLAIMS)
    ]
    assert statuses == [*[Status.READY] * MAX_FRUITLESS_CLAIMS, Status.PARKED]


def test_no_tool_begins_after_a_cancel_however_wide_the_turn() -> None:
    began: list[str] = []
    house = House(script=[])

    @tool
    def work() -> str:
        """The first cancels the run; those that already run may finish."""
        began.append("x")
        if len(began) == 1:
            house.services.control.cancel(run_id)
        return "done"

    house.registry = Registry([Agent("a", tools=[work])])
    house.model.scripts = {"a": [calls(*[("work", {})] * 128), say("ok")]}
    run_id = house.start()
    assert house.worker(Limits(workers=4)).advance(run_id) is Status.CANCELLED
    assert len(began) <= 8
    assert house.loaded(run_id).head.intents == {}


def test_an_outcome_in_hand_survives_a_store_that_does_not_answer_for_a_while() -> None:
    class Flaky(InMemoryStore):
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

    store = Flaky()
    house = House(launch, script=[call("launch"), say("ok")], store=store)
    run_id = house.start()
    assert house.worker(pause=lambda _seconds: None).advance(run_id) is Status.COMPLETED
    assert (ran, store.failures) == (["x"], 3)


def test_a_process_that_leaves_a_running_tool_behind_is_ended() -> None:
    free, ended = Event(), Event()

    @tool
    def stuck() -> str:
        """Never come back in time."""
        house.later(seconds=200)
        free.wait(20)
        return "late"

    house = House(script=[])
    house.registry = Registry([Agent("a", tools=[stuck])])
    house.model.scripts = {"a": [call("stuck"), say("ok")]}
    run_id = house.start()
    deadline = NOW + timedelta(seconds=200)
    limits = Limits(lease_renewal=0.01)
    assert (
        house.worker(limits, abandon=ended.set).advance(run_id, deadline=deadline) is Status.READY
    )
    assert ended.is_set()
    free.set()


def test_operators_are_asked_about_a_lost_call_that_needed_no_approver() -> None:
    launch, ran = killed_once()
    house = House(launch, script=[call("launch"), say("ok")])
    run_id = house.start()
    with pytest.raises(KeyboardInterrupt):
        house.worker().advance(run_id)
    house.later(hours=1)
    assert house.worker(operators=["ops@example.com"]).advance(run_id) is Status.SUSPENDED
    (asked,) = house.waiting(run_id)
    assert asked.approvers == ("ops@example.com",)
    (notice,) = house.store.notices(run_id)
    assert notice.undelivered == ("email:ops@example.com",)
    answer = Decide(verdict=Verdict.APPROVE, approver="x@example.com", decided_by="me", via="api")
    with pytest.raises(Forbidden):
        house.services.decisions.decide(run_id, asked.request_id, answer)
    assert ran == ["x"]


def test_a_parked_run_can_be_cancelled() -> None:
    house = House(script=failing(ModelRefused("no such key")))
    run_id = house.start()
    assert house.worker().advance(run_id) is Status.PARKED
    assert house.services.control.cancel(run_id).status is Status.CANCELLED
    assert house.worker().advance(run_id) is None


def test_a_document_of_a_cancelled_run_does_not_revive_it() -> None:
    pay, ran = gated()
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


def test_calls_that_cannot_run_do_not_stand_in_the_way_of_those_that_can() -> None:
    pay, _ = gated()
    noted: list[str] = []

    @tool
    def note() -> str:
        """Note."""
        noted.append("x")
        return "noted"

    turn = calls(*[("gone", {})] * 5, ("note", {}))

    @tool
    def gone() -> str:
        """Be there when the model asks, and gone after it."""
        raise AssertionError

    house = House(gone, note, script=[turn, say("ok")])
    run_id = house.start()
    event = ModelReplied(
        path="",
        turn=0,
        reply=turn,
        calls=plan_calls(house.registry.startable["a"], (), turn),
        at=NOW,
    )
    house.store.append(run_id, JournalEntry("00000!reply", (event,)))
    house.registry = Registry([Agent("a", tools=[note, pay])])
    assert house.worker(Limits(workers=2)).advance(run_id) is Status.PARKED
    assert noted == ["x"]


def test_an_owner_that_lost_its_run_waits_for_its_tool_without_spinning() -> None:
    executor = Watched(8)

    @tool
    def overtaken() -> str:
        """While it runs, the lease ends and another owner takes the run."""
        house.later(minutes=3)
        lease_until = house.now + timedelta(minutes=2)
        assert house.store.claim(run_id, holder="other", now=house.now, lease_until=lease_until)
        executor.waited_often.wait(10)
        return "late"

    house = House(overtaken, script=[call("overtaken"), say("ok")])
    run_id = house.start()
    assert house.worker(executor=lambda: executor).advance(run_id) is None
    assert min(executor.waits[-2:]) > 1


def test_a_model_call_in_flight_is_waited_for_when_time_runs_out_and_not_paid_for_twice() -> None:
    executor = Watched(8)

    def slow(request: ModelRequest) -> Reply:
        house.later(seconds=150)
        executor.waited_often.wait(10)
        return say("ok")

    house = House(script=[])
    house.model.scripts = {"a": slow}
    run_id = house.start()
    worker = house.worker(executor=lambda: executor)
    assert worker.advance(run_id, deadline=NOW + timedelta(seconds=200)) is Status.COMPLETED
    assert house.loaded(run_id).continuation.turns[0].reply.content == "ok"


def test_a_decision_whose_load_failed_is_loaded_again_and_not_slept_through() -> None:
    class Flaky(InMemoryStore):
        fails = False

        def load(self, run_id: str) -> Snapshot | None:
            if self.fails:
                self.fails = False
                raise Retryable("throttled")
            return super().load(run_id)

    pay, ran = gated()
    store = Flaky()
    executor = Watched(8)

    @tool(effect="idempotent")
    def slow() -> str:
        """While it runs, a person decides, and the store does not answer for a moment."""
        for _ in range(200):
            if house.waiting(run_id):
                break
            sleep(0.01)
        house.decide(run_id, Verdict.APPROVE)
        store.fails = True
        house.later(seconds=60)
        executor.waited_often.clear()
        executor.waits.clear()
        executor.waited_often.wait(10)
        return "done"

    house = House(pay, slow, script=[calls(("pay", {}), ("slow", {})), say("ok")], store=store)
    run_id = house.start()
    worker = house.worker(executor=lambda: executor, pause=lambda _seconds: None)
    assert worker.advance(run_id) is Status.COMPLETED
    assert (ran, store.fails) == (["x"], False)


def test_an_outcome_that_a_lost_owner_left_unnoticed_is_found_before_anybody_is_asked() -> None:
    launch, _ = killed_once()
    begun: list[str] = []

    @tool(effect="idempotent")
    def slow() -> str:
        """While it runs, the owner of the other call ends, and its last word is on record."""
        begun.append("x")
        if len(begun) == 1:
            raise KeyboardInterrupt
        late = JournalEntry(call_key(parse_path("0.0"), "outcome"), (returned("0.0", "launched"),))
        house.store.append(run_id, late)
        house.later(minutes=30)
        return "done"

    script = [calls(("launch", {}), ("slow", {})), say("ok")]
    house = House(launch, slow, script=script)
    run_id = house.start()
    with pytest.raises(KeyboardInterrupt):
        house.worker().advance(run_id)
    house.later(minutes=3)
    assert house.worker().advance(run_id) is Status.COMPLETED
    assert not house.store.notices(run_id)
