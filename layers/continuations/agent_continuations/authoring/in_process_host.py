"""The host that runs the bodies of tools in this process.

In one process it serves the engine itself; when deployed, the function of a host uses it.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Literal, TypeAlias

from agent_continuations.authoring import tool_log
from agent_continuations.authoring.context import ToolContext
from agent_continuations.authoring.dispatch import DispatchRefused, deployed_tool, dispatched
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.result_text import error_text
from agent_continuations.authoring.schema import Arguments
from agent_continuations.authoring.tool import Tool
from agent_continuations.authoring.waits import wait_values
from agent_continuations.core.base import storable
from agent_continuations.core.outcome import too_large
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.tool_host import (
    MAX_HOST_BYTES,
    HostAnswer,
    HostedCall,
    HostRequest,
    HostResponse,
)

Work: TypeAlias = Callable[[], HostAnswer]

MAX_THREADS = 32
TOO_LATE = "the request came to the tool's host too late"


class InProcessHost:
    """Runs the bodies of tools in this process; see `ToolHosts`.

    Args:
        registry: the agents that are deployed here.
        clock: the time.
        together: does several pieces of work at the same time; in threads by default.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Clock = utc_now,
        together: Callable[[Sequence[Work]], Sequence[HostAnswer]] | None = None,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._together = together or _in_threads

    def timeout(self, host: str) -> None:  # noqa: ARG002
        """None: no body is ended here."""
        return

    def invoke(self, host: str, request: HostRequest) -> HostResponse:  # noqa: ARG002
        """Run the bodies of a request, whatever the host; several at the same time.

        Raises:
            KeyboardInterrupt: a body was interrupted.
        """
        perform = self._run if request.do == "run" else self._poll
        works = [partial(perform, request, each) for each in request.calls]
        answers = self._together(works) if len(works) > 1 else [work() for work in works]
        return HostResponse(answers=tuple(answers))

    def _run(self, request: HostRequest, call: HostedCall) -> HostAnswer:
        if request.not_after and self._clock() > request.not_after:
            return HostAnswer(path=call.path, kind="refused", content=TOO_LATE, passes=True)
        try:
            tool = deployed_tool(self._registry, call.agent, call.tool)
            arguments = dispatched(tool, call.raw, call.decided)
        except DispatchRefused as error:
            return refused(call, error)
        return run_tool(tool, arguments, _context(request, call), call.agent)

    def _poll(self, request: HostRequest, call: HostedCall) -> HostAnswer:
        """Poll a job. It is pending as long as it has no result, also if the poll fails."""
        try:
            tool = deployed_tool(self._registry, call.agent, call.tool)
            if tool.poll is None:
                raise DispatchRefused(f"the tool {tool.name} no longer polls its jobs")
        except DispatchRefused as error:
            return refused(call, error)
        context = _context(request, call)
        try:
            result = tool.poll_job(call.handle, context)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - the next poll will try again
            tool_log.poll_raised(context, call.agent, tool.name)
            result = None
        if result is None:
            return HostAnswer(path=call.path, kind="pending")
        return _bounded(HostAnswer(path=call.path, kind="ok", content=storable(result)))


def run_tool(tool: Tool, arguments: Arguments, context: ToolContext, agent: str) -> HostAnswer:
    """Run a tool. Its result and its error are the call's outcome, unless it returns a wait.

    Raises:
        KeyboardInterrupt: it is for the process.
    """
    tool_log.tool_called(context, agent, tool.name, arguments.shown)
    try:
        result = tool.returned(arguments.typed(), context)
        if isinstance(result, str):
            return _bounded(HostAnswer(path=context.path, kind="ok", content=storable(result)))
        values = storable(wait_values(result))
        return _bounded(HostAnswer(path=context.path, kind="wait", wait=values))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the model sees it
        tool_log.tool_raised(context, agent, tool.name)
        return HostAnswer(path=context.path, kind="error", content=failure_text(error))


def _bounded(answer: HostAnswer) -> HostAnswer:
    """The answer, or one that says that it is too large: its body has run, whatever its size."""
    size = len(answer.model_dump_json().encode())
    if size <= MAX_HOST_BYTES:
        return answer
    kind: Literal["ok", "error"] = "ok" if answer.kind == "ok" else "error"
    return HostAnswer(path=answer.path, kind=kind, content=too_large(size))


def failure_text(error: BaseException) -> str:
    """What the model sees of a tool that has failed."""
    return storable(f"The tool failed. {error_text(error)}")


def refused(call: HostedCall, error: DispatchRefused) -> HostAnswer:
    """The answer to a call that the tool, as it is deployed here, does not take."""
    return HostAnswer(path=call.path, kind="refused", content=str(error), shown=error.shown)


def _context(request: HostRequest, call: HostedCall) -> ToolContext:
    url = call.callback_url
    return ToolContext(
        run_id=request.run_id,
        path=call.path,
        attempt=call.attempt,
        idempotency_key=call.idempotency_key,
        _callback_url=(lambda: url) if url else None,
    )


def _in_threads(works: Sequence[Work]) -> list[HostAnswer]:
    with ThreadPoolExecutor(min(len(works), MAX_THREADS)) as executor:
        started = [executor.submit(copy_context().run, work) for work in works]
        return [each.result() for each in started]
