"""What the outside sees of what people say to a request, and agree to in advance."""

from typing import Any, Literal, assert_never

from agent_continuations.core.approvals.policy import DecisionSource
from agent_continuations.core.approvals.request import Decision
from agent_continuations.core.decisions.responses import DecisionResult
from agent_continuations.core.events import Decided, DoubtResolved, Reassigned, Voted, Withdrawn
from agent_continuations.views.base import ApiModel, Rfc3339
from agent_continuations.views.waiting import StageView, stage_views


class DecisionResultView(ApiModel):
    """What stands after something was said to a request. What is None is left out.

    `open` and `stages` are there as long as others still must agree.
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
    """A decision that stands."""
    return _view(run_id, request_id, **_decision_fields(decision))


def decision_result_view(run_id: str, settled: DecisionResult) -> dict[str, Any]:
    """What stands after something was said to a request."""
    event, request = settled.event, settled.request
    match event:
        case Decided() | DoubtResolved() | Voted():
            said = _decision_fields(event.decision)
        case Withdrawn(word=word):
            said = {**dict(word), "decision": "withdraw", "decided_at": word.at}
        case Reassigned(word=word, to=to):
            said = {**dict(word), "decision": "reassign", "decided_at": word.at, "to": to}
        case _:
            assert_never(event)
    if not settled.closed and request:
        said |= {"open": True, "stages": stage_views(request)}
    return _view(run_id, event.request_id, **said)


def _decision_fields(decision: Decision) -> dict[str, Any]:
    return {**dict(decision), "decision": decision.verdict.value}


def _view(run_id: str, request_id: str, **said: Any) -> dict[str, Any]:
    view = DecisionResultView(run_id=run_id, request_id=request_id, **said)
    return view.model_dump(mode="json", exclude_none=True)
