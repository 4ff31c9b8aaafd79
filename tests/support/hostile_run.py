"""A scene with hostile texts in a store in memory, and the HTTP functions on it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any
from urllib.parse import urlencode

import pytest

from agent_continuations.adapters.stores.memory import InMemoryInbox, InMemoryStore
from agent_continuations.auth.approval_links import ApprovalLinks
from agent_continuations.auth.callers import Callers
from agent_continuations.core.notice import Notice
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import JournalEntry, RunHead
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.ports.inbox import InboxEntry
from agent_continuations.services.runs import DEFAULT_TENANT
from agent_continuations.services.services import Services
from tests.support.hostile_scenes import ANN, EVENTS, GROUP, MARK, Words, registry, scene
from tests.support.http_answers import CURL
from tests.support.http_answers import Answer as Response
from tests.support.lambda_invocation import Context, example

_links = ApprovalLinks(["k" * 64])


def filled(value: Any, words: Words) -> Any:
    """A JSON value with texts in place of its markers."""
    match value:
        case str():
            return MARK.sub(lambda found: words[found[1]], value)
        case list():
            return [filled(each, words) for each in value]
        case dict():
            return {filled(name, words): filled(each, words) for name, each in value.items()}
        case _:
            return value


class FilledStore(InMemoryStore):
    """A store whose request profiles have the texts, under the digests that they had before."""

    def __init__(self, profiles: Mapping[str, Any], words: Words) -> None:
        super().__init__()
        self._filled = {
            digest: RequestProfile.model_validate(filled(profile, words))
            for digest, profile in profiles.items()
        }

    def profile(self, digest: str) -> RequestProfile | None:
        return self._filled.get(digest)


def filled_as_json(value: Any, words: Words) -> Any:
    """As `filled`, but in the texts of calls, which are JSON, the texts are JSON, too."""
    match value:
        case list():
            return [filled_as_json(each, words) for each in value]
        case {"name": name, "arguments": str(text), **more} if not more:
            arguments = json.dumps(filled(json.loads(text), words))
            return {"name": filled(name, words), "arguments": arguments}
        case dict():
            return {
                filled(name, words): filled_as_json(each, words) for name, each in value.items()
            }
        case _:
            return filled(value, words)


class NoEndedSessions:
    """Nobody has signed out."""

    def has_ended(self, _session: str) -> bool:
        return False


class HostileRun:
    """A scene filled with texts, and the HTTP functions on it."""

    def __init__(self, name: str, words: Words) -> None:
        self.words, recorded = words, scene(name)
        self.request_id = recorded.request_id
        self.head = RunHead.model_validate(filled(recorded.head, words))
        self.store, self.inbox = FilledStore(recorded.profiles, words), InMemoryInbox()
        # An open request can be edited, so the text of its call must stay the JSON that it is.
        fill = filled_as_json if name == "open" else filled
        registers = [
            JournalEntry(key, EVENTS.validate_python(fill(events, words)))
            for key, events in recorded.registers.items()
        ]
        first = next(each for each in registers if each.events[0].kind == "started")
        self.store.create(self.head, first)
        for each in registers:
            self.store.append(self.head.run_id, each)
        self.notices = [Notice.model_validate(filled(each, words)) for each in recorded.notices]
        self.services = Services.of(store=self.store, queue=LocalWorkQueue(), registry=registry)

    def link(self, who: str = ANN) -> dict[str, str]:
        """The path parameters of an approver's link."""
        until = datetime.now(UTC) + timedelta(days=7)
        name = filled(who, self.words)
        return {
            "token": _links.token(self.head.run_id, self.request_id, name, until, "f" * 64),
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
        """Open the page for signed-in people without a session."""
        return self._http("signed-in-page", {"token": run_id, "request_id": request_id})

    def open_as_operator(self) -> list[Response]:
        """The list of runs, with a filter that finds this one, the run, and its messages."""
        run, query = {"run_id": self.head.run_id}, {"agent": self.head.agent}
        return [
            self._http("web", {}, query=query, function="dashboard"),
            self._http("web-run", run, function="dashboard"),
            self._http("web-messages", run, function="dashboard"),
            self._http("web-messages", run, query={"path": "0.0"}, function="dashboard"),
        ]

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
        single = {each.lower(): value for each, value in got["multiValueHeaders"].items()}
        headers = {each: value for each, [value] in single.items()}
        return Response(got["statusCode"], headers, got["body"] or "")

    @contextmanager
    def _wired(self) -> Iterator[None]:
        """Wire the functions to what is in memory, as `bootstrap` wires them to the table."""
        with pytest.MonkeyPatch.context() as patch:
            for function in ("approvals_api", "dashboard", "runs_api"):
                patch.setattr(f"{function}.app.services", lambda: self.services)
            patch.setattr("approvals_api.app.inbox", lambda: self.inbox)
            patch.setattr("approvals_api.app.ended_sessions", NoEndedSessions)
            patch.setattr("dashboard.app.ended_sessions", NoEndedSessions)
            patch.setattr("approvals_api.app.registry", registry)
            patch.setattr("runs_api.app.callers", Callers)
            patch.setattr("approvals_api.app.approval_links", lambda: _links)
            patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tests")
            patch.setenv("WEB_IS_OPEN", "yes")
            patch.setenv("CALLERS_MAY_ACT_FOR_APPROVERS", "no")
            patch.setenv("CALLERS_MAY_NAME_REQUESTERS", "")
            patch.setenv("PUBLIC_URL", "http://localhost")
            yield
