"""HTTP responses: JSON, problem documents, and the headers of pages."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response
from pydantic import TypeAdapter

from agent_continuations.core.base import storable
from agent_continuations.handlers.problems import (
    CONTENT_TYPE,
    Problem,
    problem,
)

MAX_ANSWER_BYTES = 5_500_000  # of 6 MB, with room for the envelope
_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def json_response(
    body: Any, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """A JSON response, of anything that pydantic serializes."""
    text = _JSON.dump_json(body)
    if len(text) > MAX_ANSWER_BYTES:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        detail = f"the response has {len(text)} bytes; the limit is {MAX_ANSWER_BYTES}"
        return problem_response(problem(status, detail))
    return Response(
        status_code=status.value,
        content_type="application/json",
        body=text.decode(),
        headers={**_PRIVATE, **(headers or {})},
    )


def bare_response(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Response[str]:
    """A response without a body."""
    return Response(status.value, body="", headers={**_PRIVATE, **(headers or {})})


def problem_response(document: Problem) -> Response[str]:
    """A response with a problem document."""
    return Response(
        status_code=document["status"],
        content_type=CONTENT_TYPE,
        body=_JSON.dump_json(storable(document)).decode(),
        headers=dict(_PRIVATE),
    )


def page_headers(style: str) -> dict[str, str]:
    """Security headers of a page; its only content besides HTML is this style sheet."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self';"
        " frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex",
    }
