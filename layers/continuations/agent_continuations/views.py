"""What the outside sees of a run: its summary, what it waits for, and what happened."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, PlainSerializer

from agent_continuations.core.continuation import (
    Continuation,
    Decision,
    PendingCall,
    RefusedPlan,
    Usage,
)
from agent_continuations.core.effects import Await, CallModel, ClearDoubt, NextEffect, effects
from agent_continuations.core.event import (
    ApprovalRequested,
    Decided,
    Doubted,
    DoubtSettled,
    ModelReplied,
    Started,
    ToolReturned,
)
from agent_continuations.core.path import Path, parse_path, path_text
from agent_continuations.dispatch import hash_of
from agent_continuations.ports import Head, Snapshot, Status


def moment(at: datetime) -> str:
    """A time in RFC 3339, UTC, always of the same length, so that texts sort like times."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment: TypeAlias = Annotated[datetime, PlainSerializer(moment, when_used="json")]


class View(BaseModel):
    """Base of what is shown."""

    model_config = ConfigDict(frozen=True)


class Waiting(View):
    """One place in the tree where a run waits, and for what."""

    request_id: str
    kind: Literal["approval", "doubt", "timer", "model"]
    path: str
    agents: tuple[str, ...]
    tool: str | None = None
    arguments: dict[str, Any] | None = None
    arguments_hash: str | None = None
    approvers: tuple[str, ...] | None = None
    expires_at: Moment | None = None
    message: str


class RunView(View):
    """A run, as `GET /runs/{id}` shows it. `turns` and `usage` count the whole tree."""

    run_id: str
    agent: str
    status: Status
    result: str | None = None
    error: str | None = None
    waiting: tuple[Waiting, ...] = ()
    usage: Usage
    created_at: Moment
    updated_at: Moment
    turns: int
    metadata: dict[str, str] = {}


class Entry(View):
    """One line of a timeline."""

    at: Moment
    kind: Literal["started", "model", "tool", "approval", "decision", "doubt", "answer", "ended"]
    path: str
    agent: str
    text: str
    tool: str | None = None
    arguments: dict[str, Any] | None = None
    request_id: str | None = None
    verdict: str | None = None
    approver: str | None = None
    decided_by: str | None = None
    via: str | None = None
    reason: str | None = None


def run_view(head: Head, root: Continuation) -> RunView:
    """The summary of a run."""
    ended = root.outcome
    error = ended.content if ended and head.status is Status.FAILED else head.note
    turns, usage = _totals(root)
    return RunView(
        run_id=head.run_id,
        agent=head.agent,
        status=head.status,
        result=ended.content if ended and head.status is Status.COMPLETED else None,
        error=error if head.status in (Status.FAILED, Status.PARKED) else None,
        waiting=tuple(waiting(head, root)),
        usage=usage,
        created_at=head.created_at,
        updated_at=head.updated_at,
        turns=turns,
        metadata=head.metadata,
    )


def summary(head: Head) -> dict[str, Any]:
    """A run as it stands in a list."""
    return {
        "run_id": head.run_id,
        "agent": head.agent,
        "status": head.status,
        "created_at": moment(head.created_at),
        "updated_at": moment(head.updated_at),
        "metadata": head.metadata,
        "links": links(head.run_id),
    }


def links(run_id: str) -> dict[str, str]:
    """Where more about a run is to be had, relative to the API's base URL."""
    base = f"/runs/{run_id}"
    parts = ("continuation", "timeline", "decisions", "cancel", "redrive")
    return {"self": base, **{part: f"{base}/{part}" for part in parts}}


def decision_view(run_id: str, request_id: str, decision: Decision) -> dict[str, Any]:
    """A decision that stands."""
    told = decision.model_dump(mode="json", exclude_none=True)
    verdict = told.pop("verdict")
    told["decided_at"] = moment(decision.decided_at)
    return {"run_id": run_id, "request_id": request_id, "decision": verdict, **told}


def waiting(head: Head, root: Continuation) -> Iterator[Waiting]:
    """Everything that a run waits for, in call order. Nothing once it has ended."""
    if head.status.terminal:
        return
    for effect in effects(root):
        match effect:
            case Await():
                yield _question(head, root, effect)
            case CallModel() if head.status is Status.SUSPENDED:
                pause = head.model_pause
                message = pause.reason if pause else "the model is not called yet"
                yield _pause(root, effect, "model", message)
            case ClearDoubt() if head.status is Status.SUSPENDED:
                message = "the tool was begun and may still be running; its owner is gone"
                yield _pause(root, effect, "timer", message)
            case _:
                pass


def _question(head: Head, root: Continuation, effect: Await) -> Waiting:
    call = root.call_at(effect.path)
    assert not isinstance(call.plan, RefusedPlan)
    question = call.doubt if effect.reason == "doubt" else call.approval
    agents = root.agents_to(effect.path)
    if effect.reason == "approval":
        message = f"{agents[-1]} asks to call {call.plan.tool}"
    else:
        message = (
            f"It is not known whether {call.plan.tool} happened: its process was lost while it ran."
            " Approve: it happened, the run goes on and your reason is told as its result."
            " Reject: it did not happen, and it runs now."
        )
    return Waiting(
        request_id=effect.request_id,
        kind=effect.reason,
        path=path_text(effect.path),
        agents=agents,
        tool=call.plan.tool,
        arguments=call.arguments,
        arguments_hash=hash_of(head, call, effect.path),
        approvers=question.approvers if question else None,
        expires_at=effect.until,
        message=message,
    )


def _pause(
    root: Continuation, effect: NextEffect, kind: Literal["timer", "model"], message: str
) -> Waiting:
    frame = effect.path if kind == "model" else effect.path[:-1]
    return Waiting(
        request_id=f"{kind}-{path_text(effect.path) or 'root'}",
        kind=kind,
        path=path_text(effect.path),
        agents=(*root.agents_to(frame), root.frame_at(frame).agent),
        message=message,
    )


def timeline(snapshot: Snapshot, root: Continuation) -> list[Entry]:
    """What happened, in order of time."""
    entries = [
        entry for event in snapshot.events() for entry in _entries(event, snapshot.head, root)
    ]
    head = snapshot.head
    if head.status.terminal:
        ended = root.outcome.content if root.outcome else (head.note or "")
        text = f"{head.status.value}: {ended}" if ended else head.status.value
        entries.append(
            Entry(at=head.updated_at, kind="ended", path="", agent=head.agent, text=text)
        )
    return sorted(entries, key=lambda entry: entry.at)


def _entries(event: Any, head: Head, root: Continuation) -> Iterator[Entry]:
    path = parse_path(getattr(event, "path", ""))
    match event:
        case Started():
            yield Entry(
                at=event.at, kind="started", path="", agent=head.agent, text=root.input[:500]
            )
        case ModelReplied():
            for read in event.reads:
                yield from _entries(read, head, root)
            names = ", ".join(plan.tool for plan in event.calls)
            said = f"asks for {names}" if names else (event.reply.content or "")[:500]
            yield Entry(
                at=event.at,
                kind="model",
                path=event.path,
                agent=root.frame_at(path).agent,
                text=said or f"gave no usable answer ({event.reply.fault})",
            )
        case ToolReturned():
            yield _of_call(root, path, at=event.at, kind="tool", text=event.outcome.content[:500])
        case ApprovalRequested(request=asked):
            approvers = ", ".join(asked.approvers)
            yield _of_call(
                root,
                path,
                at=asked.requested_at,
                kind="approval",
                text=f"asked {approvers}",
                request_id=asked.request_id,
            )
        case Doubted(doubt=doubt):
            yield _of_call(
                root,
                path,
                at=doubt.requested_at,
                kind="doubt",
                text="asked whether it happened",
                request_id=doubt.request_id,
            )
        case Decided(decision=decision) | DoubtSettled(decision=decision):
            yield _of_call(
                root,
                path,
                at=decision.decided_at,
                kind="decision" if isinstance(event, Decided) else "answer",
                text=f"{decision.verdict.value} by {decision.approver}",
                request_id=event.request_id,
                verdict=decision.verdict.value,
                approver=decision.approver,
                decided_by=decision.decided_by,
                via=decision.via,
                reason=decision.reason,
            )
        case _:
            pass


def _of_call(root: Continuation, path: Path, **more: Any) -> Entry:
    call: PendingCall = root.call_at(path)
    return Entry(
        path=path_text(path),
        agent=root.frame_at(path[:-1]).agent,
        tool=call.plan.tool,
        arguments=call.arguments,
        **more,
    )


def _totals(frame: Continuation) -> tuple[int, Usage]:
    turns, usage = len(frame.turns), Usage()
    for turn in frame.turns:
        usage += turn.reply.usage
        for call in turn.calls:
            if call.child:
                inner_turns, inner_usage = _totals(call.child)
                turns += inner_turns
                usage += inner_usage
    return turns, usage
