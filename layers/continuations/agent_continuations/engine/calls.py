"""Binding of effects to code: from stored state to a model request, or to a call for a tool host.

The call that an approver saw is the call that runs: before its intent is stored, the hash over
tool, schema version and arguments is computed again and compared with the hash that was decided on,
and the tool as it is deployed reads the arguments again; see `authoring.dispatch`.
"""

from typing import Any, NamedTuple

from agent_continuations.authoring.agent import Agent
from agent_continuations.authoring.dispatch import (
    DispatchRefused,
    deployed_tool,
    dispatched,
    shown_hash,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.result_text import error_text
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.call_hash import check_approval
from agent_continuations.core.call_text import call_text
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.ids import canonical_json, idempotency_key, raw_digest
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.plans import Effect, RefusedPlan, ToolPlan
from agent_continuations.core.run import RunHead
from agent_continuations.core.transcript import chat_messages
from agent_continuations.core.waits import JobWait
from agent_continuations.engine.context import EngineContext
from agent_continuations.errors import IllegalEvent, Retryable, Vanished
from agent_continuations.ports.model import ModelRequest
from agent_continuations.ports.tool_host import DecidedContent, HostedCall

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


class BoundCall(NamedTuple):
    """A call for the host of its tool, and the tool as it is deployed in this process."""

    path: Path
    tool: Tool
    hosted: HostedCall


def bind_tool(
    context: EngineContext, head: RunHead, root: Continuation, path: Path, attempt: int
) -> BoundCall:
    """An attempt of the call at `path`.

    Raises:
        Vanished: the tool is not deployed any more, or has changed and no longer takes the call.
        IllegalEvent: the call that would run is not the call that was approved.
        Retryable: the call's callback URL cannot be made now.
    """
    call = root.call_at(path)
    plan, tool = _tool(context.registry, root, path)
    if tool.effect is not plan.effect:
        raise Vanished(f"the tool {plan.tool} is no longer {plan.effect.value!r}")
    check_approval(head, root, path)
    raw, decided = call_text(root, path), None
    if call.raw_digest and raw_digest(raw) != call.raw_digest:
        raise IllegalEvent(f"{path_text(path)} is not the text that was approved")
    if plan.gate:
        shown = shown_hash(call.arguments)
        decided = DecidedContent(shown_hash=shown, schema_version=plan.schema_version)
    try:
        dispatched(tool, raw, decided)
    except DispatchRefused as error:
        raise Vanished(refusal_text(root, path, str(error), error.shown)) from None
    token = None if plan.effect is Effect.READ else _outcome_token(context, head, path, attempt)
    hosted = HostedCall(
        path=path_text(path),
        attempt=attempt,
        agent=root.frame_at(path[:-1]).agent,
        tool=tool.name,
        raw=raw,
        decided=decided,
        idempotency_key=idempotency_key(head.run_id, path),
        callback_url=_callback_url(context, head, path, tool),
        outcome_token=token,
    )
    return BoundCall(path, tool, hosted)


def bind_poll(context: EngineContext, head: RunHead, root: Continuation, path: Path) -> BoundCall:
    """The next poll of the job that the call at `path` waits for.

    Raises:
        Vanished: the tool is not deployed any more, or has no poll function.
        Retryable: the call's callback URL cannot be made now.
    """
    wait = root.call_at(path).wait
    _, tool = _tool(context.registry, root, path)
    if not isinstance(wait, JobWait) or tool.poll is None:
        raise Vanished(f"the tool {tool.name} no longer polls its jobs")
    hosted = HostedCall(
        path=path_text(path),
        attempt=wait.polls + 1,
        agent=root.frame_at(path[:-1]).agent,
        tool=tool.name,
        raw="",
        handle=wait.handle,
        idempotency_key=idempotency_key(head.run_id, path),
        callback_url=_callback_url(context, head, path, tool),
    )
    return BoundCall(path, tool, hosted)


def refusal_text(root: Continuation, path: Path, reason: str, shown: dict[str, Any] | None) -> str:
    """Why the tool of the call at `path` does not take it.

    Args:
        root: the run.
        path: the path of the call.
        reason: the reason, as a text of this library.
        shown: the arguments as they would be shown now, if they differ from those decided on.
    """
    if shown is None:
        return reason
    call = root.call_at(path)
    now, before = canonical_json(shown), canonical_json(call.arguments)
    tool = "?" if isinstance(call.plan, RefusedPlan) else call.plan.tool
    return (
        f"the tool {tool} would now run with {now[:MAX_SHOWN_CHARACTERS]}, and people"
        f" decided on {before[:MAX_SHOWN_CHARACTERS]}"
    )


def _tool(registry: Registry, root: Continuation, path: Path) -> tuple[ToolPlan, Tool]:
    """The tool of the call at `path`, as it is deployed now."""
    plan = root.call_at(path).plan
    if not isinstance(plan, ToolPlan):
        raise IllegalEvent(f"{path_text(path)} is not a tool call")
    try:
        return plan, deployed_tool(registry, root.frame_at(path[:-1]).agent, plan.tool)
    except DispatchRefused as error:
        raise Vanished(str(error)) from None


def _callback_url(context: EngineContext, head: RunHead, path: Path, tool: Tool) -> str | None:
    """Where the job of a call posts its outcome; None if there is no API, or no need of it."""
    if not context.callback_url or not (tool.context_parameter or tool.poll):
        return None
    try:
        return context.callback_url(head.run_id, path_text(path))
    except Exception as error:  # its key is a secret of another service
        why = f"the callback URL cannot be made: {error_text(error)}"
        raise Retryable(why) from error


def _outcome_token(context: EngineContext, head: RunHead, path: Path, attempt: int) -> str | None:
    """The token for the outcome of an attempt. Without one, people are asked if its answer is lost;
    so the call is not kept from starting if the token cannot be made.
    """
    if context.outcome_token is None:
        return None
    try:
        return context.outcome_token(head.run_id, path_text(path), attempt)
    except Exception:  # noqa: BLE001 - its key is a secret of another service
        return None
