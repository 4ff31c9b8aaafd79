"""What the HTTP functions share: JSON in, JSON, problem details and safe pages out."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent_continuations.arguments import field_faults
from agent_continuations.errors import ContinuationError, Invalid
from agent_continuations.problem import CONTENT_TYPE, Problem, problem, problem_of, status_of

Body = TypeVar("Body", bound=BaseModel)

MAX_ANSWER_BYTES = 5_500_000  # of 6 MB, with room for the envelope

_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class RequestBody(BaseModel):
    """Base of what a request may carry: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Router(APIGatewayRestResolver):
    """Goes by the route that API Gateway has found, which IAM and the authorizer have looked at.

    Left to itself it would look for one in the decoded path: `/runs/%0A` would be `/runs` there.
    """

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        path = event["resource"]
        for name, value in (event.get("pathParameters") or {}).items():
            path = path.replace(f"{{{name}}}", quote(value, "", errors="replace"))
        return super().resolve({**event, "path": path}, context)


def resolver(logger: Logger) -> APIGatewayRestResolver:
    """A router whose errors are all problem documents, those that nobody foresaw included."""
    app = _Router()

    @app.exception_handler(ContinuationError)  # type: ignore[untyped-decorator]
    def ours(error: ContinuationError) -> Response[str]:
        if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.exception("the request failed")
        return problem_response(problem_of(error))

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def unforeseen(error: Exception) -> Response[str]:
        logger.exception("the request failed", exc_info=error)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return problem_response(problem(status, "something went wrong here"))

    @app.not_found
    def missing(_error: Exception) -> Response[str]:
        return problem_response(problem(HTTPStatus.NOT_FOUND, "there is no such route"))

    return app


def parsed_body(app: APIGatewayRestResolver, model: type[Body]) -> Body:
    """The request's JSON body.

    Raises:
        Invalid: it is not JSON, or does not fit; the fields are named.
    """
    try:
        return model.model_validate_json(app.current_event.decoded_body or "")
    except ValidationError as error:
        raise Invalid("the request body does not fit", field_faults(error)) from None
    except ValueError:
        raise Invalid("the request body is not text", [("body", "not UTF-8")]) from None


def json_response(
    body: Any, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response[str]:
    """A JSON answer, from anything that pydantic can write."""
    text = _JSON.dump_json(body)
    if len(text) > MAX_ANSWER_BYTES:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        detail = f"the answer has {len(text)} bytes, and a Lambda can send {MAX_ANSWER_BYTES}"
        return problem_response(problem(status, detail))
    return Response(
        status_code=status.value,
        content_type="application/json",
        body=text.decode(),
        headers={**_PRIVATE, **(headers or {})},
    )


def bare_response(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Response[str]:
    """An answer without a body."""
    return Response(status.value, body="", headers={**_PRIVATE, **(headers or {})})


def problem_response(document: Problem) -> Response[str]:
    """An answer that carries a problem document."""
    return Response(
        status_code=document["status"],
        content_type=CONTENT_TYPE,
        body=_JSON.dump_json(document).decode(),
        headers=dict(_PRIVATE),
    )


def page_headers(style: str) -> dict[str, str]:
    """What keeps a page private and inert; only this very style sheet may stand in it."""
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
