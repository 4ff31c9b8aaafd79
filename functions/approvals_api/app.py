"""HTTP for approvers: read-only pages, and the forms that decide."""

import os
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.auth.cookies import SESSION, set_cookie
from agent_continuations.auth.identity import Identity, signed_in
from agent_continuations.bootstrap.agents import registry
from agent_continuations.bootstrap.links import approval_links
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.services import ended_sessions, inbox, services
from agent_continuations.bootstrap.slack import slack_interactions
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.errors import Conflict, ContinuationError, Forbidden, Invalid
from agent_continuations.handlers.metrics import counter
from agent_continuations.handlers.problems import problem, problem_of
from agent_continuations.handlers.responses import bare_response, json_response, problem_response
from agent_continuations.handlers.routing import log_run, resolver, wants_page
from agent_continuations.ports.clock import utc_now
from agent_continuations.views.decision import decision_result_view
from approvals_api import access, form_parsing, inbox_page, rendering, request_page
from approvals_api.access import RequestAccess

# A token is accepted so long after its end, and an ended session is kept longer than that.
LEEWAY_SECONDS = 3600

logger = function_logger("approvals-api")
count = counter("approvals-api")
app = resolver(logger)


@app.route("/approvals/<token>", method=["GET", "HEAD"])
def page(token: str) -> Response[str]:
    """Show the request. A GET changes nothing, so link scanners are harmless."""
    try:
        return _shown(access.from_link(_context(), token))
    except ContinuationError as error:
        return _refusal(error)


@app.route("/approvals/<token>", method=["OPTIONS"])
def options(token: str) -> Response[str]:
    """List the methods of the link."""
    del token
    return bare_response(HTTPStatus.NO_CONTENT, {"Allow": "GET, HEAD, OPTIONS, POST"})


@app.post("/approvals/<token>")
def decide(token: str) -> Response[str]:
    """Answer as the approver of the link."""
    try:
        form = form_parsing.parsed(app.current_event)
        form_parsing.check_sender(
            approval_links(), app.current_event.headers, token, form.get("nonce", "")
        )
        return _decided(access.from_link(_context(), token), form, back=token)
    except ContinuationError as error:
        return _refusal(error)


@app.get("/approvals")
def inbox_requests() -> Response[str]:
    """List all requests that wait for the signed-in person."""
    person = _person()
    if person is None:
        return _sign_in("signin?next=/approvals")
    try:
        return inbox_page.of_inbox(_context(), person, utc_now())
    except ContinuationError as error:
        return _refusal(error, back="Back to inbox")


@app.post("/approvals")
def decide_many() -> Response[str]:
    """Answer several requests independently, or revoke a standing approval."""
    person = _person()
    if person is None:
        return _sign_in("signin?next=/approvals")
    try:
        form = form_parsing.of_inbox(app.current_event)
        scope = inbox_page.csrf_scope(person)
        form_parsing.check_sender(approval_links(), app.current_event.headers, scope, form.nonce)
        if isinstance(form, form_parsing.Revocation):
            done = [inbox_page.revoke(_context(), person, form)]
        else:
            done = inbox_page.answer(_context(), person, form)
            count("Decisions", sum(each.taken for each in done))
    except ContinuationError as error:
        return _refusal(error, back="Back to inbox")
    if wants_page(app):
        return inbox_page.of_inbox(_context(), person, utc_now(), done)
    return json_response({"items": done, "next": None})


@app.get("/approvals/<run_id>/<request_id>")
def signed_in_page(run_id: str, request_id: str) -> Response[str]:
    """Show the request to the signed-in person."""
    person = _person()
    if person is None:
        return _sign_in(f"../../signin?next={quote(f'/approvals/{run_id}/{request_id}')}")
    try:
        return _shown(access.from_session(_context(), person, run_id, request_id))
    except ContinuationError as error:
        return _refusal(error)


@app.post("/approvals/<run_id>/<request_id>")
def signed_in_decide(run_id: str, request_id: str) -> Response[str]:
    """Answer as the signed-in person."""
    person = _person()
    if person is None:
        return _sign_in(f"../../signin?next={quote(f'/approvals/{run_id}/{request_id}')}")
    try:
        form = form_parsing.parsed(app.current_event)
        visit = access.from_session(_context(), person, run_id, request_id)
        form_parsing.check_sender(
            approval_links(), app.current_event.headers, visit.csrf_scope, form.get("nonce", "")
        )
        return _decided(visit, form, back=request_id)
    except ContinuationError as error:
        return _refusal(error)


@app.post("/signout")
def sign_out() -> Response[str]:
    """End the session here, also for whoever has a copy of its token. The one at the provider
    continues.
    """
    headers = app.current_event.headers
    if headers.get("Sec-Fetch-Site") not in (None, "same-origin", "none"):
        return _refusal(Forbidden("another site cannot sign you out"))
    person = _signed_in()
    if person is not None:
        until = datetime.fromtimestamp(person.expires_at + LEEWAY_SECONDS, UTC)
        ended_sessions().end(person.session, until=until)
    done = (
        rendering.of("signed_out.html", {})
        if wants_page(app)
        else bare_response(HTTPStatus.NO_CONTENT)
    )
    secure = not os.environ["PUBLIC_URL"].startswith("http:")
    gone = set_cookie(SESSION, "", secure=secure, seconds=0)
    done.headers = {**done.headers, "Set-Cookie": gone}
    return done


@app.post("/slack/interactions")
def slack() -> Response[str]:
    """Handle an interaction in Slack, which must be answered within 3 s."""
    event = app.current_event
    response = slack_interactions().handle(event.decoded_body or "", event.headers)
    return json_response(response) if response else bare_response(HTTPStatus.OK)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point for API Gateway. The event holds the token, so it is never logged."""
    return app.resolve(event, context)


def _context() -> access.ApprovalsContext:
    return access.ApprovalsContext(services(), approval_links(), inbox())


def _person() -> Identity | None:
    """The person who is signed in, and has not signed out. What they approved for later as a member
    of groups that they have left ends here, where they first come with what the identity provider
    says now.
    """
    person = _signed_in()
    if person is not None and ended_sessions().has_ended(person.session):
        return None
    if person is not None:
        for grant in services().grants.end_memberships(person.name, person.groups):
            about = {"grant_id": grant.grant_id, "reason": grant.revoked_by}
            logger.info("standing approval ended", extra=about)
    return person


def _signed_in() -> Identity | None:
    """The person whose token is valid, whether the session has ended or not."""
    return signed_in(app.current_event.raw_event["requestContext"].get("authorizer") or {})


def _sign_in(address: str) -> Response[str]:
    """Redirect a browser to sign in; answer a program with 401.

    A posted form is not redirected: the content security policy of the page would block it at the
    identity provider.

    Args:
        address: of the sign-in, relative to the page.
    """
    document = problem(HTTPStatus.UNAUTHORIZED, "sign in first: GET /signin")
    if not wants_page(app):
        return problem_response(document)
    if app.current_event.http_method == "GET":
        return rendering.see_other(address)
    return rendering.of_problem({**document, "detail": "You are no longer signed in."}, address)


def _shown(visit: RequestAccess) -> Response[str]:
    log_run(logger, visit.loaded.head.run_id)
    query = app.current_event.query_string_parameters or {}
    return request_page.of_request(
        visit, registry, now=utc_now(), edits="edit" in query, grants="grant" in query
    )


def _decided(visit: RequestAccess, form: dict[str, str], *, back: str) -> Response[str]:
    """Record the response in a form; `back` is the address of the page, relative to itself."""
    log_run(logger, visit.loaded.head.run_id)
    try:
        response = form_parsing.to_response(visit, form, registry)
        if form["decision"] == Verdict.APPROVE and request_page.is_cut(visit):
            raise Conflict("not all of it can be shown here, so it is not approved here")
        result = services().decisions.decide_loaded(visit.loaded, visit.request, response)
    except Invalid as error:
        typed = form_parsing.typed(form)
        if not typed or not wants_page(app):
            raise
        # A browser may submit a form without the button that decides; keep what was typed.
        faults = error.fields if "decision" in form else ()
        return request_page.of_request(
            visit,
            registry,
            now=utc_now(),
            edits=True,
            posted=typed,
            faults=faults,
            reason=form.get("reason", ""),
        )
    count("Decisions")
    if wants_page(app) and form["decision"] == "reassign":
        # The sender has lost access to the page of the request.
        return rendering.of("passed.html", {"to": form["to"].strip()})
    if wants_page(app):
        # Redirect to the page, so that a reload sends no second decision. The address is relative,
        # because only the browser knows the address of the API.
        return rendering.see_other(back)
    return json_response(decision_result_view(visit.loaded.head.run_id, result))


def _refusal(error: ContinuationError, back: str = "Back to request") -> Response[str]:
    document = problem_of(error, app.lambda_context.aws_request_id)
    if document["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.exception("request failed")
    if wants_page(app):
        return rendering.of_problem(document, back=back)
    return problem_response(document)
