"""Errors as problem details (RFC 9457)."""

from http import HTTPStatus
from typing import (
    Any,
    NotRequired,  # pydantic requires these before Python 3.12
)

from typing_extensions import TypedDict

from agent_continuations.errors import (
    AlreadyDecided,
    Conflict,
    ContinuationError,
    Forbidden,
    Invalid,
    NotFound,
    Retryable,
)

CONTENT_TYPE = "application/problem+json"
# Faults quote the request, and a response must fit into 6 MB.
MAX_ERRORS = 50
MAX_TEXT_CHARACTERS = 2000


class FieldFault(TypedDict):
    """A fault of a field."""

    field: str
    message: str


class Problem(TypedDict):
    """A problem document (RFC 9457). `decision` is the earlier one, on a conflict with it."""

    type: str
    title: str
    status: int
    detail: str
    errors: NotRequired[list[FieldFault]]
    decision: NotRequired[dict[str, Any]]


def status_of(error: ContinuationError) -> HTTPStatus:
    """The HTTP status of an error of this library."""
    match error:
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case Forbidden():
            return HTTPStatus.FORBIDDEN
        case Invalid():
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case Conflict():
            return HTTPStatus.CONFLICT
        case Retryable():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(status: HTTPStatus, detail: str) -> Problem:
    """A problem document. `about:blank` means that the status is the type (RFC 9457, 4.2.1)."""
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail[:MAX_TEXT_CHARACTERS],
    }


def internal_error(request_id: str) -> Problem:
    """The problem document of a fault in this system; its details are in the log only."""
    detail = f"internal error (request id {request_id}); see the function's log"
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def problem_of(error: ContinuationError, request_id: str) -> Problem:
    """The problem document of an error.

    Args:
        error: its message and fields are shown, unless it is a fault in this system.
        request_id: Lambda's, by which the log of such a fault is found.
    """
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return internal_error(request_id)
    document = problem(status, str(error))
    if isinstance(error, Invalid) and error.fields:
        document["errors"] = [
            {"field": name[:MAX_TEXT_CHARACTERS], "message": fault[:MAX_TEXT_CHARACTERS]}
            for name, fault in error.fields[:MAX_ERRORS]
        ]
    if isinstance(error, AlreadyDecided):
        document["decision"] = error.decision
    return document
