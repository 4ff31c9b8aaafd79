"""The state machine of a run: events are folded, in key order, into one continuation.

`apply` is pure: no clock, no store, no agent code. Whatever could change later (instructions,
policies, plans, times) is part of an event, so old events fold to the same state under new code.

Rule 1. `Started` comes first and once. Every other event changes one frame, one call, or the root.
Rule 2. A frame alternates: its model replies, then each call of that turn gets its outcome, then
        its model replies again. A reply without calls and without fault is the frame's outcome.
Rule 3. A call goes forward only: its plan; an approval request and a decision, if its policy asks
        for them; the intent of its tool; the outcome, or first a wait for it (a timer, a question,
        an event, a job, a child run). A sub-agent's call ends with the outcome of its child frame.
Rule 4. The first outcome, wait and decision that was stored stands, because keys are write-once. A
        late outcome or wait from a lost lease changes nothing; a late decision is illegal.
Rule 5. Doubt alone leads back: an intent without an outcome, a doubt, a person's answer. If the
        call happened, its outcome is in the same transaction; if not, its next attempt starts.
        After a restore of the table, a call may be in doubt before its request and its intent.
Rule 6. Any other event is illegal, and `apply` raises `IllegalEvent`. Execution parks such a run.

The order of the keys (core/keys.py) is a legal order, but not the order in time: the events of a
call fold before the frame's next turn, and messages and signals fold before everything else.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import assert_never

from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import Call, Continuation, Turn
from agent_continuations.core.doubts import doubt_resolved, doubt_voted, marked_in_doubt
from agent_continuations.core.events import (
    ApprovalRequested,
    ConditionReached,
    Decided,
    DoubtResolved,
    DoubtVoted,
    Escalated,
    Event,
    InboundEvent,
    MarkedInDoubt,
    ModelReplied,
    NoticeSent,
    Polled,
    Reassigned,
    Started,
    Suspended,
    ToolReturned,
    ToolStarted,
    Voted,
    Withdrawn,
)
from agent_continuations.core.inbound_fold import inbound_received, without_signal
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, Step, parse_path, path_text
from agent_continuations.core.plans import AgentPlan, Plan, RefusedPlan
from agent_continuations.core.transcript import answered_text, rejected_text
from agent_continuations.core.tree import (
    change_active_frame,
    change_call,
    change_call_in_frame,
    change_frame,
)
from agent_continuations.core.voting import apply_to_request
from agent_continuations.core.waits import ChildWait, JobWait
from agent_continuations.errors import IllegalEvent


def fold(events: Iterable[Event]) -> Continuation:
    """Fold a run's events, in the order of their journal keys, into its continuation.

    Raises:
        IllegalEvent: an event is illegal after those before it, or there are no events.
    """
    continuation: Continuation | None = None
    for event in events:
        continuation = apply(continuation, event)
    if continuation is None:
        raise IllegalEvent("a run without its start")
    return continuation


def fold_readable(events: Iterable[Event], agent: str) -> Continuation:
    """Fold what there is of a run some of whose events are missing, to look at it.

    Args:
        events: the events that could be read; those that make no sense without others are skipped.
        agent: the agent of a run whose start is missing.
    """
    continuation: Continuation | None = None
    for event in events:
        with suppress(IllegalEvent, LookupError):
            continuation = apply(continuation, event)
    return continuation or Continuation(agent=agent, instructions="", input="", max_turns=1)


def apply(  # noqa: C901 - one match over the kinds of events
    continuation: Continuation | None, event: Event
) -> Continuation:
    """The continuation after one more event. `Started` alone has no continuation before it.

    Raises:
        IllegalEvent: the event is illegal in this state.
    """
    if isinstance(event, Started):
        if continuation is not None:
            raise IllegalEvent("a run starts once")
        started_at = event.continuation.started_at or event.at
        return event.continuation.model_copy(update={"started_at": started_at})
    if continuation is None:
        raise IllegalEvent(f"{event.kind} before the run's start")
    if isinstance(event, InboundEvent):
        return inbound_received(continuation, event)
    path = parse_path(event.path)
    match event:
        case ModelReplied():
            return change_active_frame(
                continuation, path, lambda frame: _model_replied(frame, event)
            )
        case ToolReturned():
            after = change_call(continuation, path, lambda call: _tool_returned(call, event))
            return without_signal(after, event.took)
        case Suspended():
            return change_call(continuation, path, lambda call: _suspended(call, event))
        case Polled():
            return change_call(continuation, path, lambda call: _polled(call, event))
        case ConditionReached():
            return change_frame(
                continuation, path[:-1], lambda frame: _condition_reached(frame, event)
            )
        case ToolStarted():
            return change_call(continuation, path, lambda call: _tool_started(call, event))
        case ApprovalRequested():
            return change_call(continuation, path, lambda call: _approval_requested(call, event))
        case Voted() | Withdrawn() | Reassigned() | Escalated() | NoticeSent():
            return change_call(continuation, path, lambda call: _request_changed(call, event))
        case Decided():
            after = change_call(continuation, path, lambda call: _decided(call, event))
            return _fail_on_deadline(after, path, event)
        case MarkedInDoubt():
            return change_call(continuation, path, lambda call: marked_in_doubt(call, event))
        case DoubtVoted():
            return change_call(continuation, path, lambda call: doubt_voted(call, event))
        case DoubtResolved():
            return change_call(continuation, path, lambda call: doubt_resolved(call, event))
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
        calls=tuple(_new_call(plan, event.at) for plan in event.calls),
        heard=tuple(each for each in frame.messages if each.message_id in event.heard),
        profile=event.profile,
    )
    undelivered = tuple(each for each in frame.messages if each.message_id not in event.heard)
    return frame.model_copy(update={"turns": (*frame.turns, turn), "messages": undelivered})


def _with_read(frame: Continuation, step: Step, outcome: Outcome) -> Continuation:
    if step.turn != len(frame.turns) - 1:
        raise IllegalEvent("a reply carries an outcome that is not of the turn before it")
    return change_call_in_frame(
        frame, step, lambda call: call.model_copy(update={"outcome": outcome})
    )


def _new_call(plan: Plan, at: datetime) -> Call:
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
    # The outcome that was stored first stands; a late one from a lost lease changes nothing.
    if call.outcome:
        return call
    # The intent is not needed any more; the head removes it, too.
    ended = {"outcome": event.outcome, "senders": event.senders, "intent": None}
    return call.model_copy(update=ended)


def _suspended(call: Call, event: Suspended) -> Call:
    spawned = isinstance(call.plan, AgentPlan) and call.plan.spawn
    if spawned is not isinstance(event.wait, ChildWait) or call.plan.kind in ("refused", "hold"):
        raise IllegalEvent(f"the {call.plan.kind} call {event.path} cannot wait")
    # As with outcomes, the wait that was stored first stands; the tool's function has returned.
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


def _condition_reached(frame: Continuation, event: ConditionReached) -> Continuation:
    key = path_text(parse_path(event.path)[-1:])
    return frame.model_copy(update={"holds": {**frame.holds, key: Call(plan=event.plan)}})


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


def _fail_on_deadline(root: Continuation, path: Path, event: Decided) -> Continuation:
    """The run, which fails here if its policy says so for an expired request."""
    policy = root.call_at(path).gate
    if event.decision.via != "deadline" or policy is None or policy.on_deadline != "fail":
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
