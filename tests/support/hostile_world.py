"""Runs in which every text is a stranger's, and the approver's function before them, in memory.

Each scene is a real run whose texts are markers. Filled in, it is what the store would hold had
those texts been there from the beginning; names that our own code would never let in are, too.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import Any
from urllib.parse import urlencode

import pytest
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
from agent_continuations.adapters.stores.memory import InMemoryInbox, InMemoryStore
from agent_continuations.auth.approval_links import ApprovalLinks
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Intent
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.events import Event
from agent_continuations.core.notice import Notice
from agent_continuations.core.path import path_text
from agent_continuations.core.run import JournalEntry, RunHead
from agent_continuations.engine.runner import Runner
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.ports.inbox import InboxEntry
from agent_continuations.services.runs import DEFAULT_TENANT
from agent_continuations.services.services import Services
from tests.support.http_answers import CURL
from tests.support.http_answers import Answer as Response
from tests.support.lambda_invocation import Context, example

MARK = re.compile("zz([a-z]+)zz")
PLACES = (
    *("chief", "clerk", "goal", "input", "explains", "refused", "key", "to", "what", "result"),
    *("ann", "bob", "carl", "group", "requester", "why", "other", "metadata"),
)
# What an agent or a tool is called, by which the code finds it again.
NAMES = {name: f"zz{name}zz" for name in ("chief", "clerk", "refused")}
ANN, BOB, CARL = (f"zz{name}zz@example.com" for name in ("ann", "bob", "carl"))
GROUP = "group:zzgroupzz"

Words = Mapping[str, str]
_EVENTS: TypeAdapter[tuple[Event, ...]] = TypeAdapter(tuple[Event, ...])
_capabilities = ApprovalLinks(["k" * 64])


@tool(effect="read")
def look(what: str) -> str:
    return f"found zzresultzz, not {what}"


@tool(
    approval=Approval(stages=[Stage([ANN, BOB], needed="all"), Stage([CARL, GROUP])]),
    preview=lambda given: Preview(effect=f"Pays {given['to']}.", reversible=False),
)
def pay(to: str, amount: int, details: dict[str, Any], zzkeyzz: str = "") -> str:
    return f"paid {to} {amount} {details} {zzkeyzz}"


def _registry() -> Registry:
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


class Play:
    """A run on its way to a scene."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.store = InMemoryStore()
        registry = _registry()
        self.runner = Runner(
            store=self.store,
            model=_model(),
            registry=registry,
            queue=LocalWorkQueue(),
            recipients=list,
            clock=lambda: self.now,
        )
        self.services = Services.of(
            store=self.store,
            queue=LocalWorkQueue(),
            registry=lambda: registry,
            clock=lambda: self.now,
        )
        metadata = {"zzmetadatazz": "zzmetadatazz"}
        started = self.services.runs.start(
            "zzchiefzz", "zzgoalzz", metadata=metadata, requester="zzrequesterzz"
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

    def says(self, who: str, verdict: str = "approve", **more: Any) -> None:
        said = Decide(verdict=Verdict(verdict), approver=who, via="session", **more)
        self.services.decisions.decide(self.run_id, self.request_id, said)
        self.runner.advance(self.run_id)

    def all_agree(self, reason: str = "zzwhyzz") -> None:
        for who in (ANN, BOB):
            self.says(who, reason=reason)
        said = Decide(
            verdict=Verdict.APPROVE, approver=CARL, via="session", groups=(GROUP,), reason=reason
        )
        self.services.decisions.decide(self.run_id, self.request_id, said)

    def lose(self) -> None:
        """Let the approved call begin, and its process be gone."""
        head = self.store.claim(
            self.run_id, holder="gone", now=self.now, lease_until=self.now + timedelta(seconds=1)
        )
        assert head
        intent = Intent(attempt=1, started_at=self.now, deadline=self.now + timedelta(seconds=2))
        intents = {path_text(self.path): intent}
        self.store.record_intents(self.run_id, epoch=head.epoch, intents=intents, settled=())
        self.now += timedelta(seconds=3600)
        self.runner.advance(self.run_id)
        asked = self.services.runs.load(self.run_id).continuation.call_at(self.path).doubt
        assert asked
        self.request_id = asked.request_id

    def kept(self) -> Scene:
        snapshot = self.services.runs.load(self.run_id).snapshot
        return Scene(
            head=snapshot.head.model_dump(mode="json"),
            registers={
                each.key: _EVENTS.dump_python(each.events, mode="json") for each in snapshot.entries
            },
            notices=[each.model_dump(mode="json") for each in self.store.notices(self.run_id)],
            request_id=self.request_id,
        )


def _voted(play: Play) -> None:
    play.says(ANN, reason="zzwhyzz")


def _rejected(play: Play) -> None:
    play.says(ANN, reason="zzwhyzz")
    play.says(BOB, "reject", reason="zzotherzz")


def _edited(play: Play) -> None:
    edited = {"to": "zzotherzz", "amount": 8, "details": {"zzotherzz": None}}
    play.says(ANN, arguments=edited, reason="zzwhyzz")
    for who in (BOB, CARL):
        play.says(who, reason="zzwhyzz")


def _doubt(play: Play) -> None:
    play.all_agree()
    play.lose()


def _cancelled(play: Play) -> None:
    play.services.control.cancel(play.run_id)


SCENES: dict[str, Callable[[Play], None]] = {
    "open": lambda _play: None,
    "voted": _voted,
    "rejected": _rejected,
    "edited": _edited,
    "doubt": _doubt,
    "cancelled": _cancelled,
}


@cache
def scene(name: str) -> Scene:
    play = Play()
    SCENES[name](play)
    return play.kept()


# -- filled with words -----------------------------------------------------------------------------


def filled(value: Any, words: Words) -> Any:
    """A JSON value, or a text, with words in place of its markers."""
    match value:
        case str():
            return MARK.sub(lambda found: words[found[1]], value)
        case list():
            return [filled(each, words) for each in value]
        case dict():
            return {filled(name, words): filled(each, words) for name, each in value.items()}
        case _:
            return value


class World:
    """One scene filled with words, and the HTTP function before it."""

    def __init__(self, name: str, words: Words) -> None:
        self.words, made = words, scene(name)
        self.request_id = made.request_id
        self.head = RunHead.model_validate(filled(made.head, words))
        self.store, self.inbox = InMemoryStore(), InMemoryInbox()
        registers = [
            JournalEntry(key, _EVENTS.validate_python(filled(events, words)))
            for key, events in made.registers.items()
        ]
        first = next(each for each in registers if each.events[0].kind == "started")
        self.store.create(self.head, first)
        for each in registers:
            self.store.append(self.head.run_id, each)
        self.notices = [Notice.model_validate(filled(each, words)) for each in made.notices]
        self.services = Services.of(store=self.store, queue=LocalWorkQueue(), registry=_registry)

    def link(self, who: str = ANN) -> dict[str, str]:
        """Where the mailed link of an approver leads."""
        until = datetime.now(UTC) + timedelta(days=7)
        name = filled(who, self.words)
        return {
            "token": _capabilities.token(self.head.run_id, self.request_id, name, until),
        }

    def open(self, who: str = ANN, **query: str) -> Response:
        return self._http("approval-page", self.link(who), query=query)

    def post(self, form: Mapping[str, str], who: str = ANN, *, page: bool = True) -> Response:
        return self._http("approval-decision", self.link(who), form=form, page=page)

    def open_inbox(self, who: str = ANN) -> Response:
        name, until = filled(who, self.words), datetime.now(UTC) + timedelta(days=1)
        asked = InboxEntry(self.head.run_id, self.request_id)
        self.inbox.put(DEFAULT_TENANT, name, asked, until=until)
        return self._http("inbox", {}, person=name)

    def post_inbox(self, form: Mapping[str, str], who: str = ANN) -> Response:
        return self._http("inbox-decision", {}, form=form, person=filled(who, self.words))

    def open_as_nobody(self, run_id: str, request_id: str) -> Response:
        """Without having signed in, open the page for those who have."""
        return self._http("signed-in-page", {"token": run_id, "request_id": request_id})

    def open_as_operator(self) -> tuple[Response, Response]:
        """The list of runs, with a filter that finds this one, and the run."""
        run, query = {"run_id": self.head.run_id}, {"agent": self.head.agent}
        return self._http("web", {}, query=query, function="dashboard"), self._http(
            "web-run", run, function="dashboard"
        )

    def api(self, name: str) -> Any:
        return self._http(name, {"run_id": self.head.run_id}, function="runs_api").json()

    def _http(
        self,
        name: str,
        params: Mapping[str, str],
        *,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        person: str | None = None,
        page: bool = True,
        function: str = "approvals_api",
    ) -> Response:
        event = example(name)
        event |= {"path": event["resource"].format(**params), "pathParameters": dict(params)}
        event["queryStringParameters"] = dict(query or {}) or None
        event["multiValueQueryStringParameters"] = None
        headers = {**event["headers"], **CURL, **({"Accept": "text/html"} if page else {})}
        event["headers"] = {each: value for each, value in headers.items() if value}
        event["body"] = urlencode(form) if form is not None else None
        event["requestContext"].pop("authorizer", None)
        if person:
            event["requestContext"]["authorizer"] = {
                "signed_in": "yes",
                "name": person,
                "groups": json.dumps([filled(GROUP, self.words)]),
                "authentication": "oidc",
            }
        with self._wired():
            got = import_module(f"{function}.app").handler(event, Context(function))
        told = {each.lower(): value for each, value in got["multiValueHeaders"].items()}
        headers = {each: value for each, [value] in told.items()}
        return Response(got["statusCode"], headers, got["body"] or "")

    @contextmanager
    def _wired(self) -> Iterator[None]:
        """Wire the functions to what is in memory, as `bootstrap` wires them to the table."""
        with pytest.MonkeyPatch.context() as patch:
            for function in ("approvals_api", "dashboard", "runs_api"):
                patch.setattr(f"{function}.app.services", lambda: self.services)
            patch.setattr("approvals_api.app.inbox", lambda: self.inbox)
            patch.setattr("approvals_api.app.registry", _registry)
            patch.setattr("approvals_api.app.approval_links", lambda: _capabilities)
            patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tests")
            patch.setenv("WEB_IS_OPEN", "yes")
            patch.setenv("PUBLIC_URL", "http://localhost")
            yield
