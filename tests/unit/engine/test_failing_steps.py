"""Outages of the store in each step of an execution, and a run that it can no longer read."""

from collections import Counter
from datetime import timedelta
from threading import Event
from time import sleep
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
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import RunHead, Status
from agent_continuations.errors import CorruptValue, NewerForm, Retryable
from agent_continuations.ports.limits import MAX_FRUITLESS
from agent_continuations.ports.model import ModelRequest
from tests.support.engine_harness import Harness
from tests.support.executors import ImpatientExecutor
from tests.support.failing_store import FailingStore


class Outage(Harness):
    """A clerk whose call `launch` is followed by an approved call `pay`; the store has an outage.

    Args:
        beside: whether the tool `work`, which may have changed the world, runs from before the
            outage until the store answers again.
        wakes: whether the run is woken while that tool runs, so that it is loaded again.
        pauses: whether an operator pauses the run while its model is asked for `launch`, so that
            the write of the intent is refused.
        outage: the arguments of `FailingStore.fail`.
    """

    def __init__(
        self, *, beside: bool = False, wakes: bool = False, pauses: bool = False, **outage: Any
    ) -> None:
        self.failing = FailingStore()
        super().__init__(script=[], store=self.failing)
        self.failing.clock = lambda: self.now
        self.beside, self.wakes, self.pauses, self.outage = beside, wakes, pauses, outage
        self.works, self.ran = Event(), Counter[str]()
        clerk = Agent("clerk", tools=[self._tool("launch"), self._tool("pay", gated=True)])
        self.registry = Registry(
            [Agent("a", tools=[clerk.as_tool(description="Pays."), self._tool("work")])]
        )
        turn = [("clerk", {"input": "x"})] + ([("work", {})] if beside else [])
        self.replies: list[Reply] = [call("launch"), call("pay"), say("paid")]
        self.model = ScriptedModel({"a": [calls(*turn), say("ok")], "clerk": self._clerk})
        self.run_id = self.start()
        if not beside:
            self.failing.fail(**outage)

    def _tool(self, name: str, *, gated: bool = False) -> Any:
        def run() -> str:
            self.ran[name] += 1
            if name == "work":
                self.work()
            return "done"

        run.__doc__ = "Work."
        return tool(name=name, approval=Approval(["x@example.com"]) if gated else None)(run)

    def work(self) -> None:
        """Work, while time passes, until the store answers again."""
        self.failing.fail(**self.outage)
        self.works.set()
        if self.wakes:
            self.failing.wake(self.run_id, now=self.now)
            self.later(seconds=50)
        while not self.failing.answers_again.wait(0.02):
            if self.failing.is_out:
                self.later(seconds=41)
        self.works.clear()

    def _clerk(self, request: ModelRequest) -> Reply:
        turn: int = sum(each["role"] == "assistant" for each in request.messages)
        if turn == 0 and self.beside:
            assert self.works.wait(20)
        if self.pauses:
            self.pauses = False
            self.failing.pause(self.run_id, paused=True, now=self.now)
        return self.replies[turn]

    def advance(self, **more: Any) -> Status | None:
        """Let one execution advance the run. Time passes between tries, or while `work` runs."""
        worker = self.worker(executor=ImpatientExecutor, pause=self._pause)
        return worker.advance(self.run_id, **more)

    def _pause(self, seconds: float) -> None:
        if self.works.is_set():
            sleep(0.01)
        else:
            self.later(seconds=seconds)

    def play(self) -> None:
        """Advance the run to its end, as the sweeper, an approver and an operator let it."""
        for _ in range(30):
            try:
                if self.advance() is Status.COMPLETED:
                    return
                if self.stored.paused:
                    self.services.control.resume(self.run_id)
                for waits in self.waiting(self.run_id):
                    assert waits.kind == "approval"
                    self.decide(self.run_id, Verdict.APPROVE)
            except Retryable:
                self.later(seconds=61)
        raise AssertionError("the run has not ended")

    @property
    def stored(self) -> RunHead:
        return self.loaded(self.run_id).head


# The step in which the outage begins, and whether every request fails from then on.
STEPS = [
    *[("load", False), ("reply", False), ("outcome", False), ("record_intents", False)],
    *[("release", False), ("head", False), ("outcome", True), ("release", True)],
]
STEPS_BESIDE_A_TOOL = [
    *[("load", False), ("reply", False), ("outcome", False), ("record_intents", False)],
    *[("commit", False), ("head", False), ("renew", False), ("outcome", True), ("commit", True)],
]


@pytest.mark.parametrize("seconds", [3, 200])
@pytest.mark.parametrize(
    ("step", "whole", "beside"),
    [(*each, False) for each in STEPS] + [(*each, True) for each in STEPS_BESIDE_A_TOOL],
)
def test_an_outage_in_any_step_loses_no_outcome_and_counts_no_claim(
    step: str, whole: bool, beside: bool, seconds: float
) -> None:
    outage = Outage(
        beside=beside,
        wakes=step in ("load", "renew"),
        pauses=step == "head",
        kind=step,
        seconds=seconds,
        whole=whole,
    )
    outage.play()
    assert outage.failing.answers_again.is_set()
    assert outage.ran == Counter(["launch", "pay", *(["work"] if beside else [])])
    assert not any(outage.failing.handed_back)
    assert {each.kind for each in outage.store.notices(outage.run_id)} == {"approval"}


def test_a_run_is_handed_back_with_the_reason_and_claimed_in_a_minute() -> None:
    outage = Outage(kind="load", seconds=1)
    with pytest.raises(Retryable):
        outage.advance()
    head = InMemoryStore.head(outage.failing, outage.run_id)
    assert head
    assert (head.status, head.owner, head.stalls) == (Status.READY, None, 0)
    assert head.due == outage.now + timedelta(seconds=60)
    assert head.note == "the store does not answer"


def test_a_run_is_handed_back_although_the_store_answers_only_later() -> None:
    outage = Outage(kind="load", seconds=5, whole=True)
    with pytest.raises(Retryable):
        outage.advance()
    assert outage.failing.handed_back == [False]


def test_a_run_that_cannot_be_handed_back_is_claimed_when_its_lease_has_expired() -> None:
    outage = Outage(kind="load", seconds=300, whole=True)
    with pytest.raises(Retryable):
        outage.advance()
    assert outage.failing.handed_back == []
    outage.later(seconds=300)
    assert outage.advance() is Status.SUSPENDED


@pytest.mark.parametrize(
    ("step", "deadline_seconds", "given_up_after"),
    [
        ("load", None, 0),
        # The answer may be lost, and the intents be stored: they are withdrawn, or in doubt.
        ("record_intents", None, 900),
        ("reply", None, 60),
        ("reply", 400, 60),
        ("outcome", None, 900),
        ("outcome", 400, 395),
    ],
)
def test_an_outcome_is_kept_as_long_as_its_process_may_live_and_a_reply_for_a_minute(
    step: str, deadline_seconds: float | None, given_up_after: float
) -> None:
    outage = Outage(kind=step, seconds=10_000)
    deadline = outage.now + timedelta(seconds=deadline_seconds) if deadline_seconds else None
    with pytest.raises(Retryable):
        outage.advance(deadline=deadline)
    assert outage.failing.outage_seconds == given_up_after


def test_an_outage_while_a_tool_runs_is_waited_out_as_long_as_its_process_may_live() -> None:
    outage = Outage(kind="reply", seconds=800, beside=True)
    outage.play()
    assert outage.failing.handed_back == []
    assert outage.ran == Counter(["launch", "pay", "work"])


@pytest.mark.parametrize("step", ["load", "record_intents", "reply"])
def test_an_unexpected_exception_is_counted_and_is_the_note_of_the_parked_run(
    step: str,
) -> None:
    outage = Outage(kind=step, seconds=10_000, error=ZeroDivisionError("a bug"))
    for _ in range(2 * MAX_FRUITLESS):  # each step but the load makes progress once
        with pytest.raises(ZeroDivisionError):
            outage.advance()
    assert outage.advance() is Status.PARKED
    assert outage.failing.handed_back == [True] * 2 * MAX_FRUITLESS
    head = InMemoryStore.head(outage.failing, outage.run_id)
    assert head
    assert (head.note or "").endswith(" executions without progress: ZeroDivisionError: a bug")


class Unreadable(Harness):
    """A run that cannot be read any more from the middle of its tool `launch` on.

    Args:
        error: what a load raises.
        overtaken: whether the lease is lost meanwhile.
    """

    def __init__(self, error: Exception, *, overtaken: bool = False) -> None:
        self.failing, self.executor = FailingStore(), ImpatientExecutor()
        self.ran: list[str] = []

        @tool
        def launch() -> str:
            """Launch."""
            self.ran.append("x")
            self.failing.fail("load", seconds=1_000, error=error)
            self.failing.wake(self.run_id, now=self.now)
            self.later(seconds=50)
            self.executor.until_looked()
            if overtaken:
                self.later(minutes=3)
                until = self.now + timedelta(minutes=2)
                assert self.store.claim(
                    self.run_id, holder="other", now=self.now, lease_until=until
                )
            return "launched"

        super().__init__(launch, script=[call("launch"), say("ok")], store=self.failing)
        self.failing.clock = lambda: self.now
        self.run_id = self.start()

    def advance(self) -> Status | None:
        return self.worker(executor=lambda: self.executor).advance(self.run_id)

    def mend(self) -> None:
        """Let the run be readable again, with the outcome that was known meanwhile."""
        self.later(seconds=1_000)
        outcome = self.loaded(self.run_id).continuation.turns[0].calls[0].outcome
        assert outcome
        assert outcome.content == "launched"
        self.executor = ImpatientExecutor()


def test_a_run_that_becomes_unreadable_keeps_the_outcome_of_its_tool_and_is_parked() -> None:
    run = Unreadable(CorruptValue("the value of J#!start has changed"))
    assert run.advance() is Status.PARKED
    run.mend()
    head = run.loaded(run.run_id).head
    assert (head.note, head.owner) == ("the value of J#!start has changed", None)
    run.services.control.redrive(run.run_id)
    assert run.advance() is Status.COMPLETED
    assert run.ran == ["x"]


def test_a_run_that_newer_code_writes_meanwhile_keeps_the_outcome_and_is_handed_back() -> None:
    run = Unreadable(NewerForm("J#!told has form 99"))
    assert run.advance() is Status.READY
    assert run.failing.handed_back == [False]
    run.mend()
    head = run.loaded(run.run_id).head
    assert (head.note, head.owner, head.stalls) == ("J#!told has form 99", None, 0)
    assert run.advance() is Status.COMPLETED
    assert run.ran == ["x"]


def test_an_unreadable_run_whose_lease_is_lost_keeps_the_outcome_and_is_not_parked() -> None:
    run = Unreadable(CorruptValue("changed"), overtaken=True)
    assert run.advance() is None
    run.mend()
    head = run.loaded(run.run_id).head
    assert (head.status, head.owner) == (Status.RUNNING, "other")
