"""From the engine: run the bodies of tools, apart from the engine's rights.

Several functions share this code, one for each host that tools name with `@tool(host=...)`. The
role of a host is what its tools need; it has no right to the table, the bucket, the queues, the
secrets or the functions of this system.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.authoring.in_process_host import InProcessHost
from agent_continuations.authoring.result_text import error_text
from agent_continuations.bootstrap.agents import registry
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.core.base import storable
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
    request = HostRequest.model_validate(event)
    logger.append_keys(run_id=request.run_id)
    try:
        agents = registry()
    except Exception as error:  # an author's code, before any body has run
        logger.exception("the agents cannot be imported")
        return _refused(request, f"the agents cannot be imported: {error_text(error)}")
    response = InProcessHost(agents).invoke("", request)
    return _within_limits(response).model_dump(mode="json")


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
