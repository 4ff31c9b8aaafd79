"""HTTP for programs: start, read, list, decide, cancel. A route parses, calls a service, maps."""

import os
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.auth.callers import NO_CALLER
from agent_continuations.bootstrap.callers import callers
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.services import services
from agent_continuations.core.run import Status
from agent_continuations.errors import Invalid
from agent_continuations.handlers.metrics import counter
from agent_continuations.handlers.responses import json_response
from agent_continuations.handlers.routing import (
    check_parameters,
    log_run,
    parsed_body,
    parsed_status,
    resolver,
)
from agent_continuations.ports.clock import utc_now
from agent_continuations.services.audit import audit
from agent_continuations.services.model_requests import model_requests
from agent_continuations.services.request_pages import PageLimits
from agent_continuations.views.agent import agent_page
from agent_continuations.views.decision import decision_result_view
from agent_continuations.views.grant import grant_view
from agent_continuations.views.run import (
    Accepted,
    MessageView,
    RunPage,
    SignalView,
    links,
    run_view,
    summary,
)
from agent_continuations.views.timeline import Timeline, timeline
from runs_api.access import CallerAccess
from runs_api.schemas import Decide, Happen, Say, Start, to_response

# API Gateway gives up after 29 seconds.
MAX_WAIT_SECONDS = 20
MAX_TURN = 999_999_999
# A page may have twice as much, and its list of agents comes on top; a response has up to 6 MB.
MAX_PAGE_BYTES = 2_300_000

UNKNOWN_CALLER = (
    "it is not known which person this caller is, so the API takes no decision on requests of high"
    " risk of this run; the page takes them. An operator can add the caller to the deployment's"
    " callers."
)

logger = function_logger("runs-api")
count = counter("runs-api")
app = resolver(logger)


@app.post("/runs")
def start() -> Response[str]:
    body, access = parsed_body(app, Start), _access()
    access.check_start(body.agent)
    head = services().runs.start(
        body.agent,
        body.input,
        key=_key(access),
        metadata=body.metadata,
        requester=access.requester(body.requester, "requester"),
        starter=access.caller.name,
    )
    log_run(logger, head.run_id)
    count("RunsStarted")
    started = Accepted(
        run_id=head.run_id,
        status=head.status,
        links=links(head.run_id),
        warning=None if access.knows_who_asked(head.requester) else UNKNOWN_CALLER,
    )
    return json_response(started, HTTPStatus.ACCEPTED, {"Location": started.links["self"]})


@app.get("/runs")
def page() -> Response[str]:
    query, access = app.current_event.query_string_parameters or {}, _access()
    check_parameters(query, ("status", "agent", "cursor", "limit"))
    found = services().runs.page(
        status=parsed_status(query.get("status")),
        agent=query.get("agent"),
        starter=None if access.is_operator else access.caller.name,
        cursor=query.get("cursor"),
        limit=_number("limit", query.get("limit", "50"), 100),
    )
    return json_response(RunPage(items=tuple(map(summary, found.heads)), next=found.next))


@app.get("/runs/<run_id>")
def read(run_id: str) -> Response[str]:
    query = app.current_event.query_string_parameters or {}
    check_parameters(query, ("wait", "after"))
    runs, access = services().runs, _access()
    if "wait" in query:
        seconds = _number("wait", query["wait"], MAX_WAIT_SECONDS)
        access.readable(run_id)
        runs.watch(run_id, seconds, after=query.get("after"))
    loaded = access.readable(run_id)
    # Undelivered notices only matter while the run is suspended.
    waits = loaded.head.status is Status.SUSPENDED
    notices = runs.store.notices(run_id) if waits else ()
    inner = runs.waiting(loaded)
    return json_response(run_view(loaded.head, loaded.continuation, notices, inner))


@app.get("/runs/<run_id>/continuation")
def continuation(run_id: str) -> Response[str]:
    return json_response(_access().readable(run_id).continuation)


@app.get("/runs/<run_id>/timeline")
def run_timeline(run_id: str) -> Response[str]:
    loaded = _access().readable(run_id)
    return json_response(Timeline(items=tuple(timeline(loaded.snapshot, loaded.continuation))))


@app.get("/runs/<run_id>/audit")
def run_audit(run_id: str) -> Response[str]:
    return json_response(audit(_access().readable(run_id)).model_dump(mode="json"))


@app.get("/runs/<run_id>/messages")
def read_messages(run_id: str) -> Response[str]:
    query = app.current_event.query_string_parameters or {}
    check_parameters(query, ("path", "turn", "cursor", "limit"))
    _access().readable(run_id)
    turn = query.get("turn")
    page = model_requests(
        services().runs,
        run_id,
        query.get("path", ""),
        turn=None if turn is None else _number("turn", turn, MAX_TURN, least=0),
        cursor=query.get("cursor"),
        limits=PageLimits(_number("limit", query.get("limit", "50"), 100), MAX_PAGE_BYTES),
    )
    return json_response(page)


@app.post("/runs/<run_id>/decisions")
def decide(run_id: str) -> Response[str]:
    body, access = parsed_body(app, Decide), _access()
    is_proven = access.proves_approver(run_id, body.request_id, body.approver)
    response = to_response(body, access, is_proven=is_proven)
    result = services().decisions.decide(run_id, body.request_id, response)
    count("Decisions")
    return json_response(decision_result_view(run_id, result))


@app.post("/runs/<run_id>/messages")
def send_message(run_id: str) -> Response[str]:
    body, access = parsed_body(app, Say), _access()
    access.check_control(run_id)
    sender = access.requester(body.sender, "sender")
    stored = services().inbound.message(run_id, body.content, key=_key(access), sender=sender)
    accepted = MessageView(run_id=run_id, message_id=stored.message_id, at=stored.at)
    return json_response(accepted, HTTPStatus.ACCEPTED)


@app.post("/runs/<run_id>/events/<name>")
def send_event(run_id: str, name: str) -> Response[str]:
    body, access = parsed_body(app, Happen), _access()
    access.check_events(run_id)
    signal = services().inbound.signal(
        run_id, unquote(name), body.payload, correlation=body.correlation, key=_key(access)
    )
    accepted = SignalView(run_id=run_id, event_id=signal.event_id, name=signal.name, at=signal.at)
    return json_response(accepted, HTTPStatus.ACCEPTED)


@app.get("/agents")
def agents() -> Response[str]:
    check_parameters(app.current_event.query_string_parameters or {}, ())
    return json_response(agent_page(services().runs.registry()))


@app.get("/grants")
def grants() -> Response[str]:
    query = app.current_event.query_string_parameters or {}
    check_parameters(query, ("approver",))
    now, found = utc_now(), services().grants.all(query.get("approver"))
    return json_response({"items": [grant_view(each, now) for each in found], "next": None})


@app.post("/grants/<grant_id>/revoke")
def revoke(grant_id: str) -> Response[str]:
    access = _access()
    caller = access.caller
    only_of = None if access.is_operator or access.decides_for_others else caller.name
    by = caller.person or caller.arn
    grant = services().grants.revoke(grant_id, by=by, only_of=only_of)
    return json_response(grant_view(grant, utc_now()))


@app.post("/runs/<run_id>/cancel")
def cancel(run_id: str) -> Response[str]:
    _access().check_control(run_id)
    head = services().control.cancel(run_id)
    return json_response(summary(head), HTTPStatus.ACCEPTED)


@app.post("/runs/<run_id>/pause")
def pause(run_id: str) -> Response[str]:
    _access().check_control(run_id)
    head = services().control.pause(run_id)
    return json_response(summary(head), HTTPStatus.ACCEPTED)


@app.post("/runs/<run_id>/resume")
def resume(run_id: str) -> Response[str]:
    _access().check_control(run_id)
    head = services().control.resume(run_id)
    return json_response(summary(head), HTTPStatus.ACCEPTED)


@app.post("/runs/<run_id>/redrive")
def redrive(run_id: str) -> Response[str]:
    _access().check_control(run_id)
    head = services().control.redrive(run_id)
    return json_response(summary(head), HTTPStatus.ACCEPTED)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point for API Gateway."""
    return app.resolve(event, context)


def _number(name: str, text: str, most: int, *, least: int = 1) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most:
        return int(text)
    raise Invalid(f"invalid {name}", [(name, f"must be a number from {least} to {most}")])


def _access() -> CallerAccess:
    """The rights of the caller of the present request."""
    arn = app.current_event.request_context.identity.user_arn or NO_CALLER
    all_decide = os.environ["CALLERS_MAY_ACT_FOR_APPROVERS"]
    all_name = os.environ["CALLERS_MAY_NAME_REQUESTERS"] or all_decide
    return CallerAccess.of(
        arn,
        callers(),
        services().runs,
        all_decide_for_others=all_decide == "yes",
        all_name_requesters=all_name == "yes",
    )


def _key(access: CallerAccess) -> str | None:
    """The caller's Idempotency-Key. Callers have keys of their own: nobody finds or blocks what
    another one sends by using its key.
    """
    key: str | None = app.current_event.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= 255:
        raise Invalid("invalid key", [("Idempotency-Key", "must have 1 to 255 characters")])
    return f"{access.caller.name} {key}"  # neither an ARN nor an address has a space
