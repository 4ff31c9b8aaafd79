"""Errors as problem documents."""

from agent_continuations.errors import Fatal
from agent_continuations.handlers.problems import problem_of


def test_an_internal_error_names_the_request_and_no_details() -> None:
    document = problem_of(Fatal("the key sk-1 is not accepted"), "6f75b891")
    assert document["status"] == 500
    assert document["detail"] == "internal error (request id 6f75b891); see the function's log"
    assert "errors" not in document
