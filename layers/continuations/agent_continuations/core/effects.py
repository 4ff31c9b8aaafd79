"""What a continuation needs next: `effects(continuation)`, derived and never stored."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, TypeAlias, assert_never

from agent_continuations.core.approval import ApprovalRequest, Gate
from agent_continuations.core.continuation import (
    AgentPlan,
    Continuation,
    Effect,
    Intent,
    PendingCall,
    RefusedPlan,
    ToolPlan,
)
from agent_continuations.core.path import ROOT, Path, Step
from agent_continuations.core.stored import Stored


class CallModel(Stored):
    """Ask the model of the frame at `path` for its reply number `turn`."""

    kind: Literal["call_model"] = "call_model"
    path: Path
    turn: int


class RunTool(Stored):
    """Run the tool of the call at `path`."""

    kind: Literal["run_tool"] = "run_tool"
    path: Path
    attempt: int
    effect: Effect


class AskApproval(Stored):
    """Record that people are asked about the call at `path`, and tell them."""

    kind: Literal["ask_approval"] = "ask_approval"
    path: Path
    gate: Gate


class Tell(Stored):
    """Send a notice to those of whom only now an answer is asked for the call at `path`."""

    kind: Literal["tell"] = "tell"
    path: Path
    approvers: tuple[str, ...]


class ClearDoubt(Stored):
    """An owner began the `once` call at `path` and left no outcome. Once `intent.deadline` has
    passed, nobody can still be at it: ask a person whether it happened.
    """

    kind: Literal["clear_doubt"] = "clear_doubt"
    path: Path
    intent: Intent


class Await(Stored):
    """Nothing can be done at `path` until a person answers or `until` passes.

    Attributes:
        until: when something is due although nobody has answered: a reminder, or the deadline.
    """

    kind: Literal["await"] = "await"
    path: Path
    reason: Literal["approval", "doubt"]
    request_id: str
    until: datetime | None


NextEffect: TypeAlias = CallModel | RunTool | AskApproval | Tell | ClearDoubt | Await


def effects(continuation: Continuation) -> tuple[NextEffect, ...]:
    """All that can be done now, and all that must be waited for, in call order.

    An empty answer means that the run has ended. Only a frame's last turn can have open calls, so
    the work is proportional to the open part of the tree and not to the history.
    """
    return tuple(_of_frame(continuation, ROOT))


def _of_frame(frame: Continuation, path: Path) -> Iterator[NextEffect]:
    if frame.outcome:
        return
    if not frame.turns or frame.turns[-1].settled:
        yield CallModel(path=path, turn=len(frame.turns))
        return
    turn = len(frame.turns) - 1
    for index, call in enumerate(frame.turns[-1].calls):
        if not call.outcome:
            yield from _of_call(call, (*path, Step(turn, index)))


def _of_call(call: PendingCall, path: Path) -> Iterator[NextEffect]:
    plan = call.plan
    if isinstance(plan, RefusedPlan):
        return
    if plan.gate and not call.approval:
        yield AskApproval(path=path, gate=plan.gate)
    elif call.approval and not call.decision:
        yield from _of_request(call.approval, plan.gate, path)
    else:
        match plan:
            case AgentPlan():
                if call.child:
                    yield from _of_frame(call.child, path)
            case ToolPlan():
                yield _of_tool(call, plan, path)
            case _:
                assert_never(plan)


def _of_request(request: ApprovalRequest, gate: Gate | None, path: Path) -> Iterator[NextEffect]:
    if request.untold:
        yield Tell(path=path, approvers=request.untold)
    reminder = request.reminder_at(gate) if gate else None
    yield Await(
        path=path,
        reason="approval",
        request_id=request.request_id,
        until=reminder or request.expires_at,
    )


def _of_tool(call: PendingCall, plan: ToolPlan, path: Path) -> NextEffect:
    if call.intent is None:
        return RunTool(path=path, attempt=call.attempts + 1, effect=plan.effect)
    if plan.effect is not Effect.ONCE:
        return RunTool(path=path, attempt=call.intent.attempt + 1, effect=plan.effect)
    if call.doubt is None:
        return ClearDoubt(path=path, intent=call.intent)
    return Await(path=path, reason="doubt", request_id=call.doubt.request_id, until=None)
