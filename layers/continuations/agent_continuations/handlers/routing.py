"""Routing and request bodies of the HTTP functions."""

import json
from collections.abc import Collection, Mapping
from http import HTTPStatus
from time import perf_counter
from typing import Any, TypeVar
from urllib.parse import quote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from agent_continuations.authoring.schema import field_faults
from agent_continuations.core.ids import canonical_json, is_opaque_id
from agent_continuations.core.run import Status
from agent_continuations.errors import ContinuationError, Invalid
from agent_continuations.handlers.durations import milliseconds_since
from agent_continuations.handlers.problems import (
    internal_error,
    problem,
    problem_of,
    status_of,
)
from agent_continuations.handlers.responses import problem_response

Body = TypeVar("Body", bound=BaseModel)

# Routes whose callers are identified by the request itself.
_CALLERS_OF_ROUTES = {
    "/approvals/{token}": "link",
    "/callbacks/{token}": "link",
    "/slack/interactions": "slack",
}


class RequestBody(BaseModel):
    """Base of request bodies: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Router(APIGatewayRestResolver):
    """Uses the route that API Gateway matched, which IAM and the authorizer have checked.

    By default Powertools matches the decoded path again, in which `/runs/%0A` would be `/runs`.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        started, path = perf_counter(), event["resource"]
        parameters = event.get("pathParameters") or {}
        for name, value in parameters.items():
            path = path.replace(f"{{{name}}}", quote(value, "", errors="replace"))
        log_run(self._logger, parameters.get("run_id"))
        response = super().resolve({**event, "path": path}, context)
        self._log_request(event, response["statusCode"], started)
        return response

    def _log_request(self, event: Mapping[str, Any], status: int, started: float) -> None:
        """One line for each request. It has the route and not the path, which can be a secret."""
        failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        write = self._logger.error if failed else self._logger.info
        request = {
            "method": event["httpMethod"],
            "route": event["resource"],
            "status": status,
            "duration_ms": milliseconds_since(started),
            "caller": _kind_of_caller(event),
        }
        write("request handled", extra=request)


def log_run(logger: Logger, run_id: str | None) -> None:
    """Add a run's id to the log lines of this request, if it has the form of one."""
    if run_id and is_opaque_id(run_id):
        logger.append_keys(run_id=run_id)


def _kind_of_caller(event: Mapping[str, Any]) -> str:
    """The kind of the caller, as API Gateway and the route tell it; never its name."""
    context = event["requestContext"]
    if (context.get("authorizer") or {}).get("signed_in") == "yes":
        return "person"
    if (context.get("identity") or {}).get("userArn"):
        return "program"
    return _CALLERS_OF_ROUTES.get(event["resource"], "anonymous")


def resolver(logger: Logger) -> APIGatewayRestResolver:
    """A router that answers every error, unexpected ones included, with a problem document."""
    app = _Router(logger)

    @app.exception_handler(ContinuationError)  # type: ignore[untyped-decorator]
    def ours(error: ContinuationError) -> Response[str]:
        if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.exception("request failed")
        return problem_response(problem_of(error, app.lambda_context.aws_request_id))

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def unforeseen(error: Exception) -> Response[str]:
        logger.exception("request failed", exc_info=error)
        return problem_response(internal_error(app.lambda_context.aws_request_id))

    @app.not_found
    def missing(_error: Exception) -> Response[str]:
        return problem_response(problem(HTTPStatus.NOT_FOUND, "no such route"))

    return app


def parsed_body(app: APIGatewayRestResolver, model: type[Body]) -> Body:
    """The request's JSON body.

    Raises:
        Invalid: the body is not JSON, or a field is invalid.
    """
    try:
        text = app.current_event.decoded_body or ""
        body = model.model_validate_json(text)
    except ValidationError as error:
        raise Invalid("the request body is invalid", field_faults(error)) from None
    except ValueError:
        raise Invalid("the request body is invalid", [("body", "must be UTF-8")]) from None
    _check_numbers(json.loads(text))
    return body


def _check_numbers(body: Mapping[str, Any]) -> None:
    """Check that each value can be written as JSON again: `1e999` is read as infinity."""
    for name, value in body.items():
        try:
            canonical_json(value)
        except ValueError:
            fault = (name, "has a number that JSON cannot express")
            raise Invalid("the request body is invalid", [fault]) from None


def check_parameters(query: Mapping[str, str], known: Collection[str]) -> Mapping[str, str]:
    """The query, if all its parameters are known.

    Raises:
        Invalid: some are not.
    """
    unknown = [(name, "unknown") for name in query if name not in known]
    if unknown:
        raise Invalid("unknown query parameter", unknown)
    return query


def parsed_status(text: str | None) -> Status | None:
    """The status that a query names; None where it names none.

    Raises:
        Invalid: there is no such status.
    """
    if text is None:
        return None
    if text in set(Status):
        return Status(text)
    raise Invalid("unknown status", [("status", f"must be one of {', '.join(Status)}")])


def wants_page(app: APIGatewayRestResolver) -> bool:
    """Whether the client asks for HTML."""
    return "text/html" in (app.current_event.headers.get("Accept") or "")
