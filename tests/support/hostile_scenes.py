"""Scenes: runs in which every text comes from a stranger.

Each scene is a real run whose texts are markers. Filled in, it is what the store would hold had
those texts been there from the beginning, even as names that the code itself would refuse.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from agent_continuations import (
    Agent,
    Approval,
    Preview,
    ScriptedModel,
    Stage,
    calls,
    say,
    tool,
)
from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Intent
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.events import Event
from agent_continuations.core.path import path_text
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.engine.runner import Runner
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.services.services import Services

MARK = re.compile("zz([a-z]+)zz")
MARKERS = (
    *("chief", "clerk", "goal", "input", "explains", "refused", "key", "to", "what", "result"),
    *("ann", "bob", "carl", "group", "requester", "why", "other", "metadata"),
)
# What an agent or a tool is called, by which the code finds it again.
NAMES = {name: f"zz{name}zz" for name in ("chief", "clerk", "refused")}
ANN, BOB, CARL = (f"zz{name}zz@example.com" for name in ("ann", "bob", "carl"))
GROUP = "group:zzgroupzz"
PORTAL = "arn:aws:iam::123456789012:role/onboarding-portal"  # the caller in the examples of events

Words = Mapping[str, str]
EVENTS: TypeAdapter[tuple[Event, ...]] = TypeAdapter(tuple[Event, ...])


@tool(effect="read")
def look(what: str) -> str:
    return f"found zzresultzz, not {what}"


@tool(
    approval=Approval(stages=[Stage([ANN, BOB], needed="all"), Stage([CARL, GROUP])]),
    preview=lambda given: Preview(effect=f"Pays {given['to']}.", reversible=False),
)
def pay(to: str, amount: int, details: dict[str, Any], zzkeyzz: str = "") -> str:
    return f"paid {to} {amount} {details} {zzkeyzz}"


def registry() -> Registry:
    clerk = Agent("zzclerkzz", "Pay.", tools=[look, pay])
    return Registry([Agent("zzchiefzz", "Lead.", tools=[clerk.as_tool(description="Pays.")])])


def _model() -> ScriptedModel:
    asks = calls(
        ("zzrefusedzz", {"zzkeyzz": "zzwhatzz"}),
        ("pay", {"to": "zztozz", "amount": 7, "details": {"zzkeyzz": ["zztozz"]},
                 "zzkeyzz": "zzwhatzz"}),
    )  # fmt: skip
    script = {
        "zzchiefzz": [calls(("zzclerkzz", {"input": "zzinputzz"})), say("done")],
        "zzclerkzz": [
            calls(("look", {"what": "zzwhatzz"})),
            asks.model_copy(update={"content": "zzexplainszz"}),
            say("done"),
        ],
    }
    return ScriptedModel(script)


# -- the scenes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A run as it is stored, as JSON."""

    head: Any
    registers: dict[str, Any]
    notices: list[Any]
    request_id: str
    profiles: dict[str, Any]


class RecordedRun:
    """A run that is brought to the state of a scene."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.store = InMemoryStore()
        agents = registry()
        self.runner = Runner(
            store=self.store,
            model=_model(),
            registry=agents,
            queue=LocalWorkQueue(),
            clock=lambda: self.now,
        )
        self.services = Services.of(
            store=self.store,
            queue=LocalWorkQueue(),
            registry=lambda: agents,
            clock=lambda: self.now,
        )
        metadata = {"zzmetadatazz": "zzmetadatazz"}
        started = self.services.runs.start(
            "zzchiefzz", "zzgoalzz", metadata=metadata, requester="zzrequesterzz", starter=PORTAL
        )
        self.run_id = started.run_id
        self.runner.advance(self.run_id)
        self.path, call = next(
            each
            for each in self.services.runs.load(self.run_id).continuation.calls()
            if each[1].approval
        )
        assert call.approval
        self.request_id = call.approval.request_id

    def decide(self, approver: str, verdict: str = "approve", **more: Any) -> None:
        response = Decide(verdict=Verdict(verdict), approver=approver, via="session", **more)
        self.services.decisions.decide(self.run_id, self.request_id, response)
        self.runner.advance(self.run_id)

    def approve_all(self, reason: str = "zzwhyzz") -> None:
        for approver in (ANN, BOB):
            self.decide(approver, reason=reason)
        response = Decide(
            verdict=Verdict.APPROVE, approver=CARL, via="session", groups=(GROUP,), reason=reason
        )
        self.services.decisions.decide(self.run_id, self.request_id, response)

    def lose(self) -> None:
        """Start the approved call and lose its process."""
        head = self.store.claim(
            self.run_id, holder="gone", now=self.now, lease_until=self.now + timedelta(seconds=1)
        )
        assert head
        intent = Intent(attempt=1, started_at=self.now, deadline=self.now + timedelta(seconds=2))
        intents = {path_text(self.path): intent}
        self.store.record_intents(self.run_id, epoch=head.epoch, intents=intents, settled=())
        self.now += timedelta(seconds=3600)
        self.runner.advance(self.run_id)
        doubt = self.services.runs.load(self.run_id).continuation.call_at(self.path).doubt
        assert doubt
        self.request_id = doubt.request_id

    def scene(self) -> Scene:
        snapshot = self.services.runs.load(self.run_id).snapshot
        return Scene(
            head=snapshot.head.model_dump(mode="json"),
            registers={
                each.key: EVENTS.dump_python(each.events, mode="json") for each in snapshot.entries
            },
            notices=[each.model_dump(mode="json") for each in self.store.notices(self.run_id)],
            request_id=self.request_id,
            profiles={each.digest: each.model_dump(mode="json") for each in self.profiles()},
        )

    def profiles(self) -> Iterator[RequestProfile]:
        for frame in self.services.runs.load(self.run_id).continuation.frames():
            for turn in frame.turns:
                profile = self.store.profile(turn.profile or "")
                assert profile
                yield profile


def _voted(run: RecordedRun) -> None:
    run.decide(ANN, reason="zzwhyzz")


def _rejected(run: RecordedRun) -> None:
    run.decide(ANN, reason="zzwhyzz")
    run.decide(BOB, "reject", reason="zzotherzz")


def _edited(run: RecordedRun) -> None:
    edited = {"to": "zzotherzz", "amount": 8, "details": {"zzotherzz": None}}
    run.decide(ANN, arguments=edited, reason="zzwhyzz")
    for approver in (BOB, CARL):
        run.decide(approver, reason="zzwhyzz")


def _doubt(run: RecordedRun) -> None:
    run.approve_all()
    run.lose()


def _cancelled(run: RecordedRun) -> None:
    run.services.control.cancel(run.run_id)


SCENES: dict[str, Callable[[RecordedRun], None]] = {
    "open": lambda _run: None,
    "voted": _voted,
    "rejected": _rejected,
    "edited": _edited,
    "doubt": _doubt,
    "cancelled": _cancelled,
}


@cache
def scene(name: str) -> Scene:
    run = RecordedRun()
    SCENES[name](run)
    return run.scene()
