"""The Lambda authorizer: it authenticates; the functions authorize.

A request without credentials passes as not signed in, so that a page can redirect to the sign-in.
Results are not cached: API Gateway caches by headers that must all be present, and rejects
requests where one is missing. Here a cookie, a token or neither is valid.
"""

import os
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.auth.cookies import SESSION, read_cookie
from agent_continuations.auth.identity import Identity
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.sign_in import oidc_provider
from agent_continuations.errors import Forbidden
from agent_continuations.handlers.durations import milliseconds_since

logger = function_logger("authorize")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point for API Gateway. The event holds tokens, so it is never logged."""
    del context
    started = perf_counter()
    try:
        person = _person(event)
    except Forbidden as error:
        logger.info("caller refused", extra={"reason": str(error)})
        # API Gateway returns 401 for exactly this text, and 500 for any other.
        raise Exception("Unauthorized") from None
    caller, taken = "person" if person else "anonymous", milliseconds_since(started)
    logger.info("caller identified", extra={"caller": caller, "duration_ms": taken})
    return {
        "principalId": person.name if person else "nobody",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
            ],
        },
        "context": person.context() if person else {"signed_in": "no"},
    }


def _person(event: Mapping[str, Any]) -> Identity | None:
    """The identity in a bearer token, or else in the session cookie.

    Raises:
        Forbidden: the token is not valid. An invalid cookie only means not signed in.
        Retryable: the identity provider is not responding.
    """
    for value in _headers(event, "authorization"):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            return _verified(token.strip())
    secure = not os.environ["PUBLIC_URL"].startswith("http:")
    session = read_cookie(_headers(event, "cookie"), SESSION, secure=secure)
    try:
        return _verified(session) if session else None
    except Forbidden as error:
        logger.info("cookie ignored", extra={"reason": str(error)})
        return None


def _verified(token: str) -> Identity:
    if not os.environ["OIDC_ISSUER"]:
        raise Forbidden("no identity provider is configured")
    return oidc_provider().verify(token)


def _headers(event: Mapping[str, Any], name: str) -> Iterator[str]:
    """All values of a header; its name may be in any case."""
    for each, values in (event.get("multiValueHeaders") or {}).items():
        if each.lower() == name:
            yield from values
