"""Detection of stuck runs: each reason, and runs that are not stuck."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    ScriptedModel,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.policy import Stage
from agent_continuations.core.backoff import ModelBackoff, Obstacle
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import Escalated, NoticeSent
from agent_continuations.core.fold import apply
from agent_continuations.core.keys import START_KEY
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import JournalEntry, RunHead, Snapshot, Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import CorruptValue, ModelRefused, ModelUnavailable
from agent_continuations.operations import stuck_runs as stuck_runs_module
from agent_continuations.operations.stuck_runs import stuck_runs, why_stuck
from agent_continuations.ports.model import ModelRequest
from agent_continuations.services.services import Services
from tests.support.recording_queue import RecordingQueue

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@tool(approval=Approval(["ann@example.com"], timeout_seconds=3600))
def pay() -> str:
    """Pay."""
    return "paid"


@tool
def launch() -> str:
    """Launch."""
    raise KeyboardInterrupt


def start_run(
    script: Any, *tools: Any, agent: Agent | None = None
) -> tuple[RunHead, Continuation, InMemoryStore]:
    """Starts a run and advances it as far as possible."""
    store = InMemoryStore()
    agent = agent or Agent("a", tools=tools)
    registry = Registry([agent])
    model = ScriptedModel({"a": script, "boss": script, "b": script})
    queue = RecordingQueue()
    services = Services.of(store=store, queue=queue, registry=lambda: registry, clock=lambda: NOW)
    run_id = services.runs.start(agent.name, "go").run_id
    runner = Runner(store=store, model=model, registry=registry, queue=queue, clock=lambda: NOW)
    with contextlib.suppress(KeyboardInterrupt):
        runner.advance(run_id)
    loaded = services.runs.load(run_id)
    return loaded.head, loaded.continuation, store


def run_waiting_for_approval() -> tuple[RunHead, Continuation]:
    head, root, _ = start_run([call("pay"), say("ok")], pay)
    assert (head.status, head.due) == (Status.SUSPENDED, NOW + timedelta(hours=1))
    return head, root


def changed_head(head: RunHead, **fields: Any) -> RunHead:
    return head.model_copy(update=fields)


def test_a_run_waiting_for_a_person_until_a_deadline_is_not_stuck() -> None:
    assert why_stuck(*run_waiting_for_approval(), NOW) is None


def test_an_ended_run_is_not_stuck() -> None:
    head, root = run_waiting_for_approval()
    for status in Status:
        if status.ended:
            assert why_stuck(changed_head(head, status=status, due=None), root, NOW) is None


@pytest.mark.parametrize("status", [Status.READY, Status.RUNNING])
def test_an_active_run_without_a_due_time_is_stuck(status: Status) -> None:
    head, root = run_waiting_for_approval()
    reason = why_stuck(changed_head(head, status=status, due=None), root, NOW)
    assert reason == f"{status}, but has no due time"


def test_an_overdue_run_is_stuck() -> None:
    head, root = run_waiting_for_approval()
    late = NOW + timedelta(hours=2)
    assert "was not picked up" in (why_stuck(head, root, late) or "")


def test_a_ready_run_that_is_due_in_an_hour_is_stuck() -> None:
    head, root = run_waiting_for_approval()
    assert "ready, but not due" in (
        why_stuck(changed_head(head, status=Status.READY), root, NOW) or ""
    )


def test_a_deadline_without_a_due_time_is_stuck() -> None:
    head, root = run_waiting_for_approval()
    assert "waits until" in (why_stuck(changed_head(head, due=None), root, NOW) or "")


def test_an_abandoned_call_without_a_due_time_is_stuck() -> None:
    head, root, _ = start_run([call("launch"), say("ok")], launch)
    assert head.intents
    abandoned = changed_head(head, status=Status.SUSPENDED, due=None)
    assert "waits until" in (why_stuck(abandoned, root, NOW) or "")
    deadline = NOW + timedelta(seconds=Limits().default_tool_timeout + Limits().clock_skew)
    assert why_stuck(changed_head(abandoned, due=deadline), root, NOW) is None


def test_a_doubt_with_nobody_to_ask_is_blocked_and_not_overdue() -> None:
    head, root, _ = start_run([call("launch"), say("ok")], launch)
    found_at = NOW + timedelta(hours=2)  # the doubt began long before
    obstacle = Obstacle(since=found_at, until=found_at + timedelta(minutes=5), tries=1)
    note = "nobody can be asked"
    blocked = changed_head(
        head, status=Status.SUSPENDED, due=obstacle.until, obstacle=obstacle, note=note
    )
    assert why_stuck(blocked, root, found_at) is None
    late = found_at + timedelta(minutes=16)
    assert "blocked since" in (
        why_stuck(changed_head(blocked, due=late + timedelta(minutes=5)), root, late) or ""
    )


def test_a_suspended_run_with_work_to_do_is_stuck() -> None:
    head, root, _ = start_run([call("launch"), say("ok")])
    before = root.model_copy(update={"turns": (), "outcome": None})
    suspended_head = changed_head(head, status=Status.SUSPENDED, due=None)
    assert why_stuck(suspended_head, before, NOW) == "has work to do, but has no due time"


def test_a_request_without_a_notice_is_stuck() -> None:
    head, root = run_waiting_for_approval()
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
    unnotified = apply(root, escalated)
    assert why_stuck(head, unnotified, NOW) == f"has work to do, but is not due before {later}"
    notice_sent = NoticeSent(
        path="0.0",
        request_id=waiting.approval.request_id,
        occasion="asked",
        approvers=("bob@example.com",),
        at=NOW,
    )
    assert why_stuck(head, apply(unnotified, notice_sent), NOW) is None


def test_a_model_back_off_or_a_missing_tool_is_not_stuck() -> None:
    def busy(_: Any) -> Any:
        raise ModelUnavailable("busy", 30)

    head, root, _ = start_run(busy)
    assert isinstance(head.model_pause, ModelBackoff)
    assert why_stuck(head, root, NOW) is None
    head, root, _ = start_run([calls(("pay", {}), ("gone", {})), say("ok")], pay)
    assert why_stuck(changed_head(head, note="the tool gone is gone"), root, NOW) is None


def test_a_model_back_off_that_a_refusal_ended_is_ignored() -> None:
    def scripted(request: ModelRequest) -> Reply:
        if request.agent == "boss":
            return calls(("pay", {}), ("ask", {"input": "x"}))
        raise ModelRefused("the key has expired")

    boss = Agent("boss", tools=[pay, Agent("b").as_tool(name="ask", description="Ask.")])
    head, root, _ = start_run(scripted, agent=boss)
    assert head.note
    pause = ModelBackoff(until=NOW + timedelta(seconds=30), tries=1, reason="busy")
    assert why_stuck(changed_head(head, model_pause=pause), root, NOW) is None


def test_a_run_with_work_is_due_by_the_deadline_of_the_old_lease_holder() -> None:
    head, root, _ = start_run([call("launch"), say("ok")])
    before = root.model_copy(update={"turns": (), "outcome": None})
    longest = timedelta(seconds=Limits().default_tool_timeout + Limits().clock_skew)
    suspended_head = changed_head(head, status=Status.SUSPENDED, due=NOW + longest)
    assert why_stuck(suspended_head, before, NOW) is None
    later = changed_head(suspended_head, due=NOW + longest + timedelta(seconds=1))
    assert "has work to do" in (why_stuck(later, before, NOW) or "")


def test_a_model_back_off_that_has_passed_is_ignored() -> None:
    head, root, _ = start_run([call("launch"), say("ok")])
    before = root.model_copy(update={"turns": (), "outcome": None})
    over = ModelBackoff(until=NOW - timedelta(hours=1), tries=1, reason="busy")
    due = NOW + timedelta(minutes=5)
    suspended_head = changed_head(head, status=Status.SUSPENDED, due=due, model_pause=over)
    assert why_stuck(suspended_head, before, NOW) is None


def test_every_run_of_the_table_is_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class LossyStore(InMemoryStore):
        """A store that lost a due time, and a continuation."""

        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            found = super().load(run_id, partial=partial)
            if found and found.head.agent == "corrupt":
                raise CorruptValue("it is not what was written")
            if found and found.head.agent == "forgotten":
                return Snapshot(changed_head(found.head, due=None), found.entries)
            return found

    head, _, kept = start_run([call("pay"), say("ok")], pay)
    start = next(each for each in kept.load(head.run_id).entries if each.key == START_KEY)  # type: ignore[union-attr]
    store = LossyStore()
    for agent in ("a", "forgotten", "corrupt"):
        due = (
            None
            if agent == "forgotten"
            else NOW - timedelta(hours=1)
            if agent == "corrupt"
            else NOW
        )
        status = {"run_id": f"{agent:x<24}", "agent": agent, "status": Status.READY, "due": due}
        store.create(changed_head(head, **status, epoch=0), JournalEntry(START_KEY, start.events))
    found = dict(stuck_runs(store, NOW))
    assert found == {
        f"{'forgotten':x<24}": "ready, but has no due time",
        f"{'corrupt':x<24}": "cannot be loaded: it is not what was written",
    }
    monkeypatch.setattr("agent_continuations.bootstrap.services.store", lambda: store)
    monkeypatch.setattr(stuck_runs_module, "utc_now", lambda: NOW)
    assert stuck_runs_module.main() == 1
    assert "stuck runs: 2" in capsys.readouterr().out
