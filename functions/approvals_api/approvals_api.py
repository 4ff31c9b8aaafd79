"""HTTP for people: the approver's page, which changes nothing, and the form that decides."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

import pages
from agent_continuations import bootstrap
from agent_continuations.core.approval import Verdict
from agent_continuations.errors import Conflict, ContinuationError, Forbidden, Invalid, NotFound
from agent_continuations.http import json_response, problem_response, resolver
from agent_continuations.ports import utc_now
from agent_continuations.problem import problem_of
from agent_continuations.requests import Answer, Loaded, Request, find_request
from agent_continuations.telemetry import counter
from agent_continuations.views import settled_view

MAX_REASON_CHARACTERS = 4000
_FIELDS = {"decision", "arguments", "reason", "nonce"}

logger = Logger(service="approvals-api")
count = counter("approvals-api")
app = resolver(logger)


@app.route("/approvals/<token>", method=["GET", "HEAD"])
def page(token: str) -> Response[str]:
    """Show the request. Nothing is changed, whoever or whatever opens the link."""
    try:
        loaded, request, approver = _opened(token)
    except ContinuationError as error:
        return _refusal(error)
    return pages.of_request(
        loaded, request, approver, nonce=bootstrap.capabilities().nonce(token), now=utc_now()
    )


@app.route("/approvals/<token>", method=["OPTIONS"])
def options(token: str) -> Response[str]:
    """Say what the link can do."""
    del token
    return Response(
        HTTPStatus.NO_CONTENT.value, body="", headers={"Allow": "GET, HEAD, OPTIONS, POST"}
    )


@app.post("/approvals/<token>")
def decide(token: str) -> Response[str]:
    """Decide as the approver whom the link was made for."""
    try:
        form = _form()
        _check_sender(token, form)
        loaded, request, approver = _opened(token)
        answer = _answer(form, approver)
        settled = bootstrap.runs().settle(loaded, request, answer)
    except ContinuationError as error:
        return _refusal(error)
    count("Decisions")
    if _wants_page():
        # Back to the page by a GET, so that a reload sends no second decision.
        # Relative, because only the browser knows under which address it came here.
        return pages.see_other(token)
    return json_response(settled_view(loaded.head.run_id, settled))


@app.post("/slack/interactions")
def slack() -> Response[str]:
    """Take a click in Slack, which tells who clicked and signs it. It wants to hear in 3 s."""
    event = app.current_event
    told = bootstrap.slack_answers().answer(event.decoded_body or "", event.headers)
    return json_response(told) if told else Response(HTTPStatus.OK.value, body="")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point for API Gateway. The event holds the token, so it is never logged."""
    return app.resolve(event, context)


def _opened(token: str) -> tuple[Loaded, Request, str]:
    """The run and request that a token is for, and the approver that it was made for.

    Raises:
        NotFound: the token is not ours, or nobody of its approver's name is asked.
        Conflict: it is too old.
    """
    capability = bootstrap.capabilities().read(token)
    if capability.expires_at <= utc_now():
        raise Conflict("this link has expired")
    loaded = bootstrap.runs().load(capability.run_id)
    request = find_request(loaded, capability.request_id)
    approver = capability.holder(request.approvers)
    if approver is None:
        raise NotFound("this link is not valid", [("token", "not valid")])
    return loaded, request, approver


def _form() -> dict[str, str]:
    """The posted fields, each at most once.

    Raises:
        Invalid: it is not such a form.
    """
    try:
        fields = parse_qs(
            app.current_event.decoded_body or "",
            keep_blank_values=True,
            errors="strict",
            max_num_fields=10,
        )
    except ValueError:
        raise Invalid("the form cannot be read", [("body", "not a form")]) from None
    unknown = [(name[:64], "unknown") for name in fields if name not in _FIELDS]
    repeated = [(name, "given twice") for name, values in fields.items() if len(values) > 1]
    if unknown or repeated:
        raise Invalid("the form does not fit", [*unknown, *repeated])
    return {name: values[0] for name, values in fields.items()}


def _check_sender(token: str, form: Mapping[str, str]) -> None:
    """A browser must have been shown the page; what is no browser sends none of these headers.

    Raises:
        Forbidden: the post comes from somewhere else.
    """
    headers = app.current_event.headers
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site not in (None, "same-origin"):
        raise Forbidden("a decision can be sent from its own page only")
    from_browser = site is not None or origin is not None
    if from_browser and not bootstrap.capabilities().accepts(token, form.get("nonce", "")):
        raise Forbidden("open the page again, and decide there", [("nonce", "not of this page")])


def _answer(form: Mapping[str, str], approver: str) -> Answer:
    verdict = form.get("decision", "")
    if verdict not in set(Verdict):
        raise Invalid("the form does not fit", [("decision", "approve or reject")])
    reason = form.get("reason", "").strip()
    if len(reason) > MAX_REASON_CHARACTERS:
        raise Invalid("the form does not fit", [("reason", f"over {MAX_REASON_CHARACTERS}")])
    return Answer(
        verdict=Verdict(verdict),
        approver=approver,
        decided_by=approver,
        via="link",
        reason=reason or None,
        arguments=_arguments(form.get("arguments", "").strip()),
    )


def _arguments(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("the form does not fit", [("arguments", "not JSON")]) from None
    if not isinstance(value, dict):
        raise Invalid("the form does not fit", [("arguments", "a JSON object is needed")])
    return value


def _refusal(error: ContinuationError) -> Response[str]:
    document = problem_of(error)
    return pages.of_problem(document) if _wants_page() else problem_response(document)


def _wants_page() -> bool:
    return "text/html" in (app.current_event.headers.get("Accept") or "")
