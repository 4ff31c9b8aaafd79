"""The page of a request: the call, its run, the votes, and the forms that decide."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.policy import Preview
from agent_continuations.core.approvals.request import ApprovalRequest, Decision, Verdict
from agent_continuations.core.call_hash import call_hash_of
from agent_continuations.core.continuation import Call, Continuation, Doubt, Turn
from agent_continuations.core.decisions.lookup import Request
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.path import path_text
from agent_continuations.core.requesters import requesters
from agent_continuations.core.voting import is_barred, with_vote
from agent_continuations.html.durations import humanize, remaining
from agent_continuations.html.marks import marked
from agent_continuations.html.run_tree import nodes
from agent_continuations.look_alikes import look_alike_lines
from agent_continuations.safe_text import Excerpt, escape, escape_json, excerpt
from agent_continuations.views.labels import REQUESTS
from agent_continuations.views.run import totals
from agent_continuations.views.waiting import stage_views
from approvals_api import rendering
from approvals_api.access import RequestAccess
from approvals_api.request_forms import HOUR_SECONDS, MAX_EXCERPT_CHARACTERS, edit_form, grant_form
from approvals_api.request_state import may_reassign, other_approvers, state_of

MAX_DONE = 30
MAX_ARGUMENTS_CHARACTERS = 100_000
MAX_EXPLANATION_CHARACTERS = 1200


@dataclass(frozen=True, slots=True)
class Done:
    """A call of the run that has an outcome."""

    agent: str
    tool: str
    arguments: str
    result: str
    kind: str


@dataclass(frozen=True, slots=True)
class Change:
    """An argument that an approver has changed; None where it is absent."""

    name: str
    before: str | None
    after: str | None


def of_request(
    visit: RequestAccess,
    registry: Callable[[], Registry],
    *,
    now: datetime,
    edits: bool = False,
    grants: bool = False,
    posted: Mapping[str, str] | None = None,
    faults: Sequence[tuple[str, str]] = (),
    reason: str = "",
) -> Response[str]:
    """The page of a request, in any state.

    Args:
        visit: who looks at what.
        registry: gives the agents; called only where a form is shown.
        now: the time.
        edits: whether to show the form to edit the arguments.
        grants: whether to show the form of a standing approval.
        posted: the values typed, where the form is shown again.
        faults: the errors in these values.
        reason: the reason typed with them.
    """
    state, why = state_of(visit, now)
    edits = edits or visit.request.kind == "question"
    may_approve = state == "open" and not is_cut(visit)
    words = {
        **_about(visit, now),
        "state": state,
        "why": why,
        "reason": reason,
        "form": edit_form(visit, registry, posted, faults) if edits and may_approve else None,
        "grant": grant_form(visit) if grants and may_approve else None,
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK
    return rendering.of("request.html", words, status)


def _about(visit: RequestAccess, now: datetime) -> dict[str, Any]:
    loaded, request = visit.loaded, visit.request
    root, call, head = loaded.continuation, request.call, loaded.head
    approval = request.approval
    deadline = approval.expires_at if approval else None
    gate, asked = call.gate, request.asked.arguments
    arguments = shown_arguments(visit)
    preview = _preview(call)
    asked_by = requesters(head, root, request.path)
    turns_there = root.frame_at(request.path[:-1]).turns[request.path[-1].turn :]
    turns, usage = totals(root)
    return {
        "kind": request.kind,
        "labels": REQUESTS[request.kind],
        "tool": call.plan.tool,
        "preview": preview,
        "risk": call.risk.value,
        "arguments": marked(_capped(arguments)),
        "look_alikes": look_alike_lines(asked, preview.effect if preview else ""),
        "is_cut": is_cut(visit),
        "has_arguments": bool(asked),
        "arguments_hash": call_hash_of(head, request.asked, request.path),
        "changes": tuple(_changes(call)),
        "must_sign_in": visit.must_sign_in,
        "sign_in": f"{head.run_id}/{request.request_id}",
        "approver": visit.approver,
        "stages": stage_views(_last(approval, request.decision)) if approval else (),
        "votes": approval.counted if approval else (),
        "others": other_approvers(visit),
        "by_link": visit.via == "link",
        "has_changed": visit.has_changed,
        "deadline": deadline,
        "left": remaining(deadline, now),
        "last_word": _last_word(visit.request),
        "answer": _answer(request.decision),
        "escalates": bool(gate and approval and approval.escalated < len(gate.escalations)),
        "may_pass_on": may_reassign(visit),
        "runs_now": _runs_now(call.doubt),
        "said_no": [escape(each.approver) for each in call.doubt.votes] if call.doubt else [],
        "may_run_again": gate is None or not is_barred(gate, visit.approver, asked_by),
        "may_grant": bool(gate and gate.grant_seconds >= HOUR_SECONDS),
        "agents": root.agents_to(request.path),
        "goal": root.input[:4000],
        "explanation": _explanation(turns_there),
        "tree": nodes(root, {request.path}),
        "done": list(_done(root))[-MAX_DONE:],
        "turns": turns,
        "tokens": usage.input_tokens + usage.output_tokens,
        "age": humanize((now - head.created_at).total_seconds()),
        "requester": head.requester,
        "writers": [each for each in asked_by if each != head.requester],
        "path": path_text(request.path),
        "run_id": head.run_id,
        "run_status": head.status.value,
        "decision": request.decision,
        "nonce": visit.nonce,
    }


def _runs_now(doubt: Doubt | None) -> bool:
    """Whether one more word that the call did not happen has it run again."""
    if doubt is None or not doubt.stages:
        return True
    return sum(each.needed for each in doubt.stages) - len(doubt.votes) <= 1


def _last_word(request: Request) -> str:
    """What happens at the deadline."""
    gate = request.call.gate
    if gate and gate.on_deadline == "fail":
        return "the run fails"
    return REQUESTS[request.kind].unanswered


def _explanation(turns: Sequence[Turn]) -> str:
    """The text of the model with the call; empty for a condition, which precedes a turn."""
    said = (turns[0].reply.content or "") if turns else ""
    return said.strip()[:MAX_EXPLANATION_CHARACTERS]


def _answer(decision: Decision | None) -> str:
    """The answer to a question; empty where there is none."""
    if decision is None or decision.answer is None:
        return ""
    answer = decision.answer
    text = escape(answer) if isinstance(answer, str) else escape_json(answer)
    return _capped(excerpt(text, MAX_ARGUMENTS_CHARACTERS))


def _last(approval: ApprovalRequest, decision: Decision | None) -> ApprovalRequest:
    """The request with the vote that closed it."""
    closed = decision is not None and decision.verdict is Verdict.APPROVE
    return with_vote(approval, decision) if decision and closed else approval


def _preview(call: Call) -> Preview | None:
    decision = call.decision
    edited = decision is not None and decision.preview is not None
    return decision.preview if decision and edited else call.preview


# -- sections of the page --------------------------------------------------------------------------


def _changes(call: Call) -> Iterator[Change]:
    """The arguments that an approver has changed."""
    decision = call.decision
    if (
        call.plan.kind == "refused"
        or call.asks == "question"
        or (decision and decision.verdict is Verdict.REJECT)
    ):
        return
    before, after = call.plan.arguments, call.arguments
    for name in sorted({*before, *after}):
        texts = [escape_json(each[name]) if name in each else None for each in (before, after)]
        if name not in before or name not in after:
            yield Change(escape(name), *texts)
        elif canonical_json(before[name]) != canonical_json(after[name]):
            yield Change(escape(name), *(text and text[:MAX_EXCERPT_CHARACTERS] for text in texts))


def is_cut(visit: RequestAccess) -> bool:
    """Whether what would be approved is not shown whole, so that it is not approved here."""
    return visit.request.kind == "approval" and shown_arguments(visit).more > 0


def shown_arguments(visit: RequestAccess) -> Excerpt:
    """The arguments that are asked about, cut to fit into a Lambda response."""
    return excerpt(escape_json(visit.request.asked.arguments), MAX_ARGUMENTS_CHARACTERS)


def _capped(shown: Excerpt) -> str:
    more = f"\n… {shown.more} more characters; GET /runs/{{id}} returns all" if shown.more else ""
    return shown.text + more


def _done(root: Continuation) -> Iterator[Done]:
    for path, call in root.calls():
        if call.outcome and not call.child:
            yield Done(
                agent=root.frame_at(path[:-1]).agent,
                tool=call.plan.tool,
                arguments=escape_json(call.arguments)[:MAX_EXCERPT_CHARACTERS],
                result=call.outcome.content[:MAX_EXCERPT_CHARACTERS],
                kind=call.outcome.kind,
            )
