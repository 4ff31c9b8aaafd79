"""From stored state to the outside, checked: the model request, the tool to run, the question.

What an approver saw is what runs: the hash over tool, schema version and arguments is computed
anew right before the call and compared with the one that was decided on.
"""

from asyncio import CancelledError
from collections.abc import Callable
from hmac import compare_digest

from agent_continuations.agent import AgentTool, Registry
from agent_continuations.core.approval import Verdict
from agent_continuations.core.asking import voted
from agent_continuations.core.continuation import (
    Continuation,
    Outcome,
    PendingCall,
    RefusedPlan,
    ToolPlan,
)
from agent_continuations.core.identity import arguments_hash, canonical_json, idempotency_key
from agent_continuations.core.messages import messages
from agent_continuations.core.path import Path, path_text
from agent_continuations.errors import IllegalEvent, Vanished
from agent_continuations.ports import Head, ModelRequest
from agent_continuations.tool import ArgumentsRefused, ToolContext


def model_request(registry: Registry, head: Head, root: Continuation, path: Path) -> ModelRequest:
    """The model call that the frame at `path` needs next.

    Raises:
        Vanished: there is no agent of that name any more.
        IllegalEvent: the agent is not at work on what was approved.
    """
    frame = root.frame_at(path)
    if path:
        check_approval(head, root, path)
    agent = registry.find(frame.agent)
    if agent is None:
        raise Vanished(f"there is no agent named {frame.agent}")
    return ModelRequest(
        agent=agent.name,
        path=path_text(path),
        model=agent.model,
        messages=messages(frame),
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
    )


def prepared_tool(
    registry: Registry, head: Head, root: Continuation, path: Path, attempt: int
) -> Callable[[], Outcome]:
    """The call at `path`, ready to run; running it never raises.

    Raises:
        Vanished: the tool is gone, or has changed so that the call no longer fits it.
        IllegalEvent: what would run is not what was approved.
    """
    call = root.call_at(path)
    plan = call.plan
    if not isinstance(plan, ToolPlan):
        raise IllegalEvent(f"{path_text(path)} is not a tool call")
    name = root.frame_at(path[:-1]).agent
    agent = registry.find(name)
    tool = agent.tool(plan.tool) if agent else None
    if tool is None or isinstance(tool, AgentTool):
        raise Vanished(f"the tool {plan.tool} of the agent {name} is gone")
    if tool.effect is not plan.effect:
        raise Vanished(f"the tool {plan.tool} is no longer {plan.effect.value!r}")
    try:
        arguments = tool.validated(call.arguments)
    except ArgumentsRefused as error:
        raise Vanished(f"the tool {plan.tool} no longer admits its arguments: {error}") from None
    if plan.gate and canonical_json(arguments) != canonical_json(call.arguments):
        raise Vanished(f"the tool {plan.tool} would now run with more than was approved")
    check_approval(head, root, path)
    context = ToolContext(
        run_id=head.run_id,
        path=path_text(path),
        attempt=attempt,
        idempotency_key=idempotency_key(head.run_id, path),
    )

    def run() -> Outcome:
        try:
            return Outcome(kind="ok", content=tool.run(arguments, context))
        except (Exception, CancelledError, SystemExit) as error:  # noqa: BLE001 - the model is told
            return Outcome(kind="error", content=f"The tool failed. {_told(error)}")

    return run


def _told(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}".encode("utf-8", "replace").decode()
    except Exception:  # noqa: BLE001 - an error that cannot even be written down
        return name


def call_hash(head: Head, root: Continuation, path: Path) -> str:
    """The hash of the call at `path` with the arguments that would run.

    Raises:
        IllegalEvent: the call is one that cannot run.
    """
    call = root.call_at(path)
    return hash_of(head, call, path)


def hash_of(head: Head, call: PendingCall, path: Path) -> str:
    """`call_hash`, for a call that is at hand."""
    if isinstance(call.plan, RefusedPlan):
        raise IllegalEvent(f"{path_text(path)} was refused")
    return arguments_hash(
        tenant=head.tenant,
        run_id=head.run_id,
        path=path,
        tool=call.plan.tool,
        schema_version=call.plan.schema_version,
        arguments=call.arguments,
    )


def check_approval(head: Head, root: Continuation, path: Path) -> None:
    """Make sure that the call at `path` may run: ungated, or approved exactly as it is.

    Raises:
        IllegalEvent: it may not.
    """
    call = root.call_at(path)
    if isinstance(call.plan, RefusedPlan) or call.plan.gate is None:
        return
    decision, approval = call.decision, call.approval
    if decision is None or approval is None or decision.verdict is not Verdict.APPROVE:
        raise IllegalEvent(f"{path_text(path)} is not approved")
    if voted(approval, decision).open_stage is not None:
        raise IllegalEvent(f"{path_text(path)} is not approved by all who must")
    if decision.decided_at > approval.expires_at:
        raise IllegalEvent(f"{path_text(path)} was approved after its deadline")
    if not compare_digest(decision.arguments_hash, call_hash(head, root, path)):
        raise IllegalEvent(f"{path_text(path)} is not what was approved")
