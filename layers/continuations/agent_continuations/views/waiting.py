"""API views of a run's open waits."""

from collections.abc import Iterator
from typing import Any, Literal

from agent_continuations.core.approvals.policy import Risk
from agent_continuations.core.approvals.request import ApprovalRequest
from agent_continuations.core.awaiting import Await, Reason
from agent_continuations.core.call_hash import call_hash_of
from agent_continuations.core.continuation import Call, Continuation, Doubt
from agent_continuations.core.effects import AskIfHappened, CallModel, NextEffect, effects
from agent_continuations.core.path import path_text
from agent_continuations.core.run import RunHead, Status
from agent_continuations.views.base import ApiModel, Rfc3339, moment
from agent_continuations.views.labels import LABELS


class StageView(ApiModel):
    """One stage of an approval: its approvers, how many must agree, and who has approved."""

    approvers: tuple[str, ...]
    needed: int
    approved_by: tuple[str, ...]
    open: bool


class Waiting(ApiModel):
    """One open wait of a run.

    `approvers` are asked now; `stages` lists all stages with their votes. An answer to a question
    must match `answer_schema`. `run_id` is the child run that is waited for, or that the wait is
    in, if there is one.
    """

    request_id: str
    kind: Literal[Reason, "model"]
    path: str
    agents: tuple[str, ...]
    tool: str | None = None
    arguments: dict[str, Any] | None = None
    arguments_hash: str | None = None
    approvers: tuple[str, ...] | None = None
    expires_at: Rfc3339 | None = None
    message: str
    stages: tuple[StageView, ...] | None = None
    risk: Risk | None = None
    preview: str | None = None
    answer_schema: dict[str, Any] | None = None
    event: str | None = None
    correlation: str | None = None
    run_id: str | None = None


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


def waiting(head: RunHead, root: Continuation) -> Iterator[Waiting]:
    """The open waits of a run, in call order; none once it has ended."""
    if head.status.ended:
        return
    for effect in effects(root):
        match effect:
            case Await(asks_people=True):
                yield _question(head, root, effect)
            case Await():
                yield _waiting_entry(root, effect)
            case CallModel() if head.status is Status.SUSPENDED:
                pause = head.model_pause
                message = pause.reason if pause else head.note or LABELS["model"].message
                yield _backoff_entry(root, effect, "model", message)
            case AskIfHappened() if head.status is Status.SUSPENDED:
                message = (
                    "the tool was started and may still be running; its process has lost the run"
                )
                yield _backoff_entry(root, effect, "timer", message)
            case _:
                pass


def nested(outer: Waiting, inner: Waiting) -> Waiting:
    """A wait of a child run, as a wait of the run whose call has started it.

    Args:
        outer: the wait for the child run.
        inner: a wait of the child run.
    """
    return inner.model_copy(
        update={
            "path": f"{outer.path}/{inner.path}" if inner.path else outer.path,
            "agents": (*outer.agents, *inner.agents),
            "run_id": inner.run_id or outer.run_id,
        }
    )


def _question(head: RunHead, root: Continuation, effect: Await) -> Waiting:
    call, path = root.call_at(effect.path), effect.path
    doubted = effect.reason == "doubt"
    question = call.doubt if doubted else call.approval
    request = None if doubted else call.approval
    # For a condition show the stopped agent; for a call show the calling agent.
    agents = root.agents_to(path)
    return Waiting(
        request_id=effect.request_id or "",
        kind=effect.reason,
        path=path_text(path),
        agents=agents,
        tool=call.plan.tool,
        arguments=call.arguments,
        arguments_hash=call_hash_of(head, call, path),
        approvers=_current_approvers(question) if question else None,
        expires_at=request.expires_at if request else None,
        message=_message(call, agents[-1], effect),
        stages=stage_views(request) if request else None,
        risk=call.risk if call.gate else None,
        preview=call.preview.effect if call.preview and request else None,
        **_details(call),
    )


def _message(call: Call, agent: str, effect: Await) -> str:
    return LABELS[effect.reason].message.format(
        agent=agent,
        tool=call.plan.tool,
        question=call.question.text if call.question else "",
        why=call.preview.effect if call.preview else "",
        since=moment(call.doubt.intent.started_at) if call.doubt else "",
        until=moment(call.doubt.intent.deadline) if call.doubt else "",
    )


def _current_approvers(question: ApprovalRequest | Doubt) -> tuple[str, ...]:
    if isinstance(question, ApprovalRequest) and question.open_stage is not None:
        return question.stages[question.open_stage].approvers
    return question.approvers


def _waiting_entry(root: Continuation, effect: Await) -> Waiting:
    """The view of a wait that no person can end by an answer."""
    call = root.call_at(effect.path)
    details = _details(call)
    return Waiting(
        request_id=f"{effect.reason}-{path_text(effect.path)}",
        kind=effect.reason,
        path=path_text(effect.path),
        agents=root.agents_to(effect.path),
        tool=call.plan.tool,
        arguments=call.arguments,
        expires_at=call.wait.deadline if call.wait else None,
        message=LABELS[effect.reason].message.format(
            tool=call.plan.tool, event=details.get("event")
        ),
        **details,
    )


def _details(call: Call) -> dict[str, Any]:
    return call.wait.details() if call.wait else {}


def _backoff_entry(
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
