"""What tells that a run was forgotten: each reason, and that none is given where none is."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    ScriptedModel,
    bootstrap,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.policy import Stage
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import Escalated, NoticeSent
from agent_continuations.core.fold import apply
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import JournalEntry, RunHead, Snapshot, Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import CorruptValue, ModelRefused, ModelUnavailable
from agent_continuations.operations import stuck_runs as liveness
from agent_continuations.operations.stuck_runs import stuck_runs, why_stuck
from agent_continuations.ports.model import ModelRequest
from agent_continuations.services.services import Services
from tests.unit.engine.test_runner import Recorded

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@tool(approval=Approval(["ann@example.com"], timeout_seconds=3600))
def pay() -> str:
    """Pay."""
    return "paid"


@tool
def launch() -> str:
    """Launch."""
    raise KeyboardInterrupt


def suspended(
    script: Any, *tools: Any, agent: Agent | None = None
) -> tuple[RunHead, Continuation, InMemoryStore]:
    """A run that was advanced as far as it goes."""
    store = InMemoryStore()
    agent = agent or Agent("a", tools=tools)
    registry = Registry([agent])
    model = ScriptedModel({"a": script, "boss": script, "b": script})
    queue = Recorded()
    services = Services.of(store=store, queue=queue, registry=lambda: registry, clock=lambda: NOW)
    run_id = services.runs.start(agent.name, "go").run_id
    runner = Runner(store=store, model=model, registry=registry, queue=queue, clock=lambda: NOW)
    with contextlib.suppress(KeyboardInterrupt):
        runner.advance(run_id)
    loaded = services.runs.load(run_id)
    return loaded.head, loaded.continuation, store


def asked() -> tuple[RunHead, Continuation]:
    head, root, _ = suspended([call("pay"), say("ok")], pay)
    assert (head.status, head.due) == (Status.SUSPENDED, NOW + timedelta(hours=1))
    return head, root


def changed(head: RunHead, **fields: Any) -> RunHead:
    return head.model_copy(update=fields)


def test_a_run_that_waits_for_a_person_until_a_deadline_is_not_stuck() -> None:
    assert why_stuck(*asked(), NOW) is None


def test_a_run_that_has_ended_is_not_stuck_whatever_else_it_says() -> None:
    head, root = asked()
    for status in Status:
        if status.terminal:
            assert why_stuck(changed(head, status=status, due=None), root, NOW) is None


@pytest.mark.parametrize("status", [Status.READY, Status.RUNNING])
def test_a_run_that_nobody_will_look_at_is_stuck(status: Status) -> None:
    head, root = asked()
    told = why_stuck(changed(head, status=status, due=None), root, NOW)
    assert told == f"{status}, and not due"


def test_a_run_that_nobody_looked_at_in_time_is_stuck() -> None:
    head, root = asked()
    late = NOW + timedelta(hours=2)
    assert "nobody has looked" in (why_stuck(head, root, late) or "")


def test_a_ready_run_that_is_due_in_an_hour_only_is_stuck() -> None:
    head, root = asked()
    assert "ready, but not due" in (why_stuck(changed(head, status=Status.READY), root, NOW) or "")


def test_a_deadline_that_no_timer_knows_is_stuck() -> None:
    head, root = asked()
    assert "waits for" in (why_stuck(changed(head, due=None), root, NOW) or "")


def test_a_lost_call_that_no_timer_will_ask_about_is_stuck() -> None:
    head, root, _ = suspended([call("launch"), say("ok")], launch)
    assert head.intents
    lost = changed(head, status=Status.SUSPENDED, due=None)
    assert "waits for" in (why_stuck(lost, root, NOW) or "")
    deadline = NOW + timedelta(seconds=Limits().default_tool_timeout + Limits().clock_skew)
    assert why_stuck(changed(lost, due=deadline), root, NOW) is None


def test_a_wake_that_was_slept_through_is_stuck() -> None:
    head, root, _ = suspended([call("launch"), say("ok")])
    before = root.model_copy(update={"turns": (), "outcome": None})
    asleep = changed(head, status=Status.SUSPENDED, due=None)
    assert why_stuck(asleep, before, NOW) == "could go on, but is not due before ever"


def test_a_question_that_nobody_is_told_of_is_stuck() -> None:
    head, root = asked()
    [(_, waiting)] = root.calls()
    assert waiting.approval
    later = NOW + timedelta(hours=1)
    escalated = Escalated(
        path="0.0",
        request_id=waiting.approval.request_id,
        stage=Stage(approvers=("bob@example.com",)),
        expires_at=later,
        at=NOW,
    )
    untold = apply(root, escalated)
    assert why_stuck(head, untold, NOW) == f"could go on, but is not due before {later}"
    told = NoticeSent(
        path="0.0",
        request_id=waiting.approval.request_id,
        occasion="asked",
        approvers=("bob@example.com",),
        at=NOW,
    )
    assert why_stuck(head, apply(untold, told), NOW) is None


def test_a_pause_of_the_model_and_a_tool_that_is_gone_are_reasons_to_wait() -> None:
    def busy(_: Any) -> Any:
        raise ModelUnavailable("busy", 30)

    head, root, _ = suspended(busy)
    assert isinstance(head.model_pause, ModelBackoff)
    assert why_stuck(head, root, NOW) is None
    head, root, _ = suspended([calls(("pay", {}), ("gone", {})), say("ok")], pay)
    assert why_stuck(changed(head, note="the tool gone is gone"), root, NOW) is None


def test_a_pause_that_a_refusal_has_ended_is_waited_for_no_longer() -> None:
    def scripted(request: ModelRequest) -> Reply:
        if request.agent == "boss":
            return calls(("pay", {}), ("ask", {"input": "x"}))
        raise ModelRefused("the key has expired")

    boss = Agent("boss", tools=[pay, Agent("b").as_tool(name="ask", description="Ask.")])
    head, root, _ = suspended(scripted, agent=boss)
    assert head.note
    pause = ModelBackoff(until=NOW + timedelta(seconds=30), tries=1, reason="busy")
    assert why_stuck(changed(head, model_pause=pause), root, NOW) is None


def test_what_could_go_on_is_looked_at_within_the_time_of_a_lost_owner() -> None:
    head, root, _ = suspended([call("launch"), say("ok")])
    before = root.model_copy(update={"turns": (), "outcome": None})
    longest = timedelta(seconds=Limits().default_tool_timeout + Limits().clock_skew)
    asleep = changed(head, status=Status.SUSPENDED, due=NOW + longest)
    assert why_stuck(asleep, before, NOW) is None
    later = changed(asleep, due=NOW + longest + timedelta(seconds=1))
    assert "could go on" in (why_stuck(later, before, NOW) or "")


def test_a_pause_of_the_model_that_is_over_is_nothing_to_wait_for() -> None:
    head, root, _ = suspended([call("launch"), say("ok")])
    before = root.model_copy(update={"turns": (), "outcome": None})
    over = ModelBackoff(until=NOW - timedelta(hours=1), tries=1, reason="busy")
    due = NOW + timedelta(minutes=5)
    asleep = changed(head, status=Status.SUSPENDED, due=due, model_pause=over)
    assert why_stuck(asleep, before, NOW) is None


def test_every_run_of_a_table_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Forgetful(InMemoryStore):
        """Runs that lost what would wake them, or what they are."""

        def load(self, run_id: str) -> Snapshot | None:
            found = super().load(run_id)
            if found and found.head.agent == "corrupt":
                raise CorruptValue("it is not what was written")
            if found and found.head.agent == "forgotten":
                return Snapshot(changed(found.head, due=None), found.entries)
            return found

    head, _, kept = suspended([call("pay"), say("ok")], pay)
    start = next(each for each in kept.load(head.run_id).entries if each.key == START_KEY)  # type: ignore[union-attr]
    store = Forgetful()
    for agent in ("a", "forgotten", "corrupt"):
        status = {"run_id": f"{agent:x<24}", "agent": agent, "status": Status.READY, "due": NOW}
        store.create(changed(head, **status, epoch=0), JournalEntry(START_KEY, start.events))
    found = dict(stuck_runs(store, NOW))
    assert found == {
        f"{'forgotten':x<24}": "ready, and not due",
        f"{'corrupt':x<24}": "cannot be loaded: it is not what was written",
    }
    monkeypatch.setattr(bootstrap, "store", lambda: store)
    monkeypatch.setattr(liveness, "utc_now", lambda: NOW)
    assert liveness.main() == 1
    assert "2 runs are stuck" in capsys.readouterr().out
