"""Questions to people: what is asked, of whom, how they are told, and what time says when nobody
answers.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from agent_continuations.core.approval import (
    ApprovalRequest,
    Decision,
    Gate,
    Stage,
    Verdict,
    person,
)
from agent_continuations.core.continuation import Continuation, Doubt, Outcome, RefusedPlan
from agent_continuations.core.effects import AskApproval, Await, ClearDoubt, TakeSignal, Tell
from agent_continuations.core.event import (
    ApprovalRequested,
    Decided,
    Doubted,
    Escalated,
    Told,
    ToolReturned,
)
from agent_continuations.core.identity import canonical_json, policy_hash, request_id
from agent_continuations.core.path import parse_path, path_text
from agent_continuations.core.wait import EventWait, JobWait, TimerWait
from agent_continuations.dispatch import call_hash
from agent_continuations.errors import IllegalEvent
from agent_continuations.ports import Head, Notice

MAX_GOAL_CHARACTERS = 2000
MAX_NOTICE_CHARACTERS = 8000
NOTICE_GRACE = timedelta(seconds=60)


def approval_question(
    head: Head, root: Continuation, effect: AskApproval, now: datetime
) -> ApprovalRequested:
    """May this call run?"""
    gate = effect.gate
    request = ApprovalRequest(
        request_id=request_id(head.run_id, effect.path, "approval"),
        arguments_hash=call_hash(head, root, effect.path),
        stages=gate.stages,
        requested_at=now,
        expires_at=now + timedelta(seconds=gate.timeout_seconds),
        told=gate.stages[0].approvers,
        policy_hash=policy_hash(gate),
    )
    return ApprovalRequested(path=path_text(effect.path), request=request)


def is_up(effect: Await, now: datetime) -> bool:
    """Whether something is due although nothing has happened."""
    return effect.until is not None and effect.until <= now


def over(root: Continuation, effect: Await, now: datetime) -> ToolReturned | None:
    """What a call comes to whose time is over; None where only the next poll is due."""
    call = root.call_at(effect.path)
    match call.wait:
        case TimerWait(until=until):
            outcome = Outcome(kind="ok", content=f"It is {now.isoformat(timespec='seconds')} now.")
        case EventWait(name=name, until=until):
            outcome = Outcome(kind="error", content=f"The event {name} has not come in time.")
        case JobWait(until=until):
            outcome = Outcome(kind="error", content="The job has not finished in time.")
        case _:
            return None
    if until is None or until > now:
        return None
    return ToolReturned(path=path_text(effect.path), outcome=outcome, started_at=until, at=now)


def taken(effect: TakeSignal, now: datetime) -> ToolReturned:
    """The outcome of a call that has waited for an event: what came with it."""
    signal = effect.signal
    payload = signal.payload
    return ToolReturned(
        path=path_text(effect.path),
        outcome=Outcome(
            kind="ok", content=payload if isinstance(payload, str) else canonical_json(payload)
        ),
        took=signal.event_id,
        started_at=signal.at,
        at=now,
    )


def told(root: Continuation, effect: Tell, now: datetime) -> Told:
    """Those of whom an answer is asked only now."""
    return Told(
        path=path_text(effect.path),
        request_id=_asked(root, effect)[0].request_id,
        occasion="asked",
        approvers=effect.approvers,
        at=now,
    )


def doubt_question(
    head: Head,
    root: Continuation,
    effect: ClearDoubt,
    now: datetime,
    operators: Sequence[str],
) -> Doubted:
    """Did this call happen? It goes to those who approved it, or else to the operators."""
    attempt, approval = effect.intent.attempt, root.call_at(effect.path).approval
    doubt = Doubt(
        request_id=request_id(head.run_id, effect.path, "doubt", attempt),
        intent=effect.intent,
        approvers=approval.approvers if approval else tuple(operators),
        requested_at=now,
    )
    return Doubted(path=path_text(effect.path), doubt=doubt)


def on_time(
    head: Head, root: Continuation, effect: Await, now: datetime
) -> Told | Escalated | Decided:
    """What time says where people have not answered: a reminder, an escalation, or a rejection.
    It is never an approval.
    """
    request, gate = _asked(root, effect)
    path = path_text(effect.path)
    reminder = request.reminder_at(gate)
    if reminder and reminder <= now < request.expires_at:
        return Told(
            path=path,
            request_id=request.request_id,
            occasion="reminder",
            approvers=request.owing,
            at=now,
        )
    if request.escalated < len(gate.escalations):
        escalation = gate.escalations[request.escalated]
        return Escalated(
            path=path,
            request_id=request.request_id,
            stage=Stage(approvers=escalation.approvers, needed=escalation.needed),
            expires_at=now + timedelta(seconds=escalation.timeout_seconds),
            at=now,
        )
    nobody = "nobody answered" if root.call_at(effect.path).asks == "question" else "nobody decided"
    missed = "not everybody agreed" if request.counted else nobody
    decision = Decision(
        verdict=Verdict.REJECT,
        approver="deadline",
        decided_by="deadline",
        via="deadline",
        reason=f"{missed} before the deadline",
        arguments_hash=call_hash(head, root, effect.path),
        decided_at=now,
    )
    return Decided(path=path, request_id=request.request_id, decision=decision)


def _asked(root: Continuation, effect: Tell | Await) -> tuple[ApprovalRequest, Gate]:
    call = root.call_at(effect.path)
    if call.approval is None or call.gate is None:
        raise IllegalEvent(f"nobody is asked at {path_text(effect.path)}")
    return call.approval, call.gate


def notice(
    head: Head,
    root: Continuation,
    event: ApprovalRequested | Doubted | Told,
    *,
    now: datetime,
    recipients: Callable[[Sequence[str]], Sequence[str]],
) -> Notice:
    """The message that tells people of a question, once `root` has taken it in.

    Raises:
        IllegalEvent: nothing is asked there.
    """
    path = parse_path(event.path)
    call = root.call_at(path)
    request, plan = call.approval, call.plan
    if isinstance(plan, RefusedPlan):
        raise IllegalEvent(f"nothing is asked at {event.path}")
    if isinstance(event, Doubted):
        asked, expires_at, notice_id = event.doubt.approvers, None, event.doubt.request_id
        question = event.doubt.request_id
    elif request:
        asked = event.approvers if isinstance(event, Told) else request.told
        expires_at, question = request.expires_at, request.request_id
        # The same notice has the same id, whoever writes it; a further one has another.
        notice_id = question if request.notices == 1 else f"{question}-{request.notices}"
    else:
        raise IllegalEvent(f"nothing is asked at {event.path}")
    may_answer = [each for each in asked if _may_answer(each, head, call.gate)]
    return Notice(
        notice_id=notice_id,
        run_id=head.run_id,
        tenant=head.tenant,
        kind="doubt" if isinstance(event, Doubted) else call.asks,
        request_id=question,
        path=event.path,
        agents=root.agents_to(path),
        goal=root.input[:MAX_GOAL_CHARACTERS],
        tool=plan.tool,
        arguments=_fit(call.arguments),
        arguments_hash=call_hash(head, root, path),
        expires_at=expires_at,
        created_at=now,
        approvers=tuple(asked),
        undelivered=tuple(recipients(may_answer)),
        # The hint comes first; the sweeper only where the hint was lost.
        due=now + NOTICE_GRACE,
        occasion=event.occasion if isinstance(event, Told) else "asked",
        risk=call.risk,
        preview=call.preview,
    )


def _may_answer(approver: str, head: Head, gate: Gate | None) -> bool:
    """Whoever started the run is not asked to approve it, unless the policy allows it."""
    own = head.requester is not None and person(head.requester) == person(approver)
    return not own or gate is None or gate.self_approval


def _fit(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments as they fit into a mail, and into an item of the outbox."""
    size = len(canonical_json(arguments))
    if size <= MAX_NOTICE_CHARACTERS:
        return arguments
    return {"…": f"{size} characters, too much for a message; the page shows them all"}
