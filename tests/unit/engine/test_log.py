"""The log lines of the engine: each fact once, with its place, and no text at level INFO."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from agent_continuations import (
    Agent,
    Approval,
    Escalation,
    InMemoryStore,
    Job,
    Pending,
    Stage,
    ToolContext,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.replies import Reply, ToolRequest
from agent_continuations.core.run import Snapshot, Status
from agent_continuations.engine import log
from agent_continuations.engine.context import Limits
from agent_continuations.errors import ModelRefused, ModelUnavailable, Retryable
from agent_continuations.ports.model import ModelRequest
from tests.support.engine_harness import NOW, Harness
from tests.support.local_harness import ANN, BOB, LocalHarness, ask_delivery, nap, wait_paid
from tests.support.log_lines import LogLines, details, log_lines
from tests.support.policy_harness import policy_harness
from tests.unit.services.test_grants import again, agree, granting

INFO, WARNING = logging.INFO, logging.WARNING
APPROVER = "x@example.com"


@pytest.fixture
def lines() -> Iterator[LogLines]:
    with log_lines(INFO) as found:
        yield found


@tool(approval=Approval([APPROVER, "y@example.com"]))
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="read")
def look(page: int) -> str:
    """Look."""
    return f"page {page}"


def without_durations(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for each in found:
        taken = each.pop("duration_ms")
        assert isinstance(taken, int)
        assert taken >= 0
    return found


def test_a_run_with_an_approval_leaves_these_lines(lines: LogLines) -> None:
    harness = Harness(look, pay, script=[call("look", page=1), call("pay", amount=7), say("ok")])
    run_id = harness.start()
    worker = harness.worker()
    worker.advance(run_id)
    assert lines.messages() == [
        "model replied",
        "tool returned",
        "model replied",
        "people asked",
        "run suspended",
    ]
    harness.decide(run_id, Verdict.APPROVE)
    worker.advance(run_id)
    assert lines.messages()[5:] == [
        "request decided",
        "tool returned",
        "model replied",
        "run ended",
    ]
    place = {"run_id": run_id, "agent": "a"}
    replies = without_durations(lines.named("model replied"))
    assert [each["calls"] for each in replies] == [["look"], ["pay"], []]
    assert replies[2] == {
        **place,
        "path": "",
        "turn": 2,
        "model": None,
        "input_tokens": 1,
        "output_tokens": 1,
        "calls": [],
        "fault": None,
    }
    tools = without_durations(lines.named("tool returned"))
    assert tools == [
        {**place, "path": "0.0", "tool": "look", "outcome": "ok", "attempt": 1},
        {**place, "path": "1.0", "tool": "pay", "outcome": "ok", "attempt": 1},
    ]
    [asked] = lines.named("people asked")
    request_id = asked.pop("request_id")
    assert asked == {
        **place,
        "path": "1.0",
        "tool": "pay",
        "kind": "approval",
        "occasion": "asked",
        "approvers": 2,
        "expires_at": "2026-11-29T12:00:00+00:00",
    }
    assert lines.named("request decided") == [
        {
            **place,
            "path": "1.0",
            "tool": "pay",
            "kind": "approval",
            "request_id": request_id,
            "decision": "approve",
            "via": "api",
        }
    ]
    assert lines.named("run ended") == [{**place, "path": None, "status": "completed", "due": None}]
    assert {each.levelno for each in lines.records} == {INFO}
    assert {each.name for each in lines.records} == {"agent_continuations.engine.log"}


def test_the_place_of_a_line_is_the_innermost_agents(lines: LogLines) -> None:
    clerk = Agent("clerk", tools=[look])
    boss = Agent("boss", tools=[clerk.as_tool(description="Looks.")])
    script = {
        "boss": [calls(*[("clerk", {"input": "look"})] * 2), say("ok")],
        "clerk": [call("look", page=1), say("seen")],
    }
    LocalHarness(agents=[boss], scripts=script).runner.start("boss", "go")
    replies = [(each["agent"], each["path"]) for each in lines.named("model replied")]
    assert replies[0] == replies[-1] == ("boss", "")
    assert sorted(replies[1:-1]) == [("clerk", "0.0")] * 2 + [("clerk", "0.1")] * 2
    looked = [(each["agent"], each["path"]) for each in lines.named("tool returned")]
    assert sorted(looked) == [("clerk", "0.0/0.0"), ("clerk", "0.1/0.0")]


def test_a_duration_is_that_of_the_call_itself(
    lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("agent_continuations.engine.in_flight.perf_counter", lambda: now[0])

    @tool(effect="idempotent")
    def work() -> str:
        """Work."""
        now[0] += 1.5
        return "done"

    def model(request: ModelRequest) -> Reply:
        now[0] += 0.25
        return call("work") if len(request.messages) == 1 else say("ok")

    harness = Harness(work, script=model)
    harness.worker().advance(harness.start())
    assert [each["duration_ms"] for each in lines.named("tool returned")] == [1500]
    assert [each["duration_ms"] for each in lines.named("model replied")] == [250, 250]


# -- failures --------------------------------------------------------------------------------------


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize("error", [KeyError("the cause"), SystemExit(3), UnprintableError()])
def test_a_failing_tool_leaves_its_traceback_once(lines: LogLines, error: BaseException) -> None:
    @tool(effect="idempotent")
    def break_it() -> str:
        """Break."""
        raise error

    harness = Harness(break_it, script=[call("break_it"), say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id)
    [raised] = [each for each in lines.records if each.getMessage() == "tool raised"]
    assert raised.levelno == WARNING
    assert "in break_it" in logging.Formatter().format(raised)
    place = {"run_id": run_id, "agent": "a", "path": "0.0", "tool": "break_it", "attempt": 1}
    assert details(raised) == place
    assert without_durations(lines.named("tool returned")) == [{**place, "outcome": "error"}]
    outcome = harness.loaded(run_id).continuation.turns[0].calls[0].outcome
    assert outcome
    assert outcome.content.startswith("The tool failed. ")
    assert "Traceback" not in outcome.content


def test_a_failing_poll_leaves_its_traceback_and_is_repeated(lines: LogLines) -> None:
    polls: list[int] = []

    def status(handle: Any, context: ToolContext) -> Any:
        polls.append(context.attempt)
        if len(polls) == 1:
            raise ConnectionError("the cause")
        return Pending() if len(polls) == 2 else "12 rows"

    @tool(effect="idempotent", poll=status)
    def export() -> Job:
        """Export."""
        return Job({"id": 1}, timeout_seconds=3600, poll_seconds=60)

    harness = LocalHarness(export, script=[call("export"), say("ok")])
    run = harness.runner.start("a", "go")
    for minutes in (1, 2, 4):
        harness.later(minutes=minutes)
        run = harness.runner.advance(run.run_id)
    assert run.status is Status.COMPLETED
    [raised] = [each for each in lines.records if each.getMessage() == "poll raised"]
    assert "in status" in logging.Formatter().format(raised)
    assert details(raised)["attempt"] == 1
    polled = without_durations(lines.named("job polled"))
    assert [(each["poll"], each["outcome"]) for each in polled] == [
        (1, "pending"),
        (2, "pending"),
        (3, "ok"),
    ]
    [started] = lines.named("tool returned")
    assert (started["wait"], started["path"]) == ("job", "0.0")


def test_a_back_off_gives_its_reason_and_its_seconds(lines: LogLines) -> None:
    def model(_request: ModelRequest) -> Reply:
        raise ModelUnavailable("the model service answered 429", 75.5)

    harness = Harness(script=model)
    run_id = harness.start()
    harness.worker().advance(run_id)
    [record] = [each for each in lines.records if each.levelno >= WARNING]
    assert record.getMessage() == "model unavailable"
    assert details(record) == {
        "run_id": run_id,
        "agent": "a",
        "path": "",
        "reason": "the model service answered 429",
        "tries": 1,
        "seconds": 75.5,
    }
    [suspended] = lines.named("run suspended")
    assert suspended["due"] == "2026-11-22T12:01:15+00:00"


def test_a_parked_run_is_an_error_with_the_reason(lines: LogLines) -> None:
    harness = Harness(script=[say("ok")])
    run_id = harness.start()
    harness.registry = Registry([])
    assert harness.worker().advance(run_id) is Status.PARKED
    [parked] = lines.records
    assert (parked.levelno, parked.getMessage()) == (logging.ERROR, "run parked")
    assert details(parked)["run_id"] == run_id
    assert "there is no agent" in details(parked)["reason"]


def test_a_blocked_run_is_an_error_after_a_quarter_of_an_hour(lines: LogLines) -> None:
    def model(_request: ModelRequest) -> Reply:
        raise ModelRefused("the model service answered 401")

    harness = Harness(script=model)
    run_id = harness.start()
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    failed, suspended = lines.records
    assert (failed.levelno, failed.getMessage()) == (WARNING, "model call failed")
    assert "ModelRefused" in logging.Formatter().format(failed)
    assert (suspended.levelno, suspended.getMessage()) == (WARNING, "run suspended")
    assert "the model service answered 401" in details(suspended)["reason"]
    harness.later(minutes=15)
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    blocked = lines.records[-1]
    assert (blocked.levelno, blocked.getMessage()) == (logging.ERROR, "run blocked")
    assert details(blocked)["run_id"] == run_id
    assert "the model service answered 401" in details(blocked)["reason"]


def test_a_run_that_is_handed_back_is_a_warning(lines: LogLines) -> None:
    class Down(InMemoryStore):
        def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
            del run_id, partial
            raise Retryable("the bucket is down")

    harness = Harness(script=[say("ok")], store=Down())
    run_id = harness.start()
    with pytest.raises(Retryable):
        harness.worker().advance(run_id)
    [record] = lines.records
    assert (record.levelno, record.getMessage()) == (WARNING, "run handed back")
    assert details(record)["reason"] == "the bucket is down"


def test_a_blocked_call_is_a_warning_while_the_run_waits_for_something_else(
    lines: LogLines,
) -> None:
    @tool(approval=Approval([APPROVER]))
    def gone() -> str:
        """Work."""
        return "done"

    harness = Harness(pay, gone, script=[calls(("gone", {}), ("pay", {"amount": 1}))])
    run_id = harness.start()
    harness.worker().advance(run_id)
    harness.registry = Registry([Agent("a", tools=[pay])])
    harness.decide(run_id, Verdict.APPROVE)
    harness.worker().advance(run_id)
    [blocked] = [each for each in lines.records if each.levelno >= WARNING]
    assert (blocked.levelno, blocked.getMessage()) == (WARNING, "run suspended")
    assert details(blocked)["reason"] == "the tool gone of the agent a is gone"


# -- requests, deadlines, grants -------------------------------------------------------------------


def test_deadlines_remind_escalate_and_decide(lines: LogLines) -> None:
    hour = 3600
    one = policy_harness(
        ANN,
        timeout_seconds=4 * hour,
        remind_after_seconds=[hour],
        escalations=[Escalation(approvers=(BOB, "c@example.com"), timeout_seconds=hour)],
    )
    one.start()
    for _ in range(3):
        one.wait(4 * hour)
    found = [
        (each.getMessage(), details(each).get("occasion"), details(each).get("approvers"))
        for each in lines.records
        if each.getMessage() in ("people asked", "request escalated", "request decided")
    ]
    assert found[0] == ("people asked", "asked", 1)
    assert ("request escalated", None, 2) in found
    assert ("people asked", "asked", 2) in found
    assert found[-1] == ("request decided", None, None)
    [decided] = lines.named("request decided")
    assert (decided["decision"], decided["via"]) == ("reject", "deadline")
    assert ANN not in lines.texts(INFO)


def test_a_grant_that_decides_is_in_the_log(lines: LogLines) -> None:
    one = granting(ANN)
    agree(one)
    assert [each["via"] for each in lines.named("request decided")] == ["link"]
    assert again(one, 700) is Status.COMPLETED
    assert [each["via"] for each in lines.named("request decided")] == ["link", "grant"]


def test_votes_withdrawals_and_reassignments_are_in_the_log(lines: LogLines) -> None:
    one = policy_harness(stages=[Stage([ANN, BOB], needed="all")])
    one.start()
    one.approve(ANN)
    one.withdraw(ANN)
    one.reassign(ANN, "dora@example.com")
    assert [each for each in lines.messages() if "vote" in each or "reassigned" in each] == [
        "vote counted",
        "vote withdrawn",
        "request reassigned",
    ]
    for name in (ANN, BOB, "dora"):
        assert name not in lines.texts(INFO)


def test_waits_end_by_time_or_by_an_event(lines: LogLines) -> None:
    order = {"order": "o-1"}
    asks = calls(("nap", {"minutes": 5}), ("wait_paid", order), ("ask_delivery", order))
    harness = LocalHarness(nap, wait_paid, ask_delivery, script=[asks, say("ok")])
    run = harness.runner.start("a", "go")
    harness.runner.signal(run.run_id, "paid", {"iban": "secret"}, correlation="o-1")
    harness.later(minutes=5)
    harness.runner.advance(run.run_id)
    ended = [(each["wait"], each["by"], each["outcome"]) for each in lines.named("wait ended")]
    assert sorted(ended) == [("event", "event", "ok"), ("timer", "time", "ok")]
    waits = [each["wait"] for each in lines.named("tool returned")]
    assert sorted(waits) == ["event", "question", "timer"]
    [asked] = lines.named("people asked")
    assert (asked["kind"], asked["approvers"]) == ("question", 2)
    assert "secret" not in lines.texts(INFO)


def test_a_child_run_has_lines_of_its_own(lines: LogLines) -> None:
    worker = Agent("worker", tools=[look])
    boss = Agent("boss", tools=[worker.as_tool(description="Work.", spawn=True)])
    scripts = {"boss": [call("worker", input="go"), say("ok")], "worker": [say("did")]}
    run = LocalHarness(agents=[boss], scripts=scripts).runner.start("boss", "go")
    [started] = lines.named("child run started")
    assert (started["run_id"], started["tool"], started["path"]) == (run.run_id, "worker", "0.0")
    ended = {each["run_id"]: each["agent"] for each in lines.named("run ended")}
    assert ended == {run.run_id: "boss", started["child_run_id"]: "worker"}


def test_a_call_in_doubt_is_a_request_to_people(lines: LogLines) -> None:
    @tool
    def launch() -> str:
        """Launch."""
        raise KeyboardInterrupt

    harness = Harness(launch, script=[call("launch"), say("ok")])
    run_id = harness.start()
    with pytest.raises(KeyboardInterrupt):
        harness.worker().advance(run_id)
    harness.later(minutes=30)
    harness.worker(operators=[APPROVER]).advance(run_id)
    [asked] = lines.named("people asked")
    assert (asked["kind"], asked["approvers"], asked["expires_at"]) == ("doubt", 1, None)
    assert lines.named("tool returned") == []
    harness.decide(run_id, Verdict.REJECT)
    [decided] = lines.named("request decided")
    assert (decided["kind"], decided["decision"]) == ("doubt", "reject")


# -- leases, and facts that are certain ----------------------------------------------------------


def test_a_run_that_is_handed_on_says_so(lines: LogLines) -> None:
    harness = Harness(script=[say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id, deadline=NOW + timedelta(seconds=50))
    assert lines.messages() == ["run handed on"]
    harness.worker().advance(run_id)
    assert lines.messages() == ["run handed on", "model replied", "run ended"]


def test_a_lost_lease_is_a_warning_and_a_late_outcome_is_a_fact(lines: LogLines) -> None:
    def claimed_by_another() -> None:
        harness.later(minutes=3)
        until = harness.now + timedelta(minutes=2)
        assert harness.store.claim(run_id, holder="other", now=harness.now, lease_until=until)

    @tool
    def overtaken() -> str:
        """While it runs, another execution claims the run."""
        claimed_by_another()
        return "late"

    harness = Harness(overtaken, script=[call("overtaken"), say("never")])
    run_id = harness.start()
    assert harness.worker().advance(run_id) is None
    assert lines.messages() == ["model replied", "tool returned", "lease lost"]
    assert lines.messages(WARNING) == ["lease lost"]


def test_a_tool_that_is_abandoned_is_a_warning(lines: LogLines) -> None:
    free = Event()

    @tool
    def stuck() -> str:
        """Never return in time."""
        harness.later(seconds=200)
        free.wait(20)
        return "late"

    harness = Harness(stuck, script=[call("stuck")])
    run_id = harness.start()
    worker = harness.worker(Limits(lease_renewal=0.01))
    assert worker.advance(run_id, deadline=NOW + timedelta(seconds=200)) is Status.READY
    free.set()
    assert lines.messages() == ["model replied", "run handed on", "tools abandoned"]
    assert lines.named("tools abandoned") == [{"run_id": run_id, "agent": "a", "path": None}]


def test_a_read_of_a_lost_lease_is_no_fact(lines: LogLines) -> None:
    @tool(effect="read")
    def overtaken() -> str:
        """While it runs, another execution claims the run."""
        harness.later(minutes=3)
        until = harness.now + timedelta(minutes=2)
        assert harness.store.claim(run_id, holder="other", now=harness.now, lease_until=until)
        return "late"

    harness = Harness(overtaken, script=[call("overtaken"), say("never")])
    run_id = harness.start()
    assert harness.worker().advance(run_id) is None
    assert lines.messages() == ["model replied", "lease lost"]


class ForgetfulStore(InMemoryStore):
    """Writes, and loses the response of each first try."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[str] = set()

    def append(self, run_id: str, entry: Any) -> Any:
        stored = super().append(run_id, entry)
        if entry.key not in self.lost and "reply" not in entry.key:
            self.lost.add(entry.key)
            raise Retryable("no response")
        return stored


def test_a_write_that_is_repeated_leaves_one_line(lines: LogLines) -> None:
    @tool
    def launch() -> str:
        """Launch."""
        return "done"

    store = ForgetfulStore()
    harness = Harness(launch, script=[call("launch"), say("ok")], store=store)
    run_id = harness.start()
    assert harness.worker(pause=lambda _seconds: None).advance(run_id) is Status.COMPLETED
    assert store.lost
    assert lines.messages() == ["model replied", "tool returned", "model replied", "run ended"]


def test_a_request_that_a_conflict_undid_leaves_one_line(lines: LogLines) -> None:
    class BusyStore(InMemoryStore):
        """An event from outside arrives right before the first release."""

        busy = True

        def commit(self, run_id: str, **more: Any) -> bool:
            if self.busy:
                self.busy = False
                self.wake(run_id, now=NOW)
            return super().commit(run_id, **more)

    harness = Harness(pay, script=[call("pay", amount=1)], store=BusyStore())
    harness.worker().advance(harness.start())
    assert lines.messages() == ["model replied", "people asked", "run suspended"]


# -- levels ----------------------------------------------------------------------------------------


def secretive(level: int) -> LogLines:
    """The lines of a run with a secret in each text."""

    @tool(approval=Approval(["secret-ann@example.com"]))
    def transfer(to: str) -> str:
        """Transfer."""
        return f"secret-result {'x' * 5000}"

    requests = (
        ToolRequest(name="transfer", arguments='{"to": "secret-argument"}'),
        ToolRequest(name="secret text in place of a name\n", arguments="secret-broken"),
    )
    asks = Reply(content="secret-content", requests=requests)
    harness = LocalHarness(transfer, script=[asks, say("secret-answer")])
    with log_lines(level) as lines:
        run = harness.runner.start("a", "secret-goal")
        request_id = run.waiting[0].request_id
        harness.runner.decide(run.run_id, request_id, "approve", reason="secret-reason")
    return lines


def test_at_info_no_text_is_in_the_log() -> None:
    lines = secretive(INFO)
    assert "run ended" in lines.messages()
    assert "secret" not in lines.texts(INFO, WARNING, logging.ERROR)
    assert lines.named("model replied")[0]["calls"] == ["transfer", "?"]


def test_at_debug_texts_are_in_lines_of_their_own_and_shortened() -> None:
    lines = secretive(logging.DEBUG)
    assert "secret" not in lines.texts(INFO, WARNING, logging.ERROR)
    debug = [each for each in lines.records if each.levelno == logging.DEBUG]
    assert {each.getMessage() for each in debug} == {
        "model request",
        "reply text",
        "tool called",
        "result text",
    }
    said = lines.texts(logging.DEBUG)
    for text in ("goal", "argument", "content", "answer", "result", "broken"):
        assert f"secret-{text}" in said
    assert max(len(str(each)) for record in debug for each in details(record).values()) <= 2001
    requests = lines.named("model request")
    assert [each["messages"] for each in requests] == [1, 4]


def test_without_a_level_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def computed(*_given: Any) -> None:
        raise AssertionError("computed for nothing")

    monkeypatch.setattr(log, "event_line", computed)
    monkeypatch.setattr(log, "shortened", computed)
    monkeypatch.setattr(log, "path_text", computed)
    assert secretive(WARNING).records == []
