"""HTTP for programs: start, read, list, decide, cancel. Parse, one call, map the result."""

import os
from http import HTTPStatus
from typing import Annotated, Any, TypeAlias

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from agent_continuations import bootstrap
from agent_continuations.core.approval import Verdict
from agent_continuations.errors import Forbidden, Invalid
from agent_continuations.http import RequestBody, json_response, parsed_body, resolver
from agent_continuations.ports import Status
from agent_continuations.requests import Answer
from agent_continuations.telemetry import counter
from agent_continuations.timeline import timeline
from agent_continuations.views import links, run_view, settled_view, summary

logger = Logger(service="runs-api")
count = counter("runs-api")
app = resolver(logger)


Short: TypeAlias = Annotated[str, Field(max_length=256)]


class Start(RequestBody):
    """What starts a run."""

    agent: str
    input: str
    metadata: dict[Short, Short] = Field(default={}, max_length=20)


class Decide(RequestBody):
    """What decides a request."""

    request_id: str
    decision: Verdict
    arguments: dict[str, Any] | None = None
    reason: str | None = Field(default=None, max_length=4000)
    approver: str | None = None


@app.post("/runs")
def start() -> Response[str]:
    body = parsed_body(app, Start)
    key = app.current_event.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= 255:
        raise Invalid("the key does not fit", [("Idempotency-Key", "1 to 255 characters")])
    head = bootstrap.runs().start(body.agent, body.input, key=key, metadata=body.metadata)
    count("RunsStarted")
    started = {"run_id": head.run_id, "status": head.status, "links": links(head.run_id)}
    return json_response(started, HTTPStatus.ACCEPTED, {"Location": links(head.run_id)["self"]})


@app.get("/runs")
def page() -> Response[str]:
    query = app.current_event.query_string_parameters or {}
    unknown = [(name, "unknown") for name in query if name not in _PAGE_PARAMETERS]
    if unknown:
        raise Invalid("there is no such parameter", unknown)
    found = bootstrap.runs().page(
        status=_status(query.get("status")),
        agent=query.get("agent"),
        cursor=query.get("cursor"),
        limit=_limit(query.get("limit", "50")),
    )
    return json_response({"items": [summary(head) for head in found.heads], "next": found.next})


@app.get("/runs/<run_id>")
def read(run_id: str) -> Response[str]:
    loaded = bootstrap.runs().load(run_id)
    return json_response(run_view(loaded.head, loaded.continuation))


@app.get("/runs/<run_id>/continuation")
def continuation(run_id: str) -> Response[str]:
    return json_response(bootstrap.runs().load(run_id).continuation)


@app.get("/runs/<run_id>/timeline")
def what_happened(run_id: str) -> Response[str]:
    loaded = bootstrap.runs().load(run_id)
    return json_response({"items": timeline(loaded.snapshot, loaded.continuation), "next": None})


@app.post("/runs/<run_id>/decisions")
def decide(run_id: str) -> Response[str]:
    body = parsed_body(app, Decide)
    caller = app.current_event.request_context.identity.user_arn or "unknown caller"
    answer = Answer(
        verdict=body.decision,
        approver=_approver(body, caller),
        decided_by=caller,
        via="api",
        reason=body.reason,
        arguments=body.arguments,
    )
    settled = bootstrap.runs().decide(run_id, body.request_id, answer)
    count("Decisions")
    return json_response(settled_view(run_id, settled))


@app.post("/runs/<run_id>/cancel")
def cancel(run_id: str) -> Response[str]:
    head = bootstrap.runs().cancel(run_id)
    return json_response(summary(head), HTTPStatus.ACCEPTED)


@app.post("/runs/<run_id>/redrive")
def redrive(run_id: str) -> Response[str]:
    head = bootstrap.runs().redrive(run_id)
    return json_response(summary(head), HTTPStatus.ACCEPTED)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point for API Gateway."""
    return app.resolve(event, context)


_PAGE_PARAMETERS = ("status", "agent", "cursor", "limit")


def _status(text: str | None) -> Status | None:
    if text is None or text in set(Status):
        return Status(text) if text else None
    raise Invalid("there is no such status", [("status", f"one of {', '.join(Status)}")])


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 100:
        return int(text)
    raise Invalid("the limit does not fit", [("limit", "a number from 1 to 100")])


def _approver(body: Decide, caller: str) -> str | None:
    """Whom the caller speaks for: itself, unless the deployment lets callers act for approvers."""
    if os.environ.get("CALLERS_MAY_ACT_FOR_APPROVERS") == "yes":
        return body.approver
    if body.approver not in (None, caller):
        raise Forbidden("callers decide as themselves only", [("approver", "not the caller")])
    return caller
