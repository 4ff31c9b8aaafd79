"""Outcomes of tools that come late, and checks of inbound data that write nothing."""

from datetime import timedelta
from typing import Literal, TypeAlias

import pytest

from agent_continuations import Approval, Job, Question, ScriptedModel, WaitFor, call, say, tool
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.events import ToolReturned
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.run import Status
from agent_continuations.errors import Conflict, Invalid, KeyReused, NotFound
from agent_continuations.services.inbound_checks import MAX_PENDING_INBOUND
from tests.support.engine_harness import Harness

EffectName: TypeAlias = Literal["idempotent", "once"]

LATE = Outcome(kind="ok", content="it is in orbit")
OTHER = Outcome(kind="ok", content="it is in the sea")


def killed(*, effect: EffectName = "once", attempts: int = 1) -> tuple[Tool, list[int]]:
    """A tool whose process dies in each of the first attempts."""
    ran: list[int] = []

    @tool(effect=effect)
    def launch() -> str:
        """Launch."""
        ran.append(len(ran) + 1)
        if len(ran) <= attempts:
            raise KeyboardInterrupt
        return "done"

    return launch, ran


def lost(
    script: Script, effect: EffectName = "once", attempts: int = 1
) -> tuple[Harness, str, list[int]]:
    """A run whose process was lost in each of the first attempts of its call."""
    launch, ran = killed(effect=effect, attempts=attempts)
    harness = Harness(launch, script=script)
    run_id = harness.start()
    for _ in range(attempts):
        with pytest.raises(KeyboardInterrupt):
            harness.worker().advance(run_id)
        harness.later(hours=1)
    return harness, run_id, ran


def told(model: ScriptedModel) -> str:
    """The result of the call, as the model was told."""
    return str(model.requests[-1].messages[-1]["content"])


def test_a_late_outcome_is_stored_and_wakes_the_run() -> None:
    harness, run_id, ran = lost([call("launch"), say("ok")])
    before = harness.loaded(run_id).head.wake
    sent = len(harness.queue.sent)
    assert harness.services.inbound.settle(run_id, "0.0", 1, LATE) == LATE
    assert harness.loaded(run_id).head.wake == before + 1
    assert harness.queue.sent[sent:] == [("resume", run_id)]
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert (told(harness.model), ran) == (LATE.content, [1])
    [stored] = [e for e in harness.loaded(run_id).snapshot.events() if isinstance(e, ToolReturned)]
    assert (stored.attempt, stored.at - stored.started_at) == (1, timedelta(hours=1))


def test_a_late_outcome_is_stored_once() -> None:
    harness, run_id, _ = lost([call("launch"), say("ok")])
    harness.services.inbound.settle(run_id, "0.0", 1, LATE)
    wake = harness.loaded(run_id).head.wake
    assert harness.services.inbound.settle(run_id, "0.0", 1, LATE) == LATE
    with pytest.raises(Conflict, match="already known"):
        harness.services.inbound.settle(run_id, "0.0", 1, OTHER)
    assert harness.loaded(run_id).head.wake == wake
    assert harness.worker().advance(run_id) is Status.COMPLETED
    # Also once the run has ended.
    assert harness.services.inbound.settle(run_id, "0.0", 1, LATE) == LATE
    with pytest.raises(Conflict, match="already known"):
        harness.services.inbound.settle(run_id, "0.0", 1, OTHER)


def test_a_late_outcome_answers_a_doubt() -> None:
    harness, run_id, ran = lost([call("launch"), say("ok")])
    assert harness.worker().advance(run_id) is Status.SUSPENDED
    [asked] = harness.waiting(run_id)
    assert asked.kind == "doubt"
    harness.services.inbound.settle(run_id, "0.0", 1, LATE)
    assert harness.waiting(run_id) == []
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert (told(harness.model), ran) == (LATE.content, [1])


def test_what_a_person_has_said_about_a_call_in_doubt_stands() -> None:
    harness, run_id, _ = lost([call("launch"), say("ok")])
    harness.worker().advance(run_id)
    harness.decide(run_id, Verdict.APPROVE, "it is on the moon")
    with pytest.raises(Conflict, match="already known"):
        harness.services.inbound.settle(run_id, "0.0", 1, LATE)


def test_the_outcome_of_an_earlier_attempt_counts_as_long_as_there_is_no_other() -> None:
    harness, run_id, ran = lost([call("launch"), say("ok")], effect="idempotent", attempts=2)
    intent = harness.loaded(run_id).head.intents["0.0"]
    assert intent.attempt == 2
    harness.services.inbound.settle(run_id, "0.0", 1, LATE)
    with pytest.raises(Conflict, match="already known"):
        harness.services.inbound.settle(run_id, "0.0", 2, OTHER)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert (told(harness.model), ran) == (LATE.content, [1, 2])


def test_the_outcome_of_a_later_attempt_on_record_stands() -> None:
    harness, run_id, _ = lost([call("launch"), say("ok")], effect="idempotent")
    assert harness.worker().advance(run_id) is Status.COMPLETED
    with pytest.raises(Conflict, match="already known"):
        harness.services.inbound.settle(run_id, "0.0", 1, LATE)
    assert told(harness.model) == "done"


@pytest.mark.parametrize("attempt", [-1, 0, 2, 10**30])
def test_an_attempt_that_was_not_begun_has_no_outcome(attempt: int) -> None:
    harness, run_id, _ = lost([call("launch"), say("ok")])
    with pytest.raises(NotFound, match="was not begun"):
        harness.services.inbound.settle(run_id, "0.0", attempt, LATE)
    for path in ("0.1", "9.9", "", "x", "0.0/0.0"):
        with pytest.raises(NotFound):
            harness.services.inbound.settle(run_id, path, 1, LATE)
    with pytest.raises(NotFound):
        harness.services.inbound.settle("nobody", "0.0", 1, LATE)


def test_a_call_that_is_not_approved_has_no_outcome() -> None:
    @tool(approval=Approval(["x@example.com"]))
    def pay() -> str:
        """Pay."""
        return "paid"

    harness = Harness(pay, script=[call("pay"), say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id)
    for attempt in (0, 1):
        with pytest.raises(NotFound, match="was not begun"):
            harness.services.inbound.settle(run_id, "0.0", attempt, LATE)
    harness.decide(run_id, Verdict.REJECT)
    with pytest.raises(NotFound, match="was not begun"):
        harness.services.inbound.settle(run_id, "0.0", 1, LATE)


@pytest.mark.parametrize("wait", ["event", "question", "job"])
def test_a_call_that_waits_is_not_ended_by_its_own_attempt(wait: str) -> None:
    @tool
    def begin() -> Job | Question | WaitFor:
        """Begin."""
        if wait == "job":
            return Job("j", timeout_seconds=3600)
        return WaitFor("paid") if wait == "event" else Question("?", ask=["x@example.com"])

    harness = Harness(begin, script=[call("begin"), say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id)
    for attempt in (1, 2):
        with pytest.raises(Conflict, match="another outcome"):
            harness.services.inbound.settle(run_id, "0.0", attempt, LATE)
    assert [each.kind for each in harness.waiting(run_id)] == [wait]


def test_a_run_that_has_ended_takes_no_outcome() -> None:
    harness, run_id, _ = lost([call("launch"), say("ok")])
    harness.worker().advance(run_id)
    harness.services.control.cancel(run_id)
    harness.worker().advance(run_id)
    assert harness.loaded(run_id).head.status is Status.CANCELLED
    with pytest.raises(Conflict, match="cancelled"):
        harness.services.inbound.settle(run_id, "0.0", 1, LATE)


# -- checks ----------------------------------------------------------------------------------------


def waiting_for(wait: Job | WaitFor) -> tuple[Harness, str]:
    @tool
    def begin() -> Job | WaitFor:
        """Begin."""
        return wait

    harness = Harness(begin, script=[call("begin"), say("ok")])
    run_id = harness.start()
    harness.worker().advance(run_id)
    return harness, run_id


def test_the_check_of_an_outcome_says_what_storing_it_would() -> None:
    harness, run_id = waiting_for(Job("j", timeout_seconds=3600))
    inbound, before = harness.services.inbound, harness.loaded(run_id)
    assert not inbound.check_complete(run_id, "0.0", LATE)
    for path in ("0.1", "x"):
        with pytest.raises(NotFound):
            inbound.check_complete(run_id, path, LATE)
    assert harness.loaded(run_id) == before
    inbound.complete(run_id, "0.0", LATE)
    for _ in range(2):
        assert inbound.check_complete(run_id, "0.0", LATE)
        with pytest.raises(Conflict, match="already known"):
            inbound.check_complete(run_id, "0.0", OTHER)
        harness.worker().advance(run_id)
    assert harness.loaded(run_id).head.status is Status.COMPLETED


def test_the_check_of_an_event_says_what_storing_it_would() -> None:
    harness, run_id = waiting_for(WaitFor("paid"))
    inbound = harness.services.inbound

    def stored(name: str = "paid", payload: object = 5, key: str = "k") -> bool:
        return inbound.check_signal(run_id, name, payload, correlation=None, key=key)

    assert not stored()
    with pytest.raises(Invalid):
        stored("")
    with pytest.raises(NotFound):
        inbound.check_signal("nobody", "paid", 5, correlation=None, key="k")
    inbound.signal(run_id, "paid", 5, key="k")
    assert stored()
    with pytest.raises(KeyReused):
        stored(payload=6)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert stored()
    with pytest.raises(Conflict, match="completed"):
        stored(key="l")


def test_a_repeated_event_is_no_further_one_where_no_more_are_kept() -> None:
    harness, run_id = waiting_for(WaitFor("paid"))
    inbound = harness.services.inbound
    for number in range(MAX_PENDING_INBOUND):
        inbound.signal(run_id, "news", number, key=f"k{number}")
    first = inbound.signal(run_id, "news", 0, key="k0")
    assert first.payload == 0
    for send in (inbound.signal, inbound.check_signal):
        with pytest.raises(Conflict, match="already waiting"):
            send(run_id, "news", 0, correlation=None, key="one more")


def test_an_event_counts_from_the_time_at_which_it_was_accepted() -> None:
    harness, run_id = waiting_for(WaitFor("paid", timeout_seconds=60))
    accepted = harness.now + timedelta(seconds=50)
    harness.later(seconds=90)
    harness.services.inbound.signal(run_id, "paid", 5, key="k", at=accepted)
    assert harness.worker().advance(run_id) is Status.COMPLETED
    assert told(harness.model) == "5"
