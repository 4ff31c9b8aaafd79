"""A store in memory, a clock that the test moves, and any number of workers."""

from datetime import UTC, datetime, timedelta
from typing import Any

from agent_continuations import Agent, InMemoryStore, ScriptedModel
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.run import LoadedRun
from agent_continuations.engine.context import Limits
from agent_continuations.engine.runner import Runner
from agent_continuations.ports.store import Store
from agent_continuations.services.services import Services
from agent_continuations.views.waiting import Waiting, waiting
from tests.support.recording_queue import RecordingQueue

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Harness:
    """One store, a clock that the test moves, and any number of workers."""

    def __init__(self, *tools: Tool, script: Script, store: Store | None = None) -> None:
        self.now = NOW
        self.store: Store = store or InMemoryStore()
        self.queue = RecordingQueue()
        self.model = ScriptedModel({"a": script})
        self.registry = Registry([Agent("a", tools=tools)])
        self.services = Services.of(
            store=self.store,
            queue=self.queue,
            registry=lambda: self.registry,
            clock=lambda: self.now,
        )

    def worker(self, limits: Limits | None = None, **more: Any) -> Runner:
        more.setdefault("operators", ["x@example.com"])
        return Runner(
            store=self.store,
            model=self.model,
            registry=self.registry,
            queue=self.queue,
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
