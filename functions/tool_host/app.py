"""From the engine: run the bodies of tools, apart from the engine's rights.

Several functions share this code, one for each host that tools name with `@tool(host=...)`. The
role of a host is what its tools need; of this system, it may send to the inbound queue, and has no
right to the table, the bucket, the secrets or the functions.
"""

from time import monotonic
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from agent_continuations.authoring.in_process_host import InProcessHost
from agent_continuations.authoring.result_text import error_text
from agent_continuations.bootstrap.agents import registry
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.tool_hosts import outcome_reports
from agent_continuations.core.base import storable
from agent_continuations.errors import Retryable
from agent_continuations.handlers.late_outcomes import late_outcomes
from agent_continuations.ports.tool_host import (
    MAX_HOST_BYTES,
    HostAnswer,
    HostRequest,
    HostResponse,
)

logger = function_logger("tools")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Entry point for the engine. Whatever a body raises is in its answer, so that an error of the
    function means that no body is running any more.
    """
    began = monotonic()
    try:
        request = HostRequest.model_validate(event)
    except ValidationError:  # of a newer engine, while a deployment goes on
        logger.exception("the request cannot be read")
        return _not_read(event)
    logger.append_keys(run_id=request.run_id)
    try:
        agents = registry()
    except Exception as error:  # an author's code, before any body has run
        logger.exception("the agents cannot be imported")
        return _refused(request, f"the agents cannot be imported: {error_text(error)}")
    response = InProcessHost(agents).invoke("", request)
    _report(request, response, monotonic() - began)
    return _within_limits(response).model_dump(mode="json")


def _report(request: HostRequest, response: HostResponse, seconds: float) -> None:
    try:
        for message in late_outcomes(request, response, seconds):
            outcome_reports().send(message)
    except Retryable:
        logger.warning("late outcome not reported", exc_info=True)


def _not_read(event: Any) -> dict[str, Any]:
    """The answers to a request of a form that is not known here: no body has run."""
    why = "its tool's host does not know the form of the request"
    return HostResponse(
        answers=tuple(
            HostAnswer(path=each["path"], kind="refused", content=why, passes=True)
            for each in event["calls"]
        )
    ).model_dump(mode="json")


def _refused(request: HostRequest, why: str) -> dict[str, Any]:
    answers = [
        HostAnswer(path=each.path, kind="refused", content=storable(why)) for each in request.calls
    ]
    return HostResponse(answers=tuple(answers)).model_dump(mode="json")


def _within_limits(response: HostResponse) -> HostResponse:
    """The answers that fit into one response. Those of reads that do not are left out: the engine
    sends each of these calls again, alone.
    """
    kept: list[HostAnswer] = []
    left = MAX_HOST_BYTES
    for each in response.answers:
        left -= len(each.model_dump_json().encode())
        if left >= 0 or len(response.answers) == 1:
            kept.append(each)
    return HostResponse(answers=tuple(kept))
