"""Effects: the next actions that a continuation needs, derived from it and never stored."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias, assert_never

from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.approvals.request import ApprovalRequest
from agent_continuations.core.awaiting import Await
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.continuation import Call, Continuation, Intent
from agent_continuations.core.inbound import Restore, Signal
from agent_continuations.core.path import ROOT, Path, Step
from agent_continuations.core.plans import AgentPlan, ConditionPlan, Effect, RefusedPlan, ToolPlan
from agent_continuations.core.waits import Wait


class CallModel(FrozenModel):
    """Ask the model of the frame at `path` for its reply number `turn`.

    Attributes:
        heard: ids of the messages that the request includes for the first time.
    """

    kind: Literal["call_model"] = "call_model"
    path: Path
    turn: int
    heard: tuple[str, ...] = ()


class RunTool(FrozenModel):
    """Run the tool of the call at `path`."""

    kind: Literal["run_tool"] = "run_tool"
    path: Path
    attempt: int
    effect: Effect


class PollJob(FrozenModel):
    """Poll the job that the call at `path` waits for. It follows from an `Await` that is due."""

    kind: Literal["poll_job"] = "poll_job"
    path: Path
    number: int


class AskApproval(FrozenModel):
    """Record an approval request for the call at `path`, and notify the approvers."""

    kind: Literal["ask_approval"] = "ask_approval"
    path: Path
    policy: ApprovalPolicy


class NotifyApprovers(FrozenModel):
    """Notify approvers who are asked about the call at `path` only now, as in a later stage."""

    kind: Literal["tell"] = "tell"
    path: Path
    approvers: tuple[str, ...]


class AskIfHappened(FrozenModel):
    """Ask a person whether the `once` call at `path` happened: it has an intent, but no outcome, or
    these may be among the records that a restore of the table has lost.

    The request is made once `intent.deadline` has passed, when no process can be running the tool.
    """

    kind: Literal["clear_doubt"] = "clear_doubt"
    path: Path
    intent: Intent


class StartRun(FrozenModel):
    """Start a child run for the call at `path`."""

    kind: Literal["start_run"] = "start_run"
    path: Path


class TakeSignal(FrozenModel):
    """Make a signal that has arrived the outcome of the call at `path`, which waits for it."""

    kind: Literal["take_signal"] = "take_signal"
    path: Path
    signal: Signal


NextEffect: TypeAlias = (
    CallModel
    | RunTool
    | AskApproval
    | NotifyApprovers
    | AskIfHappened
    | StartRun
    | TakeSignal
    | Await
)


def effects(continuation: Continuation) -> tuple[NextEffect, ...]:
    """Every effect that can start now, and every wait, in call order.

    The result is empty if the run has ended. Only a frame's last turn can have open calls, so the
    time is proportional to the open part of the tree and not to its history.
    """
    outside = _Outside(list(continuation.signals), continuation.restore)
    found = _of_frame(continuation, ROOT, outside)
    stopped = continuation.open_condition
    if stopped and isinstance(stopped[1].plan, ConditionPlan) and stopped[1].plan.scope == "run":
        # No agent of the run calls its model before people continue the run.
        return tuple(each for each in found if not isinstance(each, CallModel))
    return tuple(found)


def may_have_run(call: Call, restore: Restore | None) -> bool:
    """Whether a `once` call may have run in the time that a restore of the table has lost, and
    nobody was asked about it since.

    Any such call may: also one that was not approved by then, one that was in doubt already, and
    one of a later turn, because the model may have made it in a turn that is lost.
    """
    if restore is None or call.wait or call.outcome:
        return False
    if not isinstance(call.plan, ToolPlan) or call.plan.effect is not Effect.ONCE:
        return False
    asked_at = call.doubt.requested_at if call.doubt else call.cleared_at
    return asked_at is None or asked_at < restore.until


class _Outside(NamedTuple):
    """What came to the run from outside: signals that no call has taken yet, and a restore."""

    signals: list[Signal]
    restore: Restore | None


def _of_frame(frame: Continuation, path: Path, outside: _Outside) -> Iterator[NextEffect]:
    if frame.outcome:
        return
    if frame.open_condition:
        step, call = frame.open_condition
        yield from _of_call(call, (*path, step), outside)
    if not frame.turns or frame.turns[-1].settled:
        if not frame.open_condition:
            heard = tuple(each.message_id for each in frame.messages)
            yield CallModel(path=path, turn=len(frame.turns), heard=heard)
        return
    turn = len(frame.turns) - 1
    for index, call in enumerate(frame.turns[-1].calls):
        if not call.outcome:
            yield from _of_call(call, (*path, Step(turn, index)), outside)


def _of_call(call: Call, path: Path, outside: _Outside) -> Iterator[NextEffect]:
    plan = call.plan
    if isinstance(plan, RefusedPlan):
        return
    if unknown := _of_unknown(call, path, outside.restore):
        yield unknown
    elif call.gate and not call.approval:
        yield AskApproval(path=path, policy=call.gate)
    elif call.approval and not call.decision:
        yield from _of_request(call, call.approval, path)
    elif call.wait:
        yield from _of_wait(call.wait, path, outside.signals)
    else:
        yield from _of_plan(call, plan, path, outside)


def _of_plan(
    call: Call, plan: AgentPlan | ToolPlan | ConditionPlan, path: Path, outside: _Outside
) -> Iterator[NextEffect]:
    match plan:
        case AgentPlan(spawn=True):
            yield StartRun(path=path)
        case AgentPlan():
            if call.child:
                yield from _of_frame(call.child, path, outside)
        case ToolPlan():
            yield _of_tool(call, plan, path)
        case ConditionPlan():
            return
        case _:
            assert_never(plan)


def _of_unknown(call: Call, path: Path, restore: Restore | None) -> Await | AskIfHappened | None:
    """The question whether the call happened; None if there is none. It precedes all others."""
    if restore and may_have_run(call, restore):
        return AskIfHappened(path=path, intent=_lost_intent(call, restore))
    if call.doubt:
        return Await(path=path, reason="doubt", request_id=call.doubt.request_id, until=None)
    return None


def _lost_intent(call: Call, restore: Restore) -> Intent:
    """The intent that a call may have had in the time that a restore has lost."""
    known = call.intent
    if known is None:
        return Intent(attempt=call.attempts + 1, started_at=restore.since, deadline=restore.until)
    return Intent(
        # An attempt that was in doubt may have been answered, and the next one may have begun.
        attempt=known.attempt + bool(call.doubt),
        started_at=known.started_at,
        deadline=max(known.deadline, restore.until),
    )


def _of_request(call: Call, request: ApprovalRequest, path: Path) -> Iterator[NextEffect]:
    if request.unnotified:
        yield NotifyApprovers(path=path, approvers=request.unnotified)
    reminder = request.reminder_at(call.gate) if call.gate else None
    yield Await(
        path=path,
        reason=call.asks,
        request_id=request.request_id,
        until=reminder or request.expires_at,
    )


def _of_wait(wait: Wait, path: Path, signals: list[Signal]) -> Iterator[NextEffect]:
    # An event that was stored after the deadline came too late, whenever the run gets to see it.
    in_time = (each for each in signals if wait.deadline is None or each.at <= wait.deadline)
    signal = next((each for each in in_time if wait.takes(each.name, each.correlation)), None)
    if signal:
        signals.remove(signal)  # each is for one call only
        yield TakeSignal(path=path, signal=signal)
    elif awaited := wait.awaits(path):
        yield awaited


def _of_tool(call: Call, plan: ToolPlan, path: Path) -> NextEffect:
    if call.intent is None:
        return RunTool(path=path, attempt=call.attempts + 1, effect=plan.effect)
    if plan.effect is not Effect.ONCE:
        return RunTool(path=path, attempt=call.intent.attempt + 1, effect=plan.effect)
    return AskIfHappened(path=path, intent=call.intent)
