"""HTTP for programs: start, read, list, decide, cancel. Parse, one call, map the result."""

import os
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeAlias, assert_never

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from agent_continuations import bootstrap
from agent_continuations.answers import grant_view, settled_view
from agent_continuations.audit import audit
from agent_continuations.core.approval import Verdict
from agent_continuations.core.grant import Rule
from agent_continuations.errors import Forbidden, Invalid
from agent_continuations.http import RequestBody, json_response, parsed_body, resolver
from agent_continuations.ports import Status
from agent_continuations.requests import Answer, InAdvance, PassOn, Said, TakeBack
from agent_continuations.telemetry import counter
from agent_continuations.timeline import Timeline, timeline
from agent_continuations.views import Accepted, RunPage, links, run_view, summary

logger = Logger(service="runs-api")
count = counter("runs-api")
app = resolver(logger)


Short: TypeAlias = Annotated[str, Field(max_length=256)]


class Start(RequestBody):
    """What starts a run."""

    agent: Short
    input: str
    metadata: dict[Short, Short] = Field(default={}, max_length=20)
    requester: Short | None = None


class GrantBody(RequestBody):
    """What else is agreed to with an approval."""

    seconds: int
    rules: dict[Short, Rule] = Field(default={}, max_length=100)
    max_uses: int | None = None


class Decide(RequestBody):
    """What is said to a request."""

    request_id: Short
    decision: Literal["approve", "reject", "withdraw", "reassign"]
    arguments: dict[str, Any] | None = None
    reason: str | None = Field(default=None, max_length=4000)
    approver: Short | None = None
    groups: tuple[Short, ...] = Field(default=(), max_length=50)
    arguments_hash: Short | None = None
    to: Short | None = None
    grant: GrantBody | None = None


@app.post("/runs")
def start() -> Response[str]:
    body = parsed_body(app, Start)
    key = app.current_event.headers.get("Idempotency-Key")
    if key is not None and not 1 <= len(key) <= 255:
        raise Invalid("the key does not fit", [("Idempotency-Key", "1 to 255 characters")])
    head = bootstrap.runs().start(
        body.agent,
        body.input,
        key=key,
        metadata=body.metadata,
        requester=_speaks_for(body.requester, "requester") or _caller(),
    )
    count("RunsStarted")
    started = Accepted(run_id=head.run_id, status=head.status, links=links(head.run_id))
    return json_response(started, HTTPStatus.ACCEPTED, {"Location": started.links["self"]})


@app.get("/runs")
def page() -> Response[str]:
    query = app.current_event.query_string_parameters or {}
    _refuse_unknown(query, ("status", "agent", "cursor", "limit"))
    found = bootstrap.runs().page(
        status=_status(query.get("status")),
        agent=query.get("agent"),
        cursor=query.get("cursor"),
        limit=_limit(query.get("limit", "50")),
    )
    return json_response(RunPage(items=tuple(map(summary, found.heads)), next=found.next))


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
    return json_response(Timeline(items=tuple(timeline(loaded.snapshot, loaded.continuation))))


@app.get("/runs/<run_id>/audit")
def trail(run_id: str) -> Response[str]:
    return json_response(audit(bootstrap.runs().load(run_id)).model_dump(mode="json"))


@app.post("/runs/<run_id>/decisions")
def decide(run_id: str) -> Response[str]:
    body = parsed_body(app, Decide)
    settled = bootstrap.runs().decide(run_id, body.request_id, _said(body))
    count("Decisions")
    return json_response(settled_view(run_id, settled))


@app.get("/grants")
def grants() -> Response[str]:
    query = app.current_event.query_string_parameters or {}
    _refuse_unknown(query, ("approver",))
    runs = bootstrap.runs()
    now, found = runs.clock(), runs.grants.all(query.get("approver"))
    return json_response({"items": [grant_view(each, now) for each in found], "next": None})


@app.post("/grants/<grant_id>/revoke")
def revoke(grant_id: str) -> Response[str]:
    caller, runs = _caller(), bootstrap.runs()
    mine = None if _may_speak_for_others() else caller
    grant = runs.grants.revoke(grant_id, by=caller, only_of=mine)
    return json_response(grant_view(grant, runs.clock()))


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


def _refuse_unknown(query: Mapping[str, str], known: Collection[str]) -> None:
    unknown = [(name, "unknown") for name in query if name not in known]
    if unknown:
        raise Invalid("there is no such parameter", unknown)


def _status(text: str | None) -> Status | None:
    if text is None or text in set(Status):
        return Status(text) if text else None
    raise Invalid("there is no such status", [("status", f"one of {', '.join(Status)}")])


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 100:
        return int(text)
    raise Invalid("the limit does not fit", [("limit", "a number from 1 to 100")])


def _said(body: Decide) -> Said:
    """What a body says, and for whom.

    Raises:
        Invalid: fields that do not belong to the decision, or one that is missing.
        Forbidden: the caller may not speak for this person.
    """
    more = {
        "arguments": body.decision != "approve",
        "grant": body.decision != "approve",
        "to": body.decision != "reassign",
    }
    wrong = [name for name, unfit in more.items() if unfit and getattr(body, name) is not None]
    if body.decision == "reject" and body.arguments is not None:
        wrong = [each for each in wrong if each != "arguments"]  # said by `decide`, in its words
    if wrong:
        raise Invalid("the fields do not fit together", [(each, "not here") for each in wrong])
    if body.groups and not _may_speak_for_others():
        raise Forbidden("callers decide as themselves only", [("groups", "not known here")])
    caller = _caller()
    who: dict[str, Any] = {
        "approver": _speaks_for(body.approver, "approver"),
        "decided_by": caller,
        "via": "api",
        "reason": body.reason,
        "groups": body.groups,
        "authentication": f"iam {caller}",
        "arguments_hash": body.arguments_hash,
    }
    match body.decision:
        case "withdraw":
            return TakeBack(**who)
        case "reassign":
            if body.to is None:
                raise Invalid("say to whom", [("to", "required")])
            return PassOn(to=body.to, **who)
        case "approve" | "reject":
            return Answer(
                verdict=Verdict(body.decision),
                arguments=body.arguments,
                grant=InAdvance(**dict(body.grant)) if body.grant else None,
                **who,
            )
        case _:
            assert_never(body.decision)


def _caller() -> str:
    return app.current_event.request_context.identity.user_arn or "unknown caller"


def _may_speak_for_others() -> bool:
    return os.environ.get("CALLERS_MAY_ACT_FOR_APPROVERS") == "yes"


def _speaks_for(named: str | None, field: str) -> str | None:
    """Whom the caller speaks for: itself, unless the deployment lets callers act for others."""
    if _may_speak_for_others():
        return named
    if named not in (None, _caller()):
        raise Forbidden("callers speak for themselves only", [(field, "not the caller")])
    return _caller()
