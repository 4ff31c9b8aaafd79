"""HTTP API on loopback with an in-process runner, for tests of the command line client."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import TypeAdapter

from agent_continuations import LocalRunner
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.run import Status
from agent_continuations.errors import ContinuationError
from agent_continuations.handlers.problems import problem, problem_of
from agent_continuations.services.model_requests import model_requests
from agent_continuations.services.request_pages import PageLimits
from agent_continuations.views.agent import agent_page
from agent_continuations.views.base import moment
from agent_continuations.views.decision import decision_result_view
from agent_continuations.views.grant import grant_view
from agent_continuations.views.run import Accepted, RunPage, links, summary
from agent_continuations.views.timeline import Timeline
from tests.support.local_harness import NOW

WHOLE = PageLimits(50, 1_000_000)
JSON: TypeAdapter[Any] = TypeAdapter(Any)


@dataclass
class ReceivedRequest:
    """Received request; `target` and `text` are the raw request target and body."""

    method: str
    target: str
    text: bytes
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """State of the API.

    Attributes:
        runner: runner of the agents.
        received: requests received so far.
        refusals: status and headers of the error responses to the next requests.
        refusal: body of these responses; None for a problem document.
        dropped: number of next requests that are received but not answered.
        page_limits: limits of a page of model requests.
    """

    runner: LocalRunner
    url: str = ""
    received: list[ReceivedRequest] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    refusal: Any = None
    dropped: int = 0
    page_limits: PageLimits = WHOLE
    lock: threading.RLock = field(default_factory=threading.RLock)

    def received_by_method(self, method: str) -> list[ReceivedRequest]:
        return [each for each in self.received if each.method == method]

    def get(self, parts: list[str], query: dict[str, str]) -> Any:
        match parts:
            case ["runs"]:
                return self._page(**query)
            case ["runs", run_id]:
                if "wait" in query:
                    self._watch(run_id, int(query["wait"]), query.get("after"))
                return self.runner.get(run_id)
            case ["runs", run_id, "continuation"]:
                return self.runner.continuation(run_id)
            case ["runs", run_id, "timeline"]:
                return Timeline(items=tuple(self.runner.timeline(run_id)))
            case ["runs", run_id, "messages"]:
                turn = query.pop("turn", None)
                return model_requests(
                    self.runner._services.runs,
                    run_id,
                    turn=None if turn is None else int(turn),
                    limits=self.page_limits,
                    **query,
                )
            case ["runs", run_id, "audit"]:
                return self.runner.audit(run_id).model_dump(mode="json")
            case ["agents"]:
                return agent_page(self.runner._services.runs.registry())
            case ["grants"]:
                return {"items": [grant_view(each, NOW) for each in self._grants(**query)]}
            case _:
                return None

    def _grants(self, approver: str | None = None) -> list[Grant]:
        return self.runner._services.grants.all(approver)

    def _page(
        self,
        *,
        status: str | None = None,
        agent: str | None = None,
        cursor: str | None = None,
        limit: str = "50",
    ) -> RunPage:
        result = self.runner._services.runs.page(
            status=Status(status) if status else None, agent=agent, cursor=cursor, limit=int(limit)
        )
        return RunPage(items=tuple(map(summary, result.heads)), next=result.next)

    def _watch(self, run_id: str, seconds: float, after: str | None) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            view = self.runner.get(run_id)
            at_rest = view.status not in (Status.READY, Status.RUNNING)
            if at_rest and moment(view.updated_at) != after:
                return
            time.sleep(0.02)

    def post(self, parts: list[str], body: Any, key: str | None) -> Any:
        services = self.runner._services
        match parts:
            case ["runs"]:
                head = services.runs.start(
                    body["agent"], body["input"], key=key, metadata=body.get("metadata")
                )
                accepted = Accepted(
                    run_id=head.run_id, status=head.status, links=links(head.run_id)
                )
                self.runner.advance(head.run_id)
                return accepted
            case ["runs", run_id, "decisions"]:
                decided = services.decisions.decide(run_id, body["request_id"], _decision(body))
                self.runner.advance(run_id)
                return decision_result_view(run_id, decided)
            case ["runs", run_id, "messages"]:
                message = services.inbound.message(run_id, body["content"], key=key)
                self.runner.advance(run_id)
                return {"run_id": run_id, "message_id": message.message_id, "at": message.at}
            case ["runs", run_id, "events", name]:
                payload, correlation = body.get("payload"), body.get("correlation")
                signal = services.inbound.signal(
                    run_id, name, payload, correlation=correlation, key=key
                )
                self.runner.advance(run_id)
                return {"run_id": run_id, "event_id": signal.event_id, "name": name}
            case ["grants", grant_id, "revoke"]:
                return grant_view(services.grants.revoke(grant_id, by="cli"), NOW)
            case ["runs", run_id, "cancel" | "pause" | "resume" | "redrive" as action]:
                head = getattr(services.control, action)(run_id)
                self.runner.advance(run_id)
                return summary(head)
            case _:
                return None


def _decision(body: dict[str, Any]) -> Decide:
    verdict = Verdict.REJECT if body["decision"] == "reject" else Verdict.APPROVE
    return Decide(
        verdict=verdict,
        arguments=body.get("arguments"),
        arguments_hash=body.get("arguments_hash"),
        answer=body.get("answer"),
        approver=body.get("approver"),
        reason=body.get("reason"),
        decided_by="cli",
        via="api",
    )


class Handler(BaseHTTPRequestHandler):
    """Handler of one request: records it, calls the API and sends the response."""

    def __init__(self, server: Server, *arguments: Any) -> None:
        self.server_state = server
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None: ...

    def _answer(self) -> None:
        target = urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        query = {name: value for name, (value,) in parse_qs(target.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(text) if text else None
        self.server_state.received.append(
            ReceivedRequest(self.command, self.path, text, target.path, query, headers, body)
        )
        if self.server_state.dropped:
            self.server_state.dropped -= 1
            self.close_connection = True
            return
        if self.server_state.refusals:
            status, response_headers = self.server_state.refusals.pop(0)
            default_problem = problem(HTTPStatus(status), "not now")
            self._send(status, self.server_state.refusal or default_problem, response_headers)
            return
        parts = [unquote(part) for part in target.path.split("/")[1:]]
        self._send(*self._result(parts, query, body, headers.get("idempotency-key")))

    def _result(
        self, parts: list[str], query: dict[str, str], body: Any, key: str | None
    ) -> tuple[int, Any]:
        try:
            if self.command == "GET":
                result, status = self.server_state.get(parts, query), 200
            else:
                with self.server_state.lock:
                    result = self.server_state.post(parts, body, key)
                status = 200 if parts[-1] in ("decisions", "revoke") else 202
        except ContinuationError as error:
            document = problem_of(error, "cli-world")
            return document["status"], document
        if result is None:
            return 404, problem(HTTPStatus.NOT_FOUND, "there is no such route")
        return status, result

    def _send(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        text = JSON.dump_json(document)
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        # An interrupted client has closed the connection.
        with suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(text)


class FileHandler(SimpleHTTPRequestHandler):
    """Handler that serves files of a folder instead of the API."""

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def serve_api(runner: LocalRunner) -> Iterator[Server]:
    """Serves the API of a runner on a free port."""
    server = Server(runner)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, server)) as listening:
        server.url = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
