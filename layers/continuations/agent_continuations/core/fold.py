"""Fold."""

from collections.abc import Iterable
from datetime import datetime
from typing import assert_never

from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Call, Continuation, Turn
from agent_continuations.core.events import (
    ApprovalRequested,
    ConditionReached,
    Decided,
    DoubtResolved,
    Escalated,
    Event,
    MarkedInDoubt,
    MessageReceived,
    ModelReplied,
    NoticeSent,
    Polled,
    Reassigned,
    SignalReceived,
    Started,
    Suspended,
    ToolReturned,
    ToolStarted,
    Voted,
    Withdrawn,
)
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, Step, parse_path, path_text
from agent_continuations.core.plans import AgentPlan, Effect, Plan, RefusedPlan
from agent_continuations.core.transcript import answered_text, rejected_text
from agent_continuations.core.tree import in_any_frame, in_call, in_frame, replace_call
from agent_continuations.core.voting import apply_to_request
from agent_continuations.core.waits import ChildWait, JobWait
from agent_continuations.errors import IllegalEvent


def fold(events: Iterable[Event]) -> Continuation:
    """Rebuild a continuation from its events, in register key order.

    Raises:
        IllegalEvent: the events cannot have happened in this order, or there are none.
    """
    continuation: Continuation | None = None
    for event in events:
        continuation = apply(continuation, event)
    if continuation is None:
        raise IllegalEvent("a run without its start")
    return continuation


def apply(  # noqa: C901 - one match over the kinds of events
    continuation: Continuation | None, event: Event
) -> Continuation:
    """The continuation after `event`. Only `Started` comes without a continuation before it.

    Raises:
        IllegalEvent: the event cannot have happened to this continuation.
    """
    if isinstance(event, Started):
        if continuation is not None:
            raise IllegalEvent("a run starts once")
        started_at = event.continuation.started_at or event.at
        return event.continuation.model_copy(update={"started_at": started_at})
    if continuation is None:
        raise IllegalEvent(f"{event.kind} before the run's start")
    if isinstance(event, MessageReceived | SignalReceived):
        return _unasked(continuation, event)
    path = parse_path(event.path)
    match event:
        case ModelReplied():
            return in_frame(continuation, path, lambda frame: _model_replied(frame, event))
        case ToolReturned():
            after = in_call(continuation, path, lambda call: _tool_returned(call, event))
            return _without_signal(after, event.took)
        case Suspended():
            return in_call(continuation, path, lambda call: _suspended(call, event))
        case Polled():
            return in_call(continuation, path, lambda call: _polled(call, event))
        case ConditionReached():
            return in_any_frame(continuation, path[:-1], lambda frame: _held(frame, event))
        case ToolStarted():
            return in_call(continuation, path, lambda call: _tool_started(call, event))
        case ApprovalRequested():
            return in_call(continuation, path, lambda call: _approval_requested(call, event))
        case Voted() | Withdrawn() | Reassigned() | Escalated() | NoticeSent():
            return in_call(continuation, path, lambda call: _request_changed(call, event))
        case Decided():
            after = in_call(continuation, path, lambda call: _decided(call, event))
            return _failed_by(after, path, event)
        case MarkedInDoubt():
            return in_call(continuation, path, lambda call: _doubted(call, event))
        case DoubtResolved():
            return in_call(continuation, path, lambda call: _doubt_settled(call, event))
        case _:
            assert_never(event)


def _model_replied(frame: Continuation, event: ModelReplied) -> Continuation:
    for read in event.reads:
        frame = _with_read(frame, parse_path(read.path)[-1], read.outcome)
    if event.turn != len(frame.turns) or frame.outcome:
        raise IllegalEvent(f"a reply for turn {event.turn} of {event.path or 'the root'}")
    if frame.turns and not frame.turns[-1].settled:
        raise IllegalEvent(f"a reply before every call of turn {event.turn - 1} has its outcome")
    turn = Turn(
        reply=event.reply,
        calls=tuple(_begin(plan, event.at) for plan in event.calls),
        heard=tuple(each for each in frame.messages if each.message_id in event.heard),
    )
    left = tuple(each for each in frame.messages if each.message_id not in event.heard)
    return frame.model_copy(update={"turns": (*frame.turns, turn), "messages": left})


def _with_read(frame: Continuation, step: Step, outcome: Outcome) -> Continuation:
    if step.turn != len(frame.turns) - 1:
        raise IllegalEvent("a reply carries an outcome that is not of the turn before it")
    return replace_call(frame, step, lambda call: call.model_copy(update={"outcome": outcome}))


def _begin(plan: Plan, at: datetime) -> Call:
    match plan:
        case RefusedPlan():
            return Call(plan=plan, outcome=Outcome(kind="error", content=plan.reason))
        case AgentPlan(gate=None):
            return _start_child(Call(plan=plan), at)
        case _:
            return Call(plan=plan)


def _start_child(call: Call, at: datetime) -> Call:
    if not isinstance(call.plan, AgentPlan) or call.plan.spawn:
        return call
    child = Continuation(
        agent=call.plan.agent,
        instructions=call.plan.instructions,
        input=call.arguments["input"],
        max_turns=call.plan.max_turns,
        output=call.plan.output,
        started_at=at,
    )
    return call.model_copy(update={"child": child})


def _tool_returned(call: Call, event: ToolReturned) -> Call:
    if call.plan.kind != "tool" and not isinstance(call.wait, ChildWait):
        raise IllegalEvent(f"an outcome for the {call.plan.kind} call {event.path}")
    # The outcome that was stored first stands; a late one from a lost owner changes nothing.
    if call.outcome:
        return call
    # An intent has served its purpose now; the head drops it, too.
    return call.model_copy(update={"outcome": event.outcome, "intent": None})


def _suspended(call: Call, event: Suspended) -> Call:
    spawned = isinstance(call.plan, AgentPlan) and call.plan.spawn
    if spawned is not isinstance(event.wait, ChildWait) or call.plan.kind in ("refused", "hold"):
        raise IllegalEvent(f"the {call.plan.kind} call {event.path} cannot wait")
    # As with outcomes: what was stored first stands, and the tool's body is over.
    if call.wait or call.outcome:
        return call
    return call.model_copy(
        update={"wait": event.wait.started(event.at), "intent": None, "doubt": None}
    )


def _polled(call: Call, event: Polled) -> Call:
    wait = call.wait
    if not isinstance(wait, JobWait) or wait.poll is None:
        raise IllegalEvent(f"a poll at {event.path}, where nothing is polled")
    return call.model_copy(update={"wait": wait.polled(wait.poll, event.number, event.at)})


def _held(frame: Continuation, event: ConditionReached) -> Continuation:
    place = path_text(parse_path(event.path)[-1:])
    return frame.model_copy(update={"holds": {**frame.holds, place: Call(plan=event.plan)}})


def _unasked(root: Continuation, event: MessageReceived | SignalReceived) -> Continuation:
    # In order of time: the registers are in order of their ids.
    match event:
        case MessageReceived(message=message):
            said = sorted((*root.messages, message), key=lambda each: (each.at, each.message_id))
            return root.model_copy(update={"messages": tuple(said)})
        case SignalReceived(signal=signal):
            signals = sorted((*root.signals, signal), key=lambda each: (each.at, each.event_id))
            return root.model_copy(update={"signals": tuple(signals)})
        case _:
            assert_never(event)


def _without_signal(root: Continuation, event_id: str | None) -> Continuation:
    if event_id is None:
        return root
    left = tuple(each for each in root.signals if each.event_id != event_id)
    return root.model_copy(update={"signals": left})


def _tool_started(call: Call, event: ToolStarted) -> Call:
    if call.plan.kind != "tool" or (call.plan.gate and not call.decision):
        raise IllegalEvent(f"an intent for {event.path}, which may not run yet")
    if call.wait or event.intent.attempt <= call.attempts:
        return call
    return call.model_copy(update={"intent": event.intent})


def _approval_requested(call: Call, event: ApprovalRequested) -> Call:
    if call.gate is None or call.approval:
        raise IllegalEvent(f"an approval request for {event.path}, which needs none")
    return call.model_copy(update={"approval": event.request})


def _request_changed(
    call: Call, event: Voted | Withdrawn | Reassigned | Escalated | NoticeSent
) -> Call:
    request = call.approval
    if request is None or request.request_id != event.request_id or call.decision:
        raise IllegalEvent(f"{event.kind} at {event.path}, where no such request waits")
    return call.model_copy(update={"approval": apply_to_request(request, event)})


def _failed_by(root: Continuation, path: Path, event: Decided) -> Continuation:
    """The run, which ends here if the policy says so where nobody answered in time."""
    gate = root.call_at(path).gate
    if event.decision.via != "deadline" or gate is None or gate.on_deadline != "fail":
        return root
    return root.model_copy(update={"failed": f"{event.path}: {event.decision.reason}"})


def _decided(call: Call, event: Decided) -> Call:
    if call.approval is None or call.approval.request_id != event.request_id or call.decision:
        raise IllegalEvent(f"a decision on {event.path}, where no request {event.request_id} waits")
    decision = event.decision
    call = call.model_copy(update={"decision": decision})
    if decision.verdict is Verdict.REJECT:
        content = rejected_text(decision, call)
        return call.model_copy(update={"outcome": Outcome(kind="rejected", content=content)})
    if call.asks == "approval":
        return _start_child(call, decision.decided_at)
    content = answered_text(decision)
    return call.model_copy(update={"outcome": Outcome(kind="ok", content=content)})


def _doubted(call: Call, event: MarkedInDoubt) -> Call:
    if call.plan.kind != "tool" or call.plan.effect is not Effect.ONCE:
        raise IllegalEvent(f"doubt about {event.path}, which may simply run again")
    if call.wait:
        return call  # it has become known since
    return call.model_copy(update={"intent": event.doubt.intent, "doubt": event.doubt})


def _doubt_settled(call: Call, event: DoubtResolved) -> Call:
    if call.wait:
        return call
    if call.doubt is None or call.doubt.request_id != event.request_id:
        raise IllegalEvent(f"an answer on {event.path}, where no doubt {event.request_id} waits")
    if event.decision.verdict is Verdict.APPROVE:
        # It happened. Its outcome is a register of its own, written in the same transaction, so
        # that it and a late outcome of the lost owner exclude each other.
        return call
    attempts = call.doubt.intent.attempt
    return call.model_copy(update={"intent": None, "doubt": None, "attempts": attempts})
