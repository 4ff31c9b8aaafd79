"""HTTP for people: sign in with the identity provider of the deployment."""

import os
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from typing_extensions import TypedDict

from agent_continuations.auth.cookies import SESSION, SIGN_IN, read_cookie, set_cookie
from agent_continuations.auth.identity import signed_in
from agent_continuations.auth.login import SIGN_IN_SECONDS
from agent_continuations.bootstrap.code_flow import code_flow
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.errors import ContinuationError, Forbidden
from agent_continuations.handlers.metrics import counter
from agent_continuations.handlers.problems import Problem, problem, problem_of, status_of
from agent_continuations.handlers.responses import json_response, page_headers, problem_response
from agent_continuations.handlers.routing import resolver, wants_page

ME = "/signin/me"

logger = function_logger("signin")
count = counter("signin")
app = resolver(logger)


class Me(TypedDict):
    """The signed-in person."""

    name: str
    groups: tuple[str, ...]


@app.get("/signin")
def begin() -> Response[str]:
    """Redirect the browser to the provider, with a cookie that the callback checks."""
    if not os.environ["OIDC_ISSUER"]:
        return _no_provider()
    url, cookie = code_flow(_base_url()).begin(_query("next") or ME)
    return _see_other(url, _cookie(SIGN_IN, cookie, SIGN_IN_SECONDS))


@app.get("/signin/callback")
def callback() -> Response[str]:
    """Redeem the code of the provider for an ID token, keep it in a cookie, and return."""
    if not os.environ["OIDC_ISSUER"]:
        return _no_provider()
    if _query("error"):
        raise Forbidden(f"the identity provider refused the sign-in: {_query('error')[:40]}")
    cookies = app.current_event.multi_value_headers.get("Cookie", [])
    begun = read_cookie(cookies, SIGN_IN, secure=_secure())
    flow = code_flow(_base_url())
    token, next_path = flow.finish(_query("code"), _query("state"), begun)
    count("SignIns")
    return _see_other(_base_url() + next_path, _cookie(SESSION, token), _cookie(SIGN_IN, "", 0))


@app.get(ME)
def me() -> Response[str]:
    """Show the signed-in person, to check that signing in works."""
    person = signed_in(app.current_event.raw_event["requestContext"].get("authorizer") or {})
    if person is None:
        return problem_response(problem(HTTPStatus.UNAUTHORIZED, "sign in first: GET /signin"))
    return json_response(Me(name=person.name, groups=person.groups))


@app.exception_handler(ContinuationError)  # type: ignore[untyped-decorator]
def refusal(error: ContinuationError) -> Response[str]:
    """Answer people with a page, and programs with a problem document."""
    if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.exception("request failed")
    return _problem_response(problem_of(error, app.lambda_context.aws_request_id))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point for API Gateway. The event holds codes and cookies, so it is never logged."""
    return app.resolve(event, context)


def _base_url() -> str:
    """The base URL of the API, as the browser sees it.

    The template cannot pass it: the API depends on the functions, not the other way round.
    """
    asked = app.current_event.request_context
    ours = f"https://{asked.domain_name}{asked.path.removesuffix(asked.resource_path)}"
    return os.environ["PUBLIC_URL"].rstrip("/") or ours


def _secure() -> bool:
    return _base_url().startswith("https:")


def _cookie(name: str, value: str, seconds: int | None = None) -> str:
    return set_cookie(name, value, secure=_secure(), seconds=seconds)


def _query(name: str) -> str:
    return (app.current_event.query_string_parameters or {}).get(name, "")


def _no_provider() -> Response[str]:
    return _problem_response(
        problem(HTTPStatus.NOT_IMPLEMENTED, "no identity provider is configured")
    )


def _problem_response(document: Problem) -> Response[str]:
    if not wants_page(app):
        return problem_response(document)
    faults = [f"{each['field']}: {each['message']}" for each in document.get("errors", ())]
    return _page(HTTPStatus(document["status"]), "; ".join([document["detail"], *faults]))


def _see_other(location: str, *cookies: str) -> Response[str]:
    headers = {**_headers(cookies), "Location": location}
    return Response(HTTPStatus.SEE_OTHER.value, headers=headers, body="")


def _page(status: HTTPStatus, text: str) -> Response[str]:
    # Not with the module: it loads a template engine, and most answers here are redirects.
    from signin.rendering import PAGES

    return PAGES.render("page.html", {"text": text, "url": f"{_base_url()}/signin"}, status)


def _headers(cookies: Sequence[str]) -> dict[str, str | list[str]]:
    return {**page_headers(""), "Set-Cookie": list(cookies)}
