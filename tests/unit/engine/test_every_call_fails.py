"""Each single request to the store fails in turn: a run that has everything goes on by itself."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TypeVar

import pytest
from botocore.exceptions import ConnectTimeoutError

from agent_continuations import Agent, Approval, ScriptedModel, WaitFor, call, calls, say, tool
from agent_continuations.authoring.agent import AgentTool
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.run import Status
from agent_continuations.engine.sweeper import sweep
from agent_continuations.errors import Retryable
from tests.simulation.aws import Direct
from tests.support.engine_harness import Harness
from tests.support.executors import OneAtATime
from tests.support.simulated_store import simulated_store

Answer = TypeVar("Answer")
ANN = "x@example.com"
ROUNDS = 40


class FailingWire(Direct):
    """A transport on which the requests of executions fail from one number to another.

    Attributes:
        counting: whether the requests are an execution's.
        made: how many of those were made.
        failed: the operations that failed.
        instead: what happens before the first of those requests, which then does not fail.
    """

    def __init__(self, fails: range, *, answer_lost: bool) -> None:
        super().__init__()
        self.counting = False
        self.made = 0
        self.failed: list[str] = []
        self.instead: Callable[[], None] | None = None
        self._fails = fails
        self._answer_lost = answer_lost

    def send(self, operation: str, apply: Callable[[], Answer]) -> Answer:
        if not self.counting:
            return super().send(operation, apply)
        self.made += 1
        if self.made - 1 not in self._fails:
            return super().send(operation, apply)
        self.failed.append(operation)
        if self.instead:
            self.counting = False
            self.instead()
            self.counting = True
            return super().send(operation, apply)
        if self._answer_lost:
            super().send(operation, apply)
        raise ConnectTimeoutError(endpoint_url=operation)


class Place(Harness):
    """A run whose first turn has a call of each kind, and what happens around it."""

    def __init__(self, wire: FailingWire) -> None:
        self.wire = wire
        self.ran: Counter[str] = Counter()
        self.doubts = 0
        super().__init__(script=[], store=simulated_store(wire).store)
        self.registry = Registry(self._agents())
        self.model = ScriptedModel(
            {
                "a": [
                    calls(
                        ("pay", {}),
                        ("put", {}),
                        ("look", {}),
                        ("hear", {}),
                        ("refund", {}),
                        ("ask", {"input": "x"}),
                        ("start", {"input": "x"}),
                    ),
                    call("look"),
                    say("done"),
                ],
                "child": [call("look"), call("pay"), say("child done")],
                "run": [call("pay"), say("run done")],
            }
        )
        self.run_id = self.start()

    def _agents(self) -> list[Agent]:
        @tool(effect="once")
        def pay() -> str:
            """Pay."""
            return self._ran("pay")

        @tool(effect="once", approval=Approval([ANN]))
        def refund() -> str:
            """Refund."""
            return self._ran("refund")

        @tool(effect="idempotent")
        def put() -> str:
            """Put."""
            return self._ran("put")

        @tool(effect="read")
        def look() -> str:
            """Look."""
            return self._ran("look")

        @tool(effect="read")
        def hear() -> WaitFor:
            """Hear."""
            return WaitFor("news", timeout_seconds=86_400)

        child, run = Agent("child", tools=[look, pay]), Agent("run", tools=[pay])
        tools: list[Tool | AgentTool] = [pay, put, look, hear, refund]
        tools.append(child.as_tool(name="ask", description="Ask."))
        tools.append(run.as_tool(name="start", description="Start.", spawn=True))
        return [Agent("a", tools=tools)]

    def _ran(self, name: str) -> str:
        self.ran[name] += 1
        return name

    def minute(self) -> None:
        """A minute, in which all due work is tried once."""
        self.queue.sent.clear()
        sweep(self.store, self.queue, self.now)
        for run_id in {sent[1] for sent in self.queue.sent if sent[0] != "notify"}:
            self._advance(run_id)
        self.later(minutes=1)

    def overtake(self) -> None:
        """The lease of the run that is advanced expires, and another execution claims the run."""
        self.later(seconds=130)
        self._advance(self.advancing)

    def blink(self) -> None:
        """Somebody pauses the run and resumes it at once."""
        self.services.control.pause(self.run_id)
        self.services.control.resume(self.run_id)

    def _advance(self, run_id: str) -> None:
        self.advancing = run_id
        worker = self.worker(executor=OneAtATime, pause=lambda seconds: self.later(seconds=seconds))
        self.wire.counting = True
        with suppress(Retryable):
            worker.advance(run_id, deadline=self.now + timedelta(minutes=15))
        self.wire.counting = False

    def answer(self) -> None:
        """The people answer everything that they are asked."""
        for each in self.waiting(self.run_id):
            if each.kind == "approval" and each.request_id:
                answer = Decide(verdict=Verdict.APPROVE, approver=ANN, via="api")
                self.services.decisions.decide(self.run_id, each.request_id, answer)
        self.services.inbound.signal(self.run_id, "news", {})

    def finish(self) -> None:
        answered = False
        for _ in range(ROUNDS):
            self.minute()
            kinds = {each.kind for each in self.waiting(self.run_id)}
            self.doubts += "doubt" in kinds
            if "approval" in kinds and not answered:
                answered = True
                self.answer()
            if self.status().ended:
                return

    def status(self) -> Status:
        head = self.store.head(self.run_id)
        assert head
        return head.status


def windows(length: int) -> Iterator[range]:
    whole = Place(FailingWire(range(0), answer_lost=False))
    whole.finish()
    assert whole.status() is Status.COMPLETED
    for first in range(whole.wire.made):
        yield range(first, first + length)


@pytest.mark.parametrize("answer_lost", [False, True], ids=["not made", "answer lost"])
@pytest.mark.parametrize("length", [1, 5])
def test_a_run_survives_a_failure_of_each_request(length: int, answer_lost: bool) -> None:
    broken = {}
    for fails in windows(length):
        place = Place(FailingWire(fails, answer_lost=answer_lost))
        place.finish()
        seen = (place.status(), place.doubts, place.ran["pay"], place.ran["refund"])
        if seen != (Status.COMPLETED, 0, 3, 1) or place.ran["put"] != 1:
            broken[fails.start] = (place.wire.failed, *seen, place.ran["put"])
    assert not broken


@pytest.mark.parametrize("event", [Place.overtake, Place.blink])
def test_a_run_survives_an_event_before_each_request(event: Callable[[Place], None]) -> None:
    broken = {}
    for fails in windows(1):
        place = Place(FailingWire(fails, answer_lost=False))
        place.wire.instead = partial(event, place)
        place.finish()
        seen = (place.status(), place.doubts, place.ran["pay"], place.ran["refund"])
        if seen != (Status.COMPLETED, 0, 3, 1):
            broken[fails.start] = (place.wire.failed, *seen)
    assert not broken
