"""Runs that move between stores as documents: nothing is lost, and a run acts in one place."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from itsdangerous import Signer

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    LocalRunner,
    Question,
    ScriptedModel,
    Sleep,
    WaitFor,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.core.events import Started
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.notice import Notice
from agent_continuations.core.path import parse_path
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import JournalEntry, RunHead, Snapshot, Status
from agent_continuations.errors import Conflict, ContinuationError, Forbidden, Invalid, NotFound
from agent_continuations.local.document import DOCUMENT_FORM
from agent_continuations.ports.model import ModelRequest
from agent_continuations.ports.store import Store, read_run
from agent_continuations.services.audit import document_faults
from agent_continuations.views.run import RunView
from tests.simulation.aws import Direct, SimulatedS3
from tests.simulation.dynamodb import SimulatedDynamoDB
from tests.support.local_harness import ANN, BOB, NOW, kinds

KEY = "k" * 32
APPROVERS = Approval([ANN, BOB])


def table_store(table: SimulatedDynamoDB | None = None) -> Store:
    """A store on DynamoDB, as a deployment has it."""
    wire: Any = Direct()
    client: Any = table or SimulatedDynamoDB(wire)
    s3: Any = SimulatedS3(wire)
    return DynamoDBStore(dynamodb=client, s3=s3, table="t", bucket="b")


class Places:
    """Runners in several processes, each with a store of its own; what their tools did is kept."""

    def __init__(self) -> None:
        self.now = NOW
        self.paid: list[str] = []

        @tool(approval=APPROVERS)
        def pay(to: str) -> str:
            """Pay."""
            self.paid.append(to)
            return f"paid {to}"

        @tool
        def post(to: str) -> str:
            """Send a letter."""
            self.paid.append(f"letter to {to}")
            return "posted"

        worker = Agent("worker", tools=[pay, post, nap, ask, wait_paid])
        inner = worker.as_tool(name="inside", description="Work in this run.")
        spawned = worker.as_tool(name="apart", description="Work in a run.", spawn=True)
        boss = Agent("boss", tools=[pay, post, nap, ask, wait_paid, inner, spawned])
        self.agents = [boss, worker]

    def place(self, *replies: Reply, worker: Any = (), key: str = KEY) -> LocalRunner:
        """A runner with a new store."""
        model = ScriptedModel({"boss": list(replies), "worker": worker})
        return LocalRunner(self.agents, model, signing_key=key, clock=lambda: self.now)

    def two(self, *replies: Reply, worker: Any = ()) -> tuple[LocalRunner, LocalRunner]:
        return self.place(*replies, worker=worker), self.place(*replies, worker=worker)


@tool(effect="read")
def nap(minutes: int) -> Sleep:
    """Wait."""
    return Sleep(seconds=60 * minutes)


@tool(effect="read", answer=str)
def ask(what: str) -> Question:
    """Ask."""
    return Question(what, ask=[ANN])


@tool(effect="read")
def wait_paid(order: str) -> WaitFor:
    """Wait for a payment."""
    return WaitFor("paid", correlation=order, timeout_seconds=3600)


def faults(runner: LocalRunner, run_id: str) -> list[str]:
    return document_faults(runner.audit(run_id).model_dump(mode="json"))


def changed(document: str, **fields: Any) -> str:
    return json.dumps(json.loads(document) | fields)


PAY = [call("pay", to="bob"), say("done")]


# -- nothing is lost -------------------------------------------------------------------------------


def test_the_requester_may_not_approve_elsewhere_either() -> None:
    here, there = (places := Places()).two(*PAY)
    run = here.start("boss", "go", requester=ANN)
    there.load(here.dump(run.run_id))
    request_id = run.waiting[0].request_id
    with pytest.raises(Forbidden):
        there.decide(run.run_id, request_id, "approve", approver=ANN)
    assert there.decide(run.run_id, request_id, "approve", approver=BOB).result == "done"
    assert places.paid == ["bob"]


def test_the_audit_trail_goes_on_where_it_ended() -> None:
    here, there = Places().two(*PAY)
    run = here.start("boss", "go")
    before = here.audit(run.run_id)
    there.load(here.dump(run.run_id))
    assert there.audit(run.run_id) == before
    there.decide(run.run_id, run.waiting[0].request_id, "reject", approver=ANN)
    assert len(there.audit(run.run_id).items) == 2
    assert faults(there, run.run_id) == []


def test_a_paused_run_stays_paused_until_it_is_resumed() -> None:
    here, there = (places := Places()).two(call("nap", minutes=1), call("post", to="bob"), say("x"))
    run = here.start("boss", "go")
    here.pause(run.run_id)
    places.now += timedelta(minutes=5)
    loaded = there.load(here.dump(run.run_id))
    assert (loaded.status, loaded.paused, places.paid) == (Status.SUSPENDED, True, [])
    assert there.resume(run.run_id).result == "x"


@pytest.mark.parametrize("depth", [1, 2])
def test_child_runs_move_with_the_run_that_started_them(depth: int) -> None:
    places = Places()

    def spawning(name: str, inner: Agent) -> Agent:
        return Agent(name, tools=[inner.as_tool(name="down", description="x", spawn=True)])

    lowest = places.agents[1]
    chain = [lowest]
    for number in range(depth):
        chain.append(spawning(f"level{number}", chain[-1]))
    scripts: dict[str, Any] = {
        agent.name: [call("down", input="x"), say(f"{agent.name} done")] for agent in chain[1:]
    }
    scripts["worker"] = [call("pay", to="bob"), say("paid")]

    def place() -> LocalRunner:
        return LocalRunner(chain, ScriptedModel(scripts), signing_key=KEY, clock=lambda: places.now)

    here, there = place(), place()
    run = here.start(chain[-1].name, "go")
    loaded = there.load(here.dump(run.run_id))
    assert loaded.waiting == run.waiting
    assert kinds(loaded) == ["child"] * depth + ["approval"]
    child = loaded.waiting[-1].run_id
    assert child
    with pytest.raises(Conflict, match="document 1"):
        here.decide(run.run_id, run.waiting[-1].request_id, "approve", approver=ANN)
    with pytest.raises(Conflict, match="document 1"):
        here.cancel(child)
    done = there.decide(run.run_id, run.waiting[-1].request_id, "approve", approver=ANN)
    assert (done.result, places.paid) == (f"level{depth - 1} done", ["bob"])
    assert faults(there, child) == []


def test_child_runs_that_have_ended_can_still_be_read_elsewhere() -> None:
    here, there = Places().two(
        calls(("apart", {"input": "x"}), ("pay", {"to": "bob"})), say("x"), worker=[say("short")]
    )
    run = here.start("boss", "go")
    call_ = here.continuation(run.run_id).turns[0].calls[0]
    assert call_.outcome
    child = call_.wait.run_id  # type: ignore[union-attr]
    before = here.get(child)
    there.load(here.dump(run.run_id))
    assert there.get(child) == before
    assert there.record(run.run_id).model_dump().keys()
    with pytest.raises(Conflict):
        here.message(child, "act")


def test_events_and_messages_that_wait_are_there() -> None:
    here, there = Places().two(
        call("nap", minutes=5), call("wait_paid", order="o-1"), say("x"), say("y")
    )
    run = here.start("boss", "go")
    here.signal(run.run_id, "paid", {"sum": 3}, correlation="o-1")
    here.message(run.run_id, "and hurry")
    there.load(here.dump(run.run_id))
    old, new = here.continuation(run.run_id), there.continuation(run.run_id)
    assert (new.signals, new.messages) == (old.signals, old.messages)
    assert new.signals and new.messages


def test_the_idempotency_key_still_finds_the_run() -> None:
    here, there = (places := Places()).two(*PAY)
    run = here.start("boss", "go", key="order 1")
    there.load(here.dump(run.run_id))
    assert there.start("boss", "go", key="order 1").run_id == run.run_id
    assert here.start("boss", "go", key="order 1").status is Status.MOVED
    assert places.paid == []


def test_a_blocked_run_goes_on_elsewhere() -> None:
    here, there = Places().two(*PAY)
    broken = LocalRunner([Agent("boss")], ScriptedModel({}), signing_key=KEY)
    run = broken.start("boss", "go")
    assert (run.status, run.error is None) == (Status.SUSPENDED, False)
    loaded = there.load(broken.dump(run.run_id))
    assert (loaded.status, loaded.error) == (Status.SUSPENDED, None)
    assert [each.kind for each in loaded.waiting] == ["approval"]
    with pytest.raises(Conflict, match="handed over with document 1"):
        broken.redrive(run.run_id)
    assert here.store.head(run.run_id) is None


def test_a_completed_run_is_continued_by_a_message_in_one_place_only() -> None:
    here, there = Places().two(say("first"), say("second"))
    run = here.start("boss", "go")
    loaded = there.load(here.dump(run.run_id))
    assert (loaded.result, loaded.updated_at) == ("first", run.updated_at)
    with pytest.raises(Conflict, match="document 1"):
        here.message(run.run_id, "more")
    assert there.message(run.run_id, "more").result == "second"


def test_an_answer_that_a_person_owes_to_a_notice_is_asked_for_again() -> None:
    here, there = Places().two(*PAY)
    run = here.start("boss", "go")
    [sent] = here.store.notices(run.run_id)
    late = {"undelivered": (f"email:{ANN}",), "due": None, "failure": "refused", "attempts": 24}
    here.store.update_notice(sent.model_copy(update=late))
    there.load(here.dump(run.run_id))
    [again] = there.store.notices(run.run_id)
    assert (again.due, again.undelivered) == (NOW, (f"email:{ANN}",))


def test_a_notice_that_nobody_has_delivered_is_due_where_its_run_is_loaded() -> None:
    here, there = (places := Places()).two(*PAY)
    run = here.start("boss", "go")
    document = here.dump(run.run_id)
    places.now += timedelta(days=1)
    there.load(document)
    [notice] = there.store.notices(run.run_id)
    assert (notice.due, notice.attempts) == (places.now, 0)
    assert notice.answerers == notice.approvers == (ANN, BOB)


def test_a_notice_that_was_delivered_is_not_sent_again_elsewhere() -> None:
    here, there = Places().two(*PAY)
    run = here.start("boss", "go")
    [sent] = here.store.notices(run.run_id)
    done = sent.model_copy(update={"delivered": (f"email:{ANN}",), "due": None, "attempts": 1})
    here.store.update_notice(done)
    there.load(here.dump(run.run_id))
    assert there.store.notices(run.run_id) == [done]


def test_a_timer_of_a_child_run_that_passed_on_the_way_wakes_it_elsewhere() -> None:
    worker = [call("nap", minutes=1), say("rested")]
    here, there = (places := Places()).two(call("apart", input="x"), say("x"), worker=worker)
    run = here.start("boss", "go")
    document = here.dump(run.run_id)
    places.now += timedelta(minutes=5)
    assert there.load(document).result == "x"


# -- one place -------------------------------------------------------------------------------------

Act = Callable[[LocalRunner, RunView], object]
ACTS: dict[str, Act] = {
    "decide": lambda runner, run: runner.decide(
        run.run_id, run.waiting[0].request_id, "approve", approver=ANN
    ),
    "reassign": lambda runner, run: runner.reassign(
        run.run_id, run.waiting[0].request_id, "eve@example.com", approver=ANN
    ),
    "answer": lambda runner, run: runner.answer(
        run.run_id, run.waiting[1].request_id, "yes", approver=ANN
    ),
    "message": lambda runner, run: runner.message(run.run_id, "hello"),
    "signal": lambda runner, run: runner.signal(run.run_id, "paid", correlation="o-1"),
    "pause": lambda runner, run: runner.pause(run.run_id),
    "resume": lambda runner, run: runner.resume(run.run_id),
    "cancel": lambda runner, run: runner.cancel(run.run_id),
    "redrive": lambda runner, run: runner.redrive(run.run_id),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_run_that_was_dumped_refuses_whatever_would_change_it(act: str) -> None:
    three = calls(
        ("pay", {"to": "bob"}), ("ask", {"what": "Really?"}), ("wait_paid", {"order": "o-1"})
    )
    here = (places := Places()).place(three, say("done"))
    run = here.start("boss", "go")
    document = here.dump(run.run_id)
    before = here.continuation(run.run_id)
    with pytest.raises(Conflict, match="handed over with document 1; load that document here"):
        ACTS[act](here, run)
    places.now += timedelta(minutes=5)
    moved = here.advance(run.run_id)
    assert (moved.status, moved.waiting, places.paid) == (Status.MOVED, (), [])
    assert here.continuation(run.run_id) == before
    assert here.timeline(run.run_id) and here.audit(run.run_id) and here.messages(run.run_id)
    assert [each.kind for each in here.load(document).waiting] == [
        each.kind for each in run.waiting
    ]


def test_a_run_comes_back_with_what_happened_elsewhere() -> None:
    here, there = (places := Places()).two(*PAY[:1], call("pay", to="eve"), say("done"))
    run = here.start("boss", "go")
    first = here.dump(run.run_id)
    away = there.load(first)
    away = there.decide(run.run_id, away.waiting[0].request_id, "approve", approver=ANN)
    second = there.dump(run.run_id)
    with pytest.raises(Conflict, match="document 2"):
        there.message(run.run_id, "hello")
    back = here.load(second)
    assert back.waiting == away.waiting
    assert here.timeline(run.run_id) == there.timeline(run.run_id)
    back = here.decide(run.run_id, back.waiting[0].request_id, "approve", approver=ANN)
    assert (back.result, places.paid) == ("done", ["bob", "eve"])
    for runner in (here, there):
        with pytest.raises(Conflict, match="document 1 is too old"):
            runner.load(first)


def test_loading_a_document_again_changes_nothing() -> None:
    here, there = (places := Places()).two(*PAY)
    run = here.start("boss", "go")
    document = here.dump(run.run_id)
    there.load(document)
    done = there.decide(run.run_id, run.waiting[0].request_id, "approve", approver=ANN)
    assert there.load(document) == done
    assert places.paid == ["bob"]


def test_a_lost_document_can_be_written_again() -> None:
    here, there = Places().two(*PAY)
    run = here.start("boss", "go")
    assert json.loads(here.dump(run.run_id)) == json.loads(here.dump(run.run_id))
    assert there.load(here.dump(run.run_id)).waiting == run.waiting


def test_a_run_that_continues_in_two_places_is_not_merged() -> None:
    here, there = Places().two(*PAY)
    run = here.start("boss", "go")
    document = here.dump(run.run_id)
    here.load(document)
    there.load(document)
    with pytest.raises(Conflict, match="continues here"):
        here.load(there.dump(run.run_id))
    assert here.get(run.run_id).waiting == run.waiting


def test_a_cancelled_run_is_copied() -> None:
    here, there = Places().two(*PAY)
    run = here.start("boss", "go")
    here.cancel(run.run_id)
    assert there.load(here.dump(run.run_id)).status is Status.CANCELLED
    assert here.get(run.run_id).status is Status.CANCELLED
    assert here.load(there.dump(run.run_id)).status is Status.CANCELLED


def test_a_child_run_does_not_leave_without_its_parent() -> None:
    here = Places().place(call("apart", input="x"), say("x"), worker=PAY)
    run = here.start("boss", "go")
    child = run.waiting[0].run_id
    assert child
    with pytest.raises(Invalid, match=run.run_id):
        here.dump(child)
    assert here.get(run.run_id) == run


def test_an_unknown_run_cannot_be_dumped() -> None:
    with pytest.raises(NotFound):
        Places().place().dump("unknown")


# -- runs at work ----------------------------------------------------------------------------------


def test_a_running_run_cannot_be_dumped() -> None:
    here = (places := Places()).place(*PAY)
    run = here.start("boss", "go")
    lease_until = places.now + timedelta(minutes=2)
    here.store.claim(run.run_id, holder="x", now=places.now, lease_until=lease_until)
    with pytest.raises(Conflict, match="is running"):
        here.dump(run.run_id)
    places.now += timedelta(minutes=3)
    here.advance(run.run_id)
    here.dump(run.run_id)


def test_a_run_whose_lost_tool_may_still_run_cannot_be_dumped_before_it_is_in_doubt() -> None:
    places = Places()

    @tool(approval=APPROVERS)
    def launch() -> str:
        """Launch."""
        raise KeyboardInterrupt  # the process is killed while the tool runs

    def place() -> LocalRunner:
        model = ScriptedModel({"a": [call("launch"), say("x")]})
        agent = Agent("a", tools=[launch])
        return LocalRunner([agent], model, signing_key=KEY, clock=lambda: places.now)

    here, there = place(), place()
    run = here.start("a", "go")
    with pytest.raises(KeyboardInterrupt):
        here.decide(run.run_id, run.waiting[0].request_id, "approve", approver=ANN)
    places.now += timedelta(minutes=5)
    assert here.advance(run.run_id).status is Status.SUSPENDED
    with pytest.raises(Conflict, match="may still be running"):
        here.dump(run.run_id)
    places.now += timedelta(minutes=20)
    run = here.advance(run.run_id)
    assert kinds(run) == ["doubt"]
    loaded = there.load(here.dump(run.run_id))
    assert loaded.waiting == run.waiting
    done = there.decide(run.run_id, run.waiting[0].request_id, "approve", approver=ANN)
    assert done.result == "x"


class ContendedStore(InMemoryStore):
    """Another execution claims the run at the moment it is handed over, so many times."""

    times = 0

    def hand_over(self, run_id: str, *, epoch: int, number: int) -> RunHead | None:
        head = self.head(run_id)
        if head and head.parent is None and self.times:
            self.times -= 1
            return None
        return super().hand_over(run_id, epoch=epoch, number=number)


@pytest.mark.parametrize("times", [1, 99])
def test_a_run_with_child_runs_is_handed_over_as_a_whole_or_not_at_all(times: int) -> None:
    places = Places()
    store = ContendedStore()
    script = {"boss": [call("apart", input="x"), say("done")], "worker": PAY}
    here = LocalRunner(
        places.agents, ScriptedModel(script), store=store, signing_key=KEY, clock=lambda: NOW
    )
    run = here.start("boss", "go")
    store.times = times
    if times == 1:
        here.dump(run.run_id)
        assert here.get(run.run_id).status is Status.MOVED
        return
    with pytest.raises(Conflict, match="changes too often"):
        here.dump(run.run_id)
    done = here.decide(run.run_id, run.waiting[-1].request_id, "approve", approver=ANN)
    assert done.result == "done"


class CrashingStore(InMemoryStore):
    """The process is killed when it stores a run, after so many runs."""

    runs_left = 1

    def restore(self, snapshot: Snapshot, notices: Sequence[Notice]) -> RunHead:
        if not self.runs_left:
            raise KeyboardInterrupt
        self.runs_left -= 1
        return super().restore(snapshot, notices)


def test_a_load_that_was_interrupted_is_completed_by_loading_again() -> None:
    places = Places()
    here = places.place(call("apart", input="x"), say("done"), worker=PAY)
    run = here.start("boss", "go")
    document = here.dump(run.run_id)
    store = CrashingStore()
    script = {"boss": [call("apart", input="x"), say("done")], "worker": PAY}
    there = LocalRunner(places.agents, ScriptedModel(script), store=store, signing_key=KEY)
    with pytest.raises(KeyboardInterrupt):
        there.load(document)
    # What is stored already may run, and waits for its child run, which is not there yet.
    assert kinds(there.advance(run.run_id)) == ["child"]
    store.runs_left = 2
    assert kinds(there.load(document)) == ["child", "approval"]
    assert there.decide(run.run_id, run.waiting[-1].request_id, "approve", approver=ANN).result


class CrashingTable(SimulatedDynamoDB):
    """The process is killed after so many items were put."""

    puts_left = 99

    def put_item(self, **request: Any) -> dict[str, Any]:
        if not self.puts_left:
            raise KeyboardInterrupt
        self.puts_left -= 1
        return super().put_item(**request)


@pytest.mark.parametrize("puts", range(5))
def test_a_run_that_is_stored_in_part_is_not_there_yet(puts: int) -> None:
    here = (places := Places()).place(*PAY)
    run = here.start("boss", "go")
    document = here.dump(run.run_id)
    wire: Any = Direct()
    table = CrashingTable(wire)
    store = table_store(table)
    there = LocalRunner(
        places.agents, ScriptedModel({"boss": PAY}), store=store, signing_key=KEY, clock=lambda: NOW
    )
    table.puts_left = puts
    with pytest.raises(KeyboardInterrupt):
        there.load(document)
    table.puts_left = 99
    assert store.head(run.run_id) is None
    assert store.load(run.run_id) is None
    assert there.load(document).waiting == run.waiting


# -- documents -------------------------------------------------------------------------------------


def test_a_document_names_its_run_and_its_number() -> None:
    here, there = Places().two(*PAY)
    run = here.start("boss", "go")
    document = json.loads(here.dump(run.run_id))
    assert {name: document[name] for name in ("version", "run_id", "agent", "number")} == {
        "version": DOCUMENT_FORM,
        "run_id": run.run_id,
        "agent": "boss",
        "number": 1,
    }
    assert document["dumped_at"].startswith("2026-11-26T12:00:00")
    there.load(json.dumps(document))
    assert json.loads(there.dump(run.run_id))["number"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "aaaa"},
        {"agent": "worker"},
        {"number": 9},
        {"dumped_at": "2020-01-01T00:00:00Z"},
        {"runs": []},
        {"profiles": []},
        {"more": 1},
        {"version": DOCUMENT_FORM - 1},
        {"version": DOCUMENT_FORM + 1},
        {"version": str(DOCUMENT_FORM)},
        {"version": None},
        {"signature": ""},
        {"signature": None},
    ],
    ids=str,
)
def test_every_part_of_a_document_is_signed(change: dict[str, Any]) -> None:
    here, there = Places().two(*PAY)
    document = here.dump(here.start("boss", "go").run_id)
    with pytest.raises(Invalid):
        there.load(changed(document, **change))
    there.load(document)


def test_a_signature_is_not_valid_for_another_form() -> None:
    here, there = Places().two(*PAY)
    document = json.loads(here.dump(here.start("boss", "go").run_id))
    signature = document.pop("signature")
    with pytest.raises(Invalid, match="signature"):
        there.load(json.dumps({"version": 3, "state": document, "signature": signature}))


# -- any run, moved at each suspension -------------------------------------------------------------


def script_of(seed: int) -> Callable[[ModelRequest], Reply]:
    """Random turns, the same for the same seed and turn."""

    def reply(request: ModelRequest) -> Reply:
        turn = sum(each["role"] == "assistant" for each in request.messages)
        depth = 0 if request.agent == "boss" else 1
        draw = Random(f"{seed} {request.agent} {turn}")
        if turn == 3 - depth or (depth and draw.random() < 0.2):
            return say(f"{request.agent} done")
        choices: list[tuple[str, dict[str, Any]]] = [
            ("pay", {"to": draw.choice(["bob", "eve"])}),
            ("post", {"to": draw.choice(["bob", "eve"])}),
            ("nap", {"minutes": draw.randint(1, 90)}),
            ("ask", {"what": "Which?"}),
            ("wait_paid", {"order": draw.choice(["o-1", "o-2"])}),
        ]
        if not depth:
            choices += [("inside", {"input": "x"}), ("apart", {"input": "x"})] * 2
        return calls(*draw.choices(choices, k=draw.randint(1, 3)))

    return reply


class Play:
    """A run that people answer at random. It moves between two stores, or stays where it is."""

    def __init__(self, seed: int, *, moves: bool) -> None:
        self.places = Places()
        self.moves = moves
        self.draw = Random(seed)
        script = script_of(seed)
        models = [ScriptedModel({"boss": script, "worker": script}) for _ in range(2)]
        self.runner, self.other = (
            LocalRunner(
                self.places.agents,
                model,
                store=store,
                signing_key=KEY,
                clock=lambda: self.places.now,
            )
            for model, store in zip(models, (InMemoryStore(), table_store()), strict=True)
        )
        self.run = self.runner.start("boss", "go", key="k", requester=BOB)

    def move(self) -> None:
        if self.moves:
            self.other.load(self.runner.dump(self.run.run_id))
            self.runner, self.other = self.other, self.runner
        self.advance()

    def advance(self) -> None:
        """Advance the run and its child runs, as wake-up messages of all of them would."""
        for each in [self.run.run_id, *(each.run_id for each in self.run.waiting if each.run_id)]:
            self.runner.advance(each)
        self.run = self.runner.get(self.run.run_id)

    def step(self) -> None:
        """One action of a person, of the outside world, or of time."""
        run_id, draw = self.run.run_id, self.draw
        acts: list[Callable[[], object]] = [
            lambda: setattr(self.places, "now", self.places.now + timedelta(minutes=7)),
            lambda: self.runner.pause(run_id),
            lambda: self.runner.resume(run_id),
            lambda: self.runner.message(run_id, "hello"),
            lambda: self.runner.signal(run_id, "paid", 1, correlation=draw.choice(["o-1", "o-2"])),
        ]
        verdict = draw.choice(["approve", "approve", "reject"])
        for each in self.run.waiting:
            if each.kind == "approval":
                request_id = each.request_id
                acts += [
                    lambda request_id=request_id: self.runner.decide(  # type: ignore[misc]
                        run_id, request_id, verdict, approver=ANN
                    )
                ] * 3
            if each.kind == "question":
                request_id = each.request_id
                acts += [
                    lambda request_id=request_id: self.runner.answer(run_id, request_id, "this")  # type: ignore[misc]
                ] * 2
        act = draw.choice(acts)
        self.places.now += timedelta(seconds=1)
        try:
            act()
        except ContinuationError as error:
            self.refused = str(error)
        self.advance()

    def views(self) -> dict[str, Any]:
        """Everything that a person can see of the run and its child runs."""
        runner, run_id = self.runner, self.run.run_id
        run_ids = [run_id, *(each.run_id for each in self.run.waiting if each.run_id)]
        return {
            each: (
                runner.get(each).model_dump(exclude={"updated_at"}),
                runner.timeline(each),
                runner.audit(each),
                runner.messages(each),
                faults(runner, each),
            )
            for each in run_ids
        } | {"paid": list(self.places.paid)}


@pytest.mark.parametrize("seed", range(20))
def test_a_run_that_moves_at_each_suspension_goes_the_same_way(seed: int) -> None:
    still, moving = Play(seed, moves=False), Play(seed, moves=True)
    for _ in range(25):
        for play in (still, moving):
            play.move()
        assert moving.views() == still.views()
        for play in (still, moving):
            play.step()
    ids = [each for each in still.views() if each != "paid"]
    assert all(moving.views()[each][-1] == [] for each in ids)


# -- earlier forms ---------------------------------------------------------------------------------


def test_a_run_of_an_earlier_form_does_not_replace_one_that_was_handed_over() -> None:
    here = Places().place(*PAY)
    run = here.start("boss", "go")
    here.dump(run.run_id)
    found = read_run(here.store, run.run_id)
    assert found
    earlier = found[0].head.model_copy(
        update={"status": Status.READY, "moves": 0, "moved_from": None}
    )
    start = JournalEntry(START_KEY, (Started(continuation=found[1], at=NOW),))
    assert here.store.restore(Snapshot(earlier, (start,)), []).status is Status.MOVED


def test_a_run_of_an_earlier_form_does_not_wait_for_child_runs_that_were_left_behind() -> None:
    here, there = Places().two(call("apart", input="x"), say("done"), worker=PAY)
    run = here.start("boss", "go")
    found = read_run(here.store, run.run_id)
    assert found
    state = {
        "run_id": run.run_id,
        "agent": "boss",
        "status": "suspended",
        "created_at": NOW.isoformat(),
        "metadata": {},
        "note": None,
        "continuation": found[1].model_dump(mode="json"),
    }
    content = canonical_json(state).encode()
    signature = Signer(KEY, salt="agent-continuations.document").get_signature(content).decode()
    document = json.dumps({"version": 3, "state": state, "signature": signature})
    assert there.load(document).result == "done"
    outcome = there.continuation(run.run_id).call_at(parse_path("0.0")).outcome
    assert outcome
    assert "was not moved" in outcome.content
