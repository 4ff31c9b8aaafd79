"""API views of decisions and other responses to a request."""

from typing import Any, Literal, assert_never

from agent_continuations.core.approvals.policy import DecisionSource
from agent_continuations.core.approvals.request import Decision
from agent_continuations.core.decisions.responses import DecisionResult
from agent_continuations.core.events import (
    Decided,
    DoubtResolved,
    DoubtVoted,
    Reassigned,
    Voted,
    Withdrawn,
)
from agent_continuations.views.base import ApiModel, Rfc3339
from agent_continuations.views.waiting import StageView, stage_views


class DecisionResultView(ApiModel):
    """The result of a response to a request. Fields that are null are omitted.

    `open` and `stages` are present while other approvers still have to agree.
    """

    run_id: str
    request_id: str
    decision: Literal["approve", "reject", "withdraw", "reassign"]
    approver: str
    decided_by: str
    via: DecisionSource
    authentication: str | None = None
    member_of: str | None = None
    reason: str | None = None
    arguments: dict[str, Any] | None = None
    arguments_hash: str | None = None
    answer: Any = None
    grant_id: str | None = None
    to: str | None = None
    decided_at: Rfc3339
    open: Literal[True] | None = None
    stages: tuple[StageView, ...] | None = None


def decision_view(run_id: str, request_id: str, decision: Decision) -> dict[str, Any]:
    """The view of a stored decision."""
    return _view(run_id, request_id, **_decision_fields(decision))


def decision_result_view(run_id: str, result: DecisionResult) -> dict[str, Any]:
    """The view of the result of a response."""
    event, request = result.event, result.request
    match event:
        case Decided() | DoubtResolved() | DoubtVoted() | Voted():
            fields = _decision_fields(event.decision)
        case Withdrawn(word=attribution):
            fields = {**dict(attribution), "decision": "withdraw", "decided_at": attribution.at}
        case Reassigned(word=attribution, to=to):
            fields = {
                **dict(attribution),
                "decision": "reassign",
                "decided_at": attribution.at,
                "to": to,
            }
        case _:
            assert_never(event)
    if not result.closed and request:
        fields |= {"open": True, "stages": stage_views(request)}
    if isinstance(event, DoubtVoted):
        fields |= {"open": True}
    return _view(run_id, event.request_id, **fields)


def _decision_fields(decision: Decision) -> dict[str, Any]:
    return {**dict(decision), "decision": decision.verdict.value}


def _view(run_id: str, request_id: str, **fields: Any) -> dict[str, Any]:
    view = DecisionResultView(run_id=run_id, request_id=request_id, **fields)
    return view.model_dump(mode="json", exclude_none=True)
