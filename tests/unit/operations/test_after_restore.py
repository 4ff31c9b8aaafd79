"""After a restore of the table: what may have run is asked about, and runs no second time."""

import copy
from datetime import timedelta
from typing import Any

import pytest

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    Sleep,
    ToolContext,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.adapters.models.scripted import Script, ScriptedModel
from agent_continuations.adapters.stores.memory.record import RunRecord
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import Tool
from agent_continuations.bootstrap import services as deployed
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.inbound import Restore
from agent_continuations.core.path import parse_path
from agent_continuations.core.run import Snapshot, Status
from agent_continuations.errors import Conflict, CorruptValue
from agent_continuations.operations import after_restore
from agent_continuations.operations.after_restore import RunAfterRestore, clear_run, mark_runs
from tests.support.engine_harness import NOW, Harness

OPERATOR = "x@example.com"
MARK = ["--since", "2026-11-22T12:00:00Z"]


class Table(InMemoryStore):
    """A store that can be set back to an earlier time."""

    def backup(self) -> dict[str, RunRecord]:
        return copy.deepcopy(self._runs)

    def put_back(self, backup: dict[str, RunRecord]) -> None:
        self._runs = copy.deepcopy(backup)


class Restorable(Harness):
    """A harness whose table can be lost, restored to the time of the last backup, and marked."""

    def __init__(self, *tools: Tool, script: Script) -> None:
        self.table = Table()
        super().__init__(*tools, script=script, store=self.table)
        self.script = script
        self.back_up()

    def back_up(self) -> None:
        self.saved, self.saved_at = self.table.backup(), self.now

    def advance(self, run_id: str) -> Status | None:
        return self.worker(operators=(OPERATOR,)).advance(run_id)

    def lose_and_restore(self, **more: Any) -> list[RunAfterRestore]:
        """Lose all since the backup; the model gives its replies once more."""
        self.later(hours=1)
        self.table.put_back(self.saved)
        self.model = ScriptedModel({"a": self.script})
        marked = self.mark(**more)
        self.later(hours=1)
        return marked

    def mark(self, **more: Any) -> list[RunAfterRestore]:
        restore = Restore(since=self.saved_at, until=self.now, at=self.now)
        return list(mark_runs(self.store, restore, **{"operators": [OPERATOR], **more}))

    def kinds(self, run_id: str) -> list[str]:
        return [each.kind for each in self.waiting(run_id)]


def launch_with(effect: Any = "once", approval: Approval | None = None) -> tuple[Tool, list[str]]:
    ran: list[str] = []

    @tool(effect=effect, approval=approval)
    def launch(context: ToolContext) -> str:
        """Launch."""
        ran.append(context.idempotency_key)
        return "done"

    return launch, ran


GATED = Approval([OPERATOR])


def lost_launch(approval: Approval | None = None) -> tuple[Restorable, str, list[str]]:
    """A run whose tool has run, and whose table is from before its model replied."""
    launch, ran = launch_with(approval=approval)
    harness = Restorable(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    harness.back_up()
    harness.advance(run_id)
    if approval:
        harness.decide(run_id, Verdict.APPROVE)
        harness.advance(run_id)
    assert len(ran) == 1
    harness.lose_and_restore()
    return harness, run_id, ran


def test_a_call_that_the_model_makes_again_is_asked_about_and_does_not_run() -> None:
    harness, run_id, ran = lost_launch()
    assert harness.advance(run_id) is Status.SUSPENDED
    assert harness.kinds(run_id) == ["doubt"]
    harness.decide(run_id, Verdict.APPROVE, "it is in orbit")
    assert harness.advance(run_id) is Status.COMPLETED
    assert "it is in orbit" in str(harness.model.requests[-1].messages[-1]["content"])
    assert len(ran) == 1


def test_a_call_that_did_not_happen_runs_and_is_asked_about_once() -> None:
    harness, run_id, ran = lost_launch()
    harness.advance(run_id)
    harness.decide(run_id, Verdict.REJECT)
    assert harness.advance(run_id) is Status.COMPLETED
    assert len(ran) == 2
    assert ran[0] == ran[1]  # the receiving system may still see that it is the same


def test_whether_a_call_happened_is_asked_before_whether_it_may_run() -> None:
    harness, run_id, ran = lost_launch(GATED)
    harness.worker(operators=("operator@example.com",)).advance(run_id)
    assert harness.kinds(run_id) == ["doubt"]
    assert harness.waiting(run_id)[0].approvers == (OPERATOR,)
    harness.decide(run_id, Verdict.REJECT)
    assert harness.advance(run_id) is Status.SUSPENDED
    assert harness.kinds(run_id) == ["approval"]
    assert len(ran) == 1
    harness.decide(run_id, Verdict.APPROVE)
    assert harness.advance(run_id) is Status.COMPLETED
    assert len(ran) == 2


def awaiting_approval() -> tuple[Restorable, str, list[str], str]:
    launch, ran = launch_with(approval=GATED)
    harness = Restorable(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    harness.advance(run_id)
    return harness, run_id, ran, harness.waiting(run_id)[0].request_id


@pytest.mark.parametrize("verdict", Verdict)
def test_an_open_request_takes_no_answer_before_the_doubt_is_settled(verdict: Verdict) -> None:
    harness, run_id, ran, request_id = awaiting_approval()
    harness.back_up()
    harness.decide(run_id, Verdict.APPROVE)
    harness.advance(run_id)
    harness.lose_and_restore()
    answer = Decide(verdict=verdict, approver=OPERATOR, via="api")
    with pytest.raises(Conflict, match="may have run already"):  # people are not asked yet
        harness.services.decisions.decide(run_id, request_id, answer)
    harness.advance(run_id)
    assert harness.kinds(run_id) == ["doubt"]
    with pytest.raises(Conflict, match="may have run already"):
        harness.services.decisions.decide(run_id, request_id, answer)
    harness.decide(run_id, Verdict.APPROVE, "it is in orbit")
    assert harness.advance(run_id) is Status.COMPLETED
    assert len(ran) == 1


def test_an_approved_call_does_not_run_before_the_doubt_is_settled() -> None:
    harness, run_id, ran, _ = awaiting_approval()
    harness.decide(run_id, Verdict.APPROVE)
    harness.back_up()
    harness.advance(run_id)
    harness.lose_and_restore()
    harness.advance(run_id)
    assert (harness.kinds(run_id), len(ran)) == (["doubt"], 1)
    harness.decide(run_id, Verdict.REJECT)
    assert harness.advance(run_id) is Status.COMPLETED
    assert len(ran) == 2


def killed_launch() -> tuple[Restorable, str, list[str]]:
    """A run whose process ended in the first attempt of its tool."""
    ran: list[str] = []

    @tool
    def launch() -> str:
        """Launch."""
        ran.append("x")
        if len(ran) == 1:
            raise KeyboardInterrupt
        return "done"

    harness = Restorable(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.advance(run_id)
    return harness, run_id, ran


def test_people_are_asked_once_no_process_of_the_lost_table_can_be_running() -> None:
    harness, run_id, ran = killed_launch()
    harness.back_up()
    harness.lose_and_restore()
    harness.later(minutes=-60)  # the time of the restore
    assert harness.advance(run_id) is Status.SUSPENDED
    assert harness.kinds(run_id) == ["timer"]
    due = harness.loaded(run_id).head.due
    assert due
    harness.now = due
    harness.advance(run_id)
    assert (harness.kinds(run_id), len(ran)) == (["doubt"], 1)


def test_a_doubt_of_before_the_restore_is_asked_about_again() -> None:
    harness, run_id, ran = killed_launch()
    harness.later(hours=1)
    harness.advance(run_id)
    (first,) = harness.waiting(run_id)
    harness.back_up()
    harness.decide(run_id, Verdict.REJECT)  # lost, with the attempt that follows
    assert harness.advance(run_id) is Status.COMPLETED
    harness.lose_and_restore()
    assert harness.advance(run_id) is Status.SUSPENDED
    (again,) = harness.waiting(run_id)
    assert (again.kind, again.request_id != first.request_id) == ("doubt", True)
    # The link in the first message is still valid, and its answer settles only what it asks about.
    answer = Decide(verdict=Verdict.REJECT, approver=OPERATOR, via="link")
    harness.services.decisions.decide(run_id, first.request_id, answer)
    assert harness.advance(run_id) is Status.SUSPENDED
    harness.decide(run_id, Verdict.APPROVE)
    assert harness.advance(run_id) is Status.COMPLETED
    assert ran == ["x", "x"]


@pytest.mark.parametrize("spawn", [False, True])
def test_calls_of_sub_agents_and_of_child_runs_that_are_started_again_are_asked_about(
    spawn: bool,
) -> None:
    launch, ran = launch_with()
    inner = Agent("b", tools=[launch])
    harness = Restorable(script=[])
    boss = Agent("a", tools=[inner.as_tool(name="ask", description="Ask.", spawn=spawn)])
    harness.registry = Registry([boss])
    scripts: dict[str, Script] = {
        "a": [call("ask", input="go"), say("ok")],
        "b": [call("launch"), say("ok")],
    }
    harness.model = ScriptedModel(scripts)
    run_id = harness.start()
    harness.back_up()

    def advance_all() -> None:
        for _ in range(3):
            for head in harness.store.list_runs("default").heads:
                harness.advance(head.run_id)

    advance_all()
    assert harness.loaded(run_id).head.status is Status.COMPLETED
    harness.lose_and_restore()
    harness.model = ScriptedModel(scripts)
    advance_all()
    waits = harness.services.runs.waiting(harness.loaded(run_id))
    assert [(each.kind, each.path) for each in waits if each.kind != "child"] == [
        ("doubt", "0.0/0.0")
    ]
    assert len(ran) == 1


def test_a_parked_run_is_asked_about_when_it_is_redriven() -> None:
    launch, ran = launch_with()
    harness = Restorable(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    agents, harness.registry = harness.registry, Registry([])
    assert harness.advance(run_id) is Status.PARKED
    harness.back_up()
    harness.registry = agents
    harness.services.control.redrive(run_id)
    harness.advance(run_id)
    (marked,) = harness.lose_and_restore()
    assert marked.marked
    assert harness.loaded(run_id).head.status is Status.PARKED
    harness.services.control.redrive(run_id)
    harness.advance(run_id)
    assert (harness.kinds(run_id), len(ran)) == (["doubt"], 1)


def test_a_message_to_a_completed_run_runs_nothing_twice() -> None:
    launch, ran = launch_with()
    harness = Restorable(launch, script=[say("hello"), call("launch"), say("ok")])
    run_id = harness.start()
    harness.advance(run_id)
    harness.back_up()
    harness.services.inbound.message(run_id, "launch", key="m")
    harness.advance(run_id)
    assert len(ran) == 1
    harness.lose_and_restore()
    assert harness.loaded(run_id).head.status is Status.COMPLETED
    harness.services.inbound.message(run_id, "launch", key="m")
    harness.advance(run_id)
    assert (harness.kinds(run_id), len(ran)) == (["doubt"], 1)


def test_a_paused_run_stays_paused() -> None:
    launch, _ = launch_with()
    harness = Restorable(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    harness.services.control.pause(run_id)
    harness.back_up()
    harness.lose_and_restore()
    assert harness.advance(run_id) is Status.SUSPENDED
    assert harness.model.requests == []


def test_an_idempotent_tool_runs_again_with_its_key_and_nobody_is_asked() -> None:
    launch, ran = launch_with("idempotent")
    harness = Restorable(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    harness.back_up()
    harness.advance(run_id)
    harness.lose_and_restore()
    assert harness.advance(run_id) is Status.COMPLETED
    assert len(ran) == 2
    assert len(set(ran)) == 1


def test_a_tool_that_returned_a_wait_is_not_asked_about() -> None:
    @tool
    def nap() -> Sleep:
        """Sleep."""
        return Sleep(seconds=60)

    harness = Restorable(nap, script=[call("nap"), say("ok")])
    run_id = harness.start()
    harness.advance(run_id)
    harness.back_up()
    (marked,) = harness.lose_and_restore()
    assert marked.in_doubt == ()
    assert harness.advance(run_id) is Status.COMPLETED


def test_a_run_that_a_person_has_checked_asks_no_more() -> None:
    harness, run_id, ran = lost_launch()
    assert clear_run(harness.store, run_id, by=OPERATOR, now=harness.now)
    assert not clear_run(harness.store, run_id, by=OPERATOR, now=harness.now)
    assert not clear_run(harness.store, "aaaa", by=OPERATOR, now=harness.now)
    assert harness.advance(run_id) is Status.COMPLETED
    assert len(ran) == 2


def test_a_second_restore_asks_again() -> None:
    harness, run_id, ran = lost_launch()
    clear_run(harness.store, run_id, by=OPERATOR, now=harness.now)
    harness.back_up()
    harness.lose_and_restore()
    harness.advance(run_id)
    assert (harness.kinds(run_id), len(ran)) == (["doubt"], 1)


# -- the command -------------------------------------------------------------------------------


def test_each_run_is_marked_once() -> None:
    harness = Restorable(script=[])
    run_ids = {harness.start() for _ in range(120)}  # more than a page
    harness.back_up()
    first = harness.lose_and_restore()
    before = harness.table.backup()
    assert {each.run_id for each in first if each.marked} == run_ids
    assert [each.marked for each in harness.mark()] == [False] * 120
    assert harness.table.backup() == before


def test_the_command_goes_on_after_a_crash() -> None:
    harness = Restorable(script=[])
    for _ in range(3):
        harness.start()
    harness.later(hours=1)
    restore = Restore(since=NOW, until=harness.now, at=harness.now)
    assert next(mark_runs(harness.store, restore, operators=[])).marked
    harness.later(seconds=1)
    assert sorted(each.marked for each in harness.mark()) == [False, True, True]


def test_runs_that_are_over_or_younger_than_the_loss_are_left_alone() -> None:
    harness = Restorable(script=[])
    cancelled = harness.start()
    harness.services.control.cancel(cancelled)
    harness.advance(cancelled)
    harness.later(hours=1)
    until = harness.now
    harness.later(minutes=1)
    harness.start()
    restore = Restore(since=NOW, until=until, at=harness.now)
    assert list(mark_runs(harness.store, restore, operators=[])) == []


def test_a_call_that_nobody_can_be_asked_about_is_named() -> None:
    @tool
    def launch() -> str:
        """Launch."""
        raise KeyboardInterrupt

    @tool(approval=GATED)
    def pay() -> str:
        """Pay."""
        return "paid"

    harness = Restorable(launch, pay, script=[calls(("launch", {}), ("pay", {})), say("ok")])
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.advance(run_id)
    harness.back_up()
    (found,) = harness.lose_and_restore(operators=[], dry_run=True)
    assert not found.marked
    assert found.in_doubt == ("launch at 0.0", "pay at 0.1")
    assert found.unasked == ("launch at 0.0",)
    (found,) = harness.mark()
    assert found.unasked == ()
    assert found.marked


def test_a_run_that_cannot_be_loaded_is_marked_and_named() -> None:
    class Broken(Table):
        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            del partial
            raise CorruptValue(f"{run_id} is not readable")

    harness = Restorable(script=[])
    harness.table = harness.store = Broken()
    harness.services.runs.store = harness.store
    run_id = harness.start()
    harness.later(hours=1)
    (found,) = harness.mark()
    assert found == RunAfterRestore(
        run_id,
        Status.READY,
        marked=True,
        faults=(f"cannot be loaded: {run_id} is not readable",),
    )


def test_a_child_run_that_the_backup_lacks_is_named() -> None:
    inner = Agent("b")
    harness = Restorable(script=[call("ask", input="go"), say("ok")])
    boss = Agent("a", tools=[inner.as_tool(name="ask", description="Ask.", spawn=True)])
    harness.registry = Registry([boss])
    run_id = harness.start()
    harness.advance(run_id)
    child = harness.loaded(run_id).continuation.call_at(parse_path("0.0")).child_run
    assert child
    harness.saved = {each: run for each, run in harness.table.backup().items() if each != child}
    (found,) = harness.lose_and_restore()
    assert found.faults == (f"its child run {child} at 0.0 is lost",)


def command(
    patch: pytest.MonkeyPatch, harness: Harness, *options: str, operators: str = OPERATOR
) -> int:
    patch.setenv("OPERATORS", operators)
    patch.setattr(deployed, "store", lambda: harness.store)
    patch.setattr(after_restore, "utc_now", lambda: harness.now)
    return after_restore.main(list(options))


def test_the_command_prints_a_line_for_each_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harness, run_id, _, _ = awaiting_approval()
    harness.later(hours=1)
    assert command(monkeypatch, harness, *MARK, "--dry-run") == 0
    assert command(monkeypatch, harness, *MARK) == 0
    harness.later(hours=1)
    assert command(monkeypatch, harness, *MARK) == 0
    assert command(monkeypatch, harness, "--clear", run_id, "--by", "ann") == 0
    assert command(monkeypatch, harness, "--clear", run_id, "--by", "ann") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{run_id}  suspended; not marked; may have run: launch at 0.0",
        "runs: 1, marked now: 0, need a person: 0",
        f"{run_id}  suspended; marked; may have run: launch at 0.0",
        "runs: 1, marked now: 1, need a person: 0",
        f"{run_id}  ready; marked before; may have run: launch at 0.0",
        "runs: 1, marked now: 0, need a person: 0",
        f"{run_id}  cleared",
        f"{run_id}  nothing to clear",
    ]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--since", "yesterday"],
        ["--since", "2026-11-22T12:00:00"],
        [*MARK, "--until", "2026-11-22T11:00:00Z"],
        [*MARK, "--until", "2026-11-22T20:00:00Z"],
        ["--clear", "aaaa"],
        ["--clear", "aaaa", "--by", "ann", *MARK],
    ],
)
def test_options_that_make_no_sense_are_refused(
    monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    harness = Restorable(script=[])
    harness.now = NOW + timedelta(hours=1)
    with pytest.raises(SystemExit) as refused:
        command(monkeypatch, harness, *options)
    assert refused.value.code == 2


def test_a_run_that_has_lost_the_end_of_its_child_run_gets_it_again() -> None:
    inner = Agent("b")
    harness = Restorable(script=[call("ask", input="go"), say("ok")])
    harness.model.scripts = {**harness.model.scripts, "b": [say("worked")]}
    boss = Agent("a", tools=[inner.as_tool(name="ask", description="Ask.", spawn=True)])
    harness.registry = Registry([boss])
    run_id = harness.start()
    harness.advance(run_id)
    before = harness.table.backup()
    child = harness.loaded(run_id).continuation.call_at(parse_path("0.0")).child_run
    assert child
    harness.advance(child)
    harness.saved = {**harness.table.backup(), run_id: before[run_id]}
    harness.lose_and_restore()
    harness.advance(run_id)
    call_ = harness.loaded(run_id).continuation.call_at(parse_path("0.0"))
    assert call_.outcome
    assert call_.outcome.content == "worked"
    assert harness.loaded(run_id).head.status is Status.COMPLETED
