"""Runs as each form of the code stored them: `<form>.json`, written once and never changed.

    python -m tests.contract.stored_forms

writes the file of the present form, unless it exists. Do so after you have raised FORM, and keep
the other files: runs wait for months, so this code must read what earlier code has stored.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

from agent_continuations import Agent, Approval, LocalRunner, ScriptedModel, call, calls, say, tool
from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.events import Restored
from agent_continuations.core.inbound import Restore
from agent_continuations.core.keys import inbound_entry_key
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import JournalEntry, Status
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import ModelRefused, ModelUnavailable
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.ports.model import ModelRequest
from agent_continuations.services.services import Services
from tests.simulation.aws import Direct, SimulatedS3
from tests.simulation.dynamodb import SimulatedDynamoDB

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
ANN = "ann@example.com"
SEAL = "the key that seals the stored documents"

LARGE = 34_000
LOST = {"launch"}
REFUSED = {"blocked"}


@tool(approval=Approval([ANN, "bob@example.com"], timeout_seconds=30 * 24 * 3600))
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(effect="read")
def look(size: int) -> str:
    """Look at so much."""
    return Random("look").randbytes(size).hex()


@tool
def launch() -> str:
    """Launch; its process is lost the first time."""
    if "launch" in LOST:
        raise KeyboardInterrupt
    return "launched"


def agents() -> Registry:
    """The agents that were deployed when the files were written, and still are."""
    clerk = Agent("clerk", "Pay what you are told to.", tools=[pay, look])
    boss = Agent("boss", "Ask the clerk.", tools=[clerk.as_tool(description="Ask."), launch])
    return Registry([boss])


class RuleBasedModel(ScriptedModel):
    """A model whose replies depend on its input only."""

    def __init__(self) -> None:
        super().__init__({"boss": _boss, "clerk": _clerk})


def _boss(request: ModelRequest) -> Reply:
    task = str(request.messages[1]["content"])
    if request.messages[-1]["role"] == "tool":
        return say(f"done: {request.messages[-1]['content']}")
    if task == "busy":
        raise ModelUnavailable("the model is busy", 60)
    if task == "blocked" and "blocked" in REFUSED:
        raise ModelRefused("the model service answered 401")
    return call("launch") if task == "launch" else call("clerk", input=task)


def _clerk(request: ModelRequest) -> Reply:
    if request.messages[-1]["role"] == "tool":
        return say("the clerk is done")
    size = LARGE if request.messages[1]["content"] == "decided" else 10
    return calls(("look", {"size": size}), ("pay", {"amount": 7}))


class StoredWorld:
    """A store that can be written to a file, and a runner and services over it."""

    def __init__(self, content: Mapping[str, Any] | None = None) -> None:
        self.now = NOW
        wire: Any = Direct()
        self.table = SimulatedDynamoDB(wire)
        self.bucket = SimulatedS3(wire)
        for item in (content or {}).get("items", []):
            self.table.put_item(Item=_binary(item, b64decode))
        for key, value in (content or {}).get("objects", {}).items():
            self.bucket.objects[key] = b64decode(value)
        table, bucket = cast(Any, self.table), cast(Any, self.bucket)
        self.store = DynamoDBStore(dynamodb=table, s3=bucket, table="t", bucket="b")
        self.registry = agents()
        self.services = Services.of(
            store=self.store,
            queue=LocalWorkQueue(),
            registry=lambda: self.registry,
            clock=lambda: self.now,
        )

    def advance(self, run_id: str) -> Status | None:
        runner = Runner(
            store=self.store,
            model=RuleBasedModel(),
            registry=self.registry,
            queue=LocalWorkQueue(),
            operators=(ANN,),
            clock=lambda: self.now,
        )
        return runner.advance(run_id)

    def answer(self, run_id: str, request_id: str, **more: Any) -> None:
        decision = Decide(verdict=Verdict.APPROVE, approver=ANN, decided_by=ANN, via="api", **more)
        self.services.decisions.decide(run_id, request_id, decision)

    def content(self) -> dict[str, Any]:
        items = [item for of_run in self.table.items.values() for item in of_run.values()]
        objects = {key: b64encode(value).decode() for key, value in self.bucket.objects.items()}
        plain = [_binary(item, lambda value: b64encode(value).decode()) for item in items]
        return {"items": plain, "objects": objects}


def _binary(item: Mapping[str, Any], change: Any) -> dict[str, Any]:
    return {
        name: {kind: change(getattr(value, "value", value)) if kind == "B" else value}
        for name, typed in item.items()
        for kind, value in typed.items()
    }


def request_id(world: StoredWorld, run_id: str) -> str:
    """The id of a run's open request."""
    [notice] = world.store.notices(run_id)
    return notice.request_id


def new_content() -> dict[str, Any]:
    """A run in each state in which a process can leave it, and a sealed document."""
    world = StoredWorld()
    runs = {}
    for name in ("ready", "asked", "decided", "completed", "cancelled"):
        runs[name] = world.services.runs.start("boss", name, key=name).run_id
        if name != "ready":
            world.advance(runs[name])
    world.answer(runs["decided"], request_id(world, runs["decided"]), arguments={"amount": 8})
    world.answer(runs["completed"], request_id(world, runs["completed"]), reason="go")
    world.advance(runs["completed"])
    world.services.control.cancel(runs["cancelled"])
    world.advance(runs["cancelled"])
    for name in ("launch", "busy"):
        runs[name] = world.services.runs.start("boss", name, key=name).run_id
        try:
            world.advance(runs[name])
        except KeyboardInterrupt:
            continue
    runs["blocked"] = world.services.runs.start("boss", "blocked", key="blocked").run_id
    world.advance(runs["blocked"])
    for name in ("parked", "restored"):
        runs[name] = world.services.runs.start("boss", name, key=name).run_id
        world.advance(runs[name])
    everything, world.registry = world.registry, Registry([])
    world.answer(runs["parked"], request_id(world, runs["parked"]))
    world.advance(runs["parked"])
    world.services.inbound.message(runs["parked"], "are you there?", key="m")
    world.registry = everything
    restored = Restored(restore=Restore(since=NOW, until=LATER, at=LATER))
    entry = JournalEntry(inbound_entry_key(restored), (restored,))
    assert world.store.append_external(runs["restored"], [entry], now=LATER) is None
    runner = LocalRunner(
        list(world.registry.startable.values()),
        RuleBasedModel(),
        signing_key=SEAL,
        clock=lambda: NOW,
    )
    document = runner.dump(runner.start("boss", "by document").run_id)
    return {"runs": runs, "document": document, **world.content()}


def read(path: Path) -> dict[str, Any]:
    """The content of one form's file."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content
