"""HTTP for operators: the list of runs, the page of each, and its messages. Read-only."""

import os
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.auth.identity import signed_in
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.services import ended_sessions, services
from agent_continuations.core.approvals.policy import GROUP
from agent_continuations.core.voting import approver_name
from agent_continuations.errors import ContinuationError, Forbidden
from agent_continuations.handlers.problems import problem, problem_of
from agent_continuations.handlers.responses import problem_response
from agent_continuations.handlers.routing import check_parameters, resolver, wants_page
from agent_continuations.ports.clock import utc_now
from dashboard import messages_page, run_list_page, run_page
from dashboard.rendering import PAGES

logger = function_logger("web")
app = resolver(logger)


@app.get("/web")
def runs() -> Response[str]:
    """Runs, newest first."""
    query = app.current_event.query_string_parameters or {}
    return _operator_page(
        "/web",
        "",
        lambda: run_list_page.of_runs(
            services().runs, check_parameters(query, run_list_page.QUERY)
        ),
    )


@app.get("/web/runs/<run_id>")
def run(run_id: str) -> Response[str]:
    """One run: its state, its waits, its cost."""
    query = app.current_event.query_string_parameters or {}
    return _operator_page(
        f"/web/runs/{run_id}",
        "../../",
        lambda: run_page.of_run(
            services().runs,
            run_id,
            utc_now(),
            still="still" in check_parameters(query, ("still",)),
        ),
    )


@app.get("/web/runs/<run_id>/messages")
def messages(run_id: str) -> Response[str]:
    """What the model of one agent in a run was sent."""
    query = app.current_event.query_string_parameters or {}
    path = f"?{urlencode({'path': query['path']})}" if query.get("path") else ""
    return _operator_page(
        f"/web/runs/{run_id}/messages{path}",
        "../../../",
        lambda: messages_page.of_agent(
            services().runs, run_id, check_parameters(query, messages_page.QUERY)
        ),
    )


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point for API Gateway. The event holds a cookie, so it is never logged."""
    return app.resolve(event, context)


def _operator_page(path: str, base: str, page: Callable[[], Response[str]]) -> Response[str]:
    """A page for operators; for others a redirect to sign in, or a problem.

    Args:
        path: of the page, with its query if it is worth returning to after signing in.
        base: the base of the API, relative to the page: only the browser knows the stage.
        page: renders it.
    """
    sign_in = f"{base}signin?next={quote(path)}"
    try:
        return page() if _is_open() or _is_operator() else _redirect_to_sign_in(sign_in)
    except Forbidden as error:
        return _refusal(error, base, sign_in)
    except ContinuationError as error:
        return _refusal(error, base)


def _is_open() -> bool:
    """Whether pages need no sign-in: only where the API is on this machine.

    The template accepts `http:` for loopback only, so a wrong parameter cannot open a real stack.
    """
    local = os.environ["PUBLIC_URL"].startswith("http:")
    return local and os.environ["WEB_IS_OPEN"] == "yes"


def _is_operator() -> bool:
    """Whether an operator is signed in.

    Raises:
        Forbidden: the signed-in person is not an operator.
    """
    person = signed_in(app.current_event.raw_event["requestContext"].get("authorizer") or {})
    if person is None or ended_sessions().has_ended(person.session):
        return False
    group = os.environ["OPERATORS_GROUP"]
    if approver_name([f"{GROUP}{group}"], person.name, person.groups) is None:
        raise Forbidden(f"only members of {group} can see runs; {person.name} is not a member")
    return True


def _redirect_to_sign_in(sign_in: str) -> Response[str]:
    """Redirect a browser to sign in; answer a program with 401."""
    if wants_page(app):
        return PAGES.see_other(sign_in)
    return problem_response(problem(HTTPStatus.UNAUTHORIZED, "sign in first: GET /signin"))


def _refusal(error: ContinuationError, base: str, sign_in: str = "") -> Response[str]:
    document = problem_of(error, app.lambda_context.aws_request_id)
    status = HTTPStatus(document["status"])
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.exception("request failed")
    if not wants_page(app):
        return problem_response(document)
    variables = {"problem": document, "sign_in": sign_in, "list": f"{base}web"}
    return PAGES.render("problem.html", variables, status)
