"""What the outside sees of a run: its summary, and what it waits for."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from agent_continuations.core.approval import ApprovalRequest, Risk
from agent_continuations.core.continuation import (
    Continuation,
    Doubt,
    RefusedPlan,
    Usage,
)
from agent_continuations.core.effects import Await, CallModel, ClearDoubt, NextEffect, effects
from agent_continuations.core.path import path_text
from agent_continuations.dispatch import hash_of
from agent_continuations.ports import Head, Status


def moment(at: datetime) -> str:
    """A time in RFC 3339, UTC, always of the same length, so that texts sort like times."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment: TypeAlias = Annotated[
    datetime,
    PlainSerializer(moment, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class View(BaseModel):
    """Base of what is shown."""

    model_config = ConfigDict(frozen=True)


class StageView(View):
    """One stage of an approval: who is asked, how many must agree, and who has."""

    approvers: tuple[str, ...]
    needed: int
    approved_by: tuple[str, ...]
    open: bool


class Waiting(View):
    """One place in the tree where a run waits, and for what.

    `approvers` are those who are asked now; `stages` shows them all, with who has answered what.
    """

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
    stages: tuple[StageView, ...] | None = None
    risk: Risk | None = None
    preview: str | None = None


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


class Links(TypedDict):
    """Addresses, relative to the API's base URL."""

    self: str
    continuation: str
    timeline: str
    audit: str
    decisions: str
    cancel: str
    redrive: str


class Accepted(View):
    """What starting a run is answered with."""

    run_id: str
    status: Status
    links: Links


class Summary(View):
    """A run as it stands in a list."""

    run_id: str
    agent: str
    status: Status
    created_at: Moment
    updated_at: Moment
    metadata: dict[str, str]
    links: Links


class RunPage(View):
    """Some runs, newest first; `next` is the cursor of those that follow."""

    items: tuple[Summary, ...]
    next: str | None


def run_view(head: Head, root: Continuation) -> RunView:
    """The summary of a run."""
    ended = root.outcome
    error = ended.content if ended and head.status is Status.FAILED else head.note
    turns, usage = totals(root)
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


def summary(head: Head) -> Summary:
    """A run as it stands in a list."""
    return Summary(
        run_id=head.run_id,
        agent=head.agent,
        status=head.status,
        created_at=head.created_at,
        updated_at=head.updated_at,
        metadata=head.metadata,
        links=links(head.run_id),
    )


def links(run_id: str) -> Links:
    """Where more about a run is to be had, relative to the API's base URL."""
    base = f"/runs/{run_id}"
    return {
        "self": base,
        "continuation": f"{base}/continuation",
        "timeline": f"{base}/timeline",
        "audit": f"{base}/audit",
        "decisions": f"{base}/decisions",
        "cancel": f"{base}/cancel",
        "redrive": f"{base}/redrive",
    }


def stage_views(request: ApprovalRequest) -> tuple[StageView, ...]:
    """The stages of an open request."""
    return tuple(
        StageView(
            approvers=stage.approvers,
            needed=stage.needed,
            approved_by=tuple(vote.approver for vote in request.counted if vote.stage == number),
            open=number == request.open_stage,
        )
        for number, stage in enumerate(request.stages)
    )


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
    request, gate = call.approval, call.plan.gate
    approving = effect.reason == "approval" and request is not None
    return Waiting(
        request_id=effect.request_id,
        kind=effect.reason,
        path=path_text(effect.path),
        agents=agents,
        tool=call.plan.tool,
        arguments=call.arguments,
        arguments_hash=hash_of(head, call, effect.path),
        approvers=_asked_now(question) if question else None,
        expires_at=request.expires_at if request and approving else None,
        message=message,
        stages=stage_views(request) if request and approving else None,
        risk=call.risk if gate else None,
        preview=call.preview.effect if call.preview and approving else None,
    )


def _asked_now(question: ApprovalRequest | Doubt) -> tuple[str, ...]:
    if isinstance(question, ApprovalRequest) and question.open_stage is not None:
        return question.stages[question.open_stage].approvers
    return question.approvers


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


def totals(frame: Continuation) -> tuple[int, Usage]:
    turns, usage = len(frame.turns), Usage()
    for turn in frame.turns:
        usage += turn.reply.usage
        for call in turn.calls:
            if call.child:
                inner_turns, inner_usage = totals(call.child)
                turns += inner_turns
                usage += inner_usage
    return turns, usage
