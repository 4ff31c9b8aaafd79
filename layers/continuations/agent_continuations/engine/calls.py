"""Binding of effects to code: from stored state to a model request, a tool call or a poll.

The call that an approver saw is the call that runs: right before it runs, the hash over tool,
schema version and arguments is computed again and compared with the hash that was decided on.
"""

from collections.abc import Callable

from agent_continuations.authoring.agent import Agent, AgentTool
from agent_continuations.authoring.context import ToolContext
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.result_text import error_text
from agent_continuations.authoring.schema import Arguments, ArgumentsRefused
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.call_hash import check_approval
from agent_continuations.core.call_text import call_text
from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.ids import canonical_json, idempotency_key, raw_digest
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.plans import ToolPlan
from agent_continuations.core.run import RunHead
from agent_continuations.core.transcript import chat_messages
from agent_continuations.core.waits import JobWait, Wait
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.log import poll_raised, tool_called, tool_raised
from agent_continuations.errors import IllegalEvent, Vanished
from agent_continuations.ports.clock import Clock
from agent_continuations.ports.model import ModelRequest

MAX_SHOWN_CHARACTERS = 500


def model_request(
    registry: Registry, head: RunHead, root: Continuation, path: Path
) -> ModelRequest:
    """The model call that the frame at `path` needs next.

    Raises:
        Vanished: no agent of that name is deployed.
        IllegalEvent: the sub-agent's input is not the input that was approved.
    """
    frame = root.frame_at(path)
    if path:
        check_approval(head, root, path)
    agent = registry.find(frame.agent)
    if agent is None:
        raise Vanished(f"there is no agent named {frame.agent}")
    return agent_request(agent, frame, path)


def agent_request(agent: Agent, frame: Continuation, path: Path) -> ModelRequest:
    """The model call that a frame of the agent needs next."""
    return ModelRequest(
        agent=agent.name,
        path=path_text(path),
        model=agent.model,
        messages=chat_messages(frame),
        tools=[
            {
                "type": "function",
                "function": {
                    "name": each.name,
                    "description": each.description,
                    "parameters": each.schema,
                },
            }
            for each in agent.tools
        ],
        settings=agent.settings,
        output=frame.output,
    )


def bind_tool(
    context: EngineContext, head: RunHead, root: Continuation, path: Path, attempt: int
) -> Callable[[], Outcome | Wait]:
    """The call at `path` as a function without arguments, which never raises.

    Raises:
        Vanished: the tool is not deployed any more, or has changed and no longer takes the call.
        IllegalEvent: the call that would run is not the call that was approved.
    """
    call = root.call_at(path)
    plan, tool = _tool(context.registry, root, path)
    if tool.effect is not plan.effect:
        raise Vanished(f"the tool {plan.tool} is no longer {plan.effect.value!r}")
    check_approval(head, root, path)
    arguments = _arguments(root, path, plan, call, tool)
    tool_context = _tool_context(context, head, path, attempt)
    agent = root.frame_at(path[:-1]).agent

    def run() -> Outcome | Wait:
        tool_called(tool_context, agent, plan.tool, arguments.shown)
        return run_tool(tool, arguments, tool_context, context.clock, agent)

    return run


def run_tool(
    tool: Tool, arguments: Arguments, context: ToolContext, clock: Clock, agent: str
) -> Outcome | Wait:
    """Run a tool. Its result and its error are the call's outcome, unless it returns a wait."""
    try:
        result = tool.run(arguments.typed(), context, clock)
    except KeyboardInterrupt:
        raise  # it is for the process
    except BaseException as error:  # noqa: BLE001 - the model sees it
        tool_raised(context, agent, tool.name)
        return Outcome(kind="error", content=f"The tool failed. {error_text(error)}")
    return Outcome(kind="ok", content=result) if isinstance(result, str) else result


def bind_poll(
    context: EngineContext, head: RunHead, root: Continuation, path: Path
) -> Callable[[], Outcome | None]:
    """The poll of the job that the call at `path` waits for, as a function that never raises.

    It returns None as long as the job has no result, or if the poll failed.

    Raises:
        Vanished: the tool is not deployed any more, or has no poll function.
    """
    wait = root.call_at(path).wait
    _, tool = _tool(context.registry, root, path)
    if not isinstance(wait, JobWait) or tool.poll is None:
        raise Vanished(f"the tool {tool.name} no longer polls its jobs")
    tool_context = _tool_context(context, head, path, wait.polls + 1)
    agent = root.frame_at(path[:-1]).agent

    def poll() -> Outcome | None:
        try:
            result = tool.poll_job(wait.handle, tool_context)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - the next poll will try again
            poll_raised(tool_context, agent, tool.name)
            return None
        return None if result is None else Outcome(kind="ok", content=result)

    return poll


def _arguments(root: Continuation, path: Path, plan: ToolPlan, call: Call, tool: Tool) -> Arguments:
    """The arguments of a call, read from its text by the tool as it is deployed now.

    Raises:
        Vanished: the tool no longer takes the text, or what people were shown of it has changed.
        IllegalEvent: the text is not the one that was approved.
    """
    raw = call_text(root, path)
    if call.raw_digest and raw_digest(raw) != call.raw_digest:
        raise IllegalEvent(f"{path_text(path)} is not the text that was approved")
    try:
        arguments = tool.arguments.read(raw)
    except ArgumentsRefused as error:
        raise Vanished(f"the tool {plan.tool} no longer admits its arguments: {error}") from None
    if plan.gate and tool.arguments.is_pinned and tool.schema_version != plan.schema_version:
        raise Vanished(f"the schema of the tool {plan.tool} has changed since people were asked")
    now, before = canonical_json(arguments.shown), canonical_json(call.arguments)
    if plan.gate and now != before:
        raise Vanished(
            f"the tool {plan.tool} would now run with {now[:MAX_SHOWN_CHARACTERS]}, and people"
            f" decided on {before[:MAX_SHOWN_CHARACTERS]}"
        )
    return arguments


def _tool(registry: Registry, root: Continuation, path: Path) -> tuple[ToolPlan, Tool]:
    """The tool of the call at `path`, as it is deployed now."""
    plan = root.call_at(path).plan
    if not isinstance(plan, ToolPlan):
        raise IllegalEvent(f"{path_text(path)} is not a tool call")
    name = root.frame_at(path[:-1]).agent
    agent = registry.find(name)
    tool = agent.tool(plan.tool) if agent else None
    if tool is None or isinstance(tool, AgentTool):
        raise Vanished(f"the tool {plan.tool} of the agent {name} is gone")
    return plan, tool


def _tool_context(context: EngineContext, head: RunHead, path: Path, attempt: int) -> ToolContext:
    called_back, text = context.callback_url, path_text(path)
    return ToolContext(
        run_id=head.run_id,
        path=text,
        attempt=attempt,
        idempotency_key=idempotency_key(head.run_id, path),
        _callback_url=(lambda: called_back(head.run_id, text)) if called_back else None,
    )
