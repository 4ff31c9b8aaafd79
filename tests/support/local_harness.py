"""A local runner with a clock that the test moves, and tools that wait."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, Field

from agent_continuations import (
    Agent,
    InMemoryStore,
    LocalRunner,
    Question,
    ScriptedModel,
    Sleep,
    WaitFor,
    tool,
)
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.authoring.tool import Tool
from agent_continuations.operations.stuck_runs import why_stuck
from agent_continuations.views.run import RunView

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ANN, BOB = "ann@example.com", "bob@example.com"


class LocalHarness:
    """A local runner with one agent or more, and a clock that the test moves."""

    def __init__(
        self,
        *tools: Tool,
        script: Script | None = None,
        agents: Sequence[Agent] = (),
        scripts: Mapping[str, Script] | None = None,
    ) -> None:
        self.now = NOW
        self.agents = agents or [Agent("a", tools=tools)]
        self.model = ScriptedModel(scripts or {"a": script or []})
        self.store = InMemoryStore()
        self.runner = self.restarted()

    def restarted(self) -> LocalRunner:
        """A runner as in another process, with nothing but the store in common."""
        return LocalRunner(
            self.agents, self.model, store=self.store, clock=lambda: self.now, signing_key="k" * 32
        )

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)

    def result(self, run_id: str, path: str = "0.0") -> str:
        """The result of a call, as the model sees it."""
        for at, call in self.runner.continuation(run_id).calls():
            if "/".join(f"{step.turn}.{step.call}" for step in at) == path:
                assert call.outcome
                return call.outcome.content
        raise LookupError(path)

    def check(self, run_id: str) -> None:
        """Check that the run will be continued and that nobody holds its lease until then."""
        head = self.store.head(run_id)
        assert head
        assert head.lease_until is None
        assert why_stuck(head, self.runner.continuation(run_id), self.now) is None


def kinds(view: RunView) -> list[str]:
    return [each.kind for each in view.waiting]


@tool(effect="read")
def nap(minutes: int) -> Sleep:
    """Wait."""
    return Sleep(seconds=60 * minutes)


class Delivery(BaseModel):
    day: Literal["monday", "friday"]
    floor: int = Field(ge=0)


@tool(effect="read", answer=Delivery)
def ask_delivery(order: str) -> Question:
    """Ask when to deliver."""
    return Question(f"When shall {order} be delivered?", ask=[ANN, BOB], timeout_seconds=3600)


@tool(effect="read")
def ask_anything() -> Question:
    """Ask."""
    return Question("What now?", ask=[ANN])


@tool(effect="read")
def wait_paid(order: str) -> WaitFor:
    """Wait for a payment."""
    return WaitFor("paid", correlation=order, timeout_seconds=3600)


@tool(effect="read")
def wait_any() -> WaitFor:
    """Wait for anything."""
    return WaitFor("anything")
