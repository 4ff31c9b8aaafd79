"""Vote counting and eligibility: the state of an open request, and the approvers who may answer.

The functions are pure: they take a policy, the request so far and the new answer.
"""

import re
from collections.abc import Collection
from typing import assert_never

from agent_continuations.core.approvals.policy import (
    ApprovalPolicy,
    Stage,
    is_group,
    normalized,
    resembles,
)
from agent_continuations.core.approvals.request import ApprovalRequest, Decision
from agent_continuations.core.events import Escalated, NoticeSent, Reassigned, Voted, Withdrawn
from agent_continuations.errors import Forbidden, Invalid

MAX_ADDRESS_CHARACTERS = 254  # RFC 3696, erratum 1690
MAX_REASSIGNMENTS = 10
# An addr-spec of RFC 5322 without comments, quotes, spaces and domain literals, which mail programs
# read in different ways. A domain may have letters of all languages.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[^\W_](?:[^\W_]|-)*\.)+[^\W_](?:[^\W_]|-)*"
)


def apply_to_request(
    request: ApprovalRequest, event: Voted | Withdrawn | Reassigned | Escalated | NoticeSent
) -> ApprovalRequest:
    """The request after one more event."""
    changes: dict[str, object]
    match event:
        case Voted(decision=decision):
            return with_vote(request, decision)
        case Withdrawn(word=attribution):
            changes = _withdrawn(request, attribution.approver)
        case Reassigned(word=attribution, to=to):
            stages = tuple(
                _replace_approver(stage, attribution.approver, to) for stage in request.stages
            )
            changes = {
                "stages": stages,
                # The delegate replaces the approver, so the approver's earlier vote is dropped.
                "votes": _without_vote_of(request.votes, attribution.approver),
                # An approver who gets the request back is notified again.
                "told": tuple(each for each in request.told if normalized(each) != normalized(to)),
            }
        case Escalated(stage=stage, expires_at=expires_at):
            changes = {
                "former": tuple(dict.fromkeys((*request.former, *request.approvers))),
                "stages": (stage,),
                "further": 0,
                "votes": (),
                "expires_at": expires_at,
                "escalated": request.escalated + 1,
                # Approvers of the new stage are notified again, because the deadline is new.
                "told": (),
            }
        case NoticeSent(approvers=approvers, occasion=occasion):
            changes = {
                "told": tuple(dict.fromkeys((*request.told, *approvers))),
                "notices": request.notices + 1,
                "reminded": request.reminded + (occasion == "reminder"),
            }
        case _:
            assert_never(event)
    return request.model_copy(update=changes)


def with_vote(request: ApprovalRequest, decision: Decision) -> ApprovalRequest:
    """The request with one more approval, which may have edited the arguments."""
    votes = (*_without_vote_of(request.votes, decision.approver), decision)
    if decision.arguments_hash == request.arguments_hash:
        return request.model_copy(update={"votes": votes})
    # The edited arguments replace the earlier ones. Approvers of earlier arguments are asked again.
    changes = {
        "votes": votes,
        "arguments": decision.arguments,
        "raw": decision.raw,
        "raw_digest": decision.raw_digest,
        "arguments_hash": decision.arguments_hash,
        "original_hash": request.original_hash or request.arguments_hash,
        "preview": decision.preview,
        "stages": (*request.stages, *decision.further),
        "further": request.further + len(decision.further),
        "told": (decision.approver,),
    }
    return request.model_copy(update=changes)


def _withdrawn(request: ApprovalRequest, approver: str) -> dict[str, object]:
    withdrawn = [
        vote for vote in request.counted if normalized(vote.approver) == normalized(approver)
    ]
    changes: dict[str, object] = {"votes": _without_vote_of(request.votes, approver)}
    if request.original_hash and any(vote.arguments is not None for vote in withdrawn):
        # Without the approver who edited the arguments, the model's arguments apply again.
        changes |= {
            "arguments": None,
            "raw": None,
            "raw_digest": None,
            "arguments_hash": request.original_hash,
            "preview": None,
            "stages": request.stages[: len(request.stages) - request.further],
            "further": 0,
        }
    return changes


def _without_vote_of(votes: tuple[Decision, ...], approver: str) -> tuple[Decision, ...]:
    return tuple(vote for vote in votes if normalized(vote.approver) != normalized(approver))


def _replace_approver(stage: Stage, approver: str, to: str) -> Stage:
    if normalized(approver) not in map(normalized, stage.approvers):
        return stage
    approvers = tuple(
        to if normalized(each) == normalized(approver) else each for each in stage.approvers
    )
    return stage.model_copy(update={"approvers": approvers})


def additional_stages(
    request: ApprovalRequest, pinned: ApprovalPolicy, edited: ApprovalPolicy | None
) -> tuple[Stage, ...]:
    """The stages that edited arguments need beyond those of the request.

    Args:
        request: the request.
        pinned: the policy for the model's arguments.
        edited: the policy for the edited arguments; None if they need no approval.
    """
    # Stages of an earlier edit come last. Reassigned stages count as the pinned ones they were.
    added = request.stages[len(request.stages) - request.further :]
    known = (*pinned.stages, *added)
    return tuple(stage for stage in (edited.stages if edited else ()) if stage not in known)


def eligible_stage(
    request: ApprovalRequest,
    policy: ApprovalPolicy,
    approver: str,
    *,
    groups: Collection[str],
    requesters: Collection[str],
) -> tuple[int, str | None]:
    """The stage in which an approver may answer, and the group for which they answer.

    Args:
        request: the request.
        policy: its policy.
        approver: the person who wants to answer.
        groups: the groups that the person is known to be in, as `group:name`.
        requesters: those who asked for the call, see `core.requesters`.

    Raises:
        Forbidden: the approver is not asked, or not yet, or asked for the call themselves.
    """
    _check_not_requester(policy, approver, requesters)
    number = request.open_stage
    matched = (
        None if number is None else matching_approver(request.stages[number], approver, groups)
    )
    if number is not None and matched is not None:
        counted = [
            vote for vote in request.counted if normalized(vote.approver) == normalized(approver)
        ]
        if any(vote.stage != number for vote in counted):
            raise _refusal(
                f"{approver} has approved in another stage; this stage needs somebody else"
            )
        return number, matched if is_group(matched) else None
    if any(matching_approver(stage, approver, groups) for stage in request.stages):
        raise _refusal(f"{approver} is an approver of another stage, which is not open")
    if normalized(approver) in map(normalized, request.former):
        raise _refusal(f"this was escalated, and {approver} is no longer an approver")
    raise _refusal(f"{approver} was not asked for this decision")


def is_barred(policy: ApprovalPolicy, approver: str, requesters: Collection[str]) -> bool:
    """Whether an approver may be one of those who asked for a call, and so may not approve it."""
    return not policy.self_approval and any(resembles(each, approver) for each in requesters)


def _check_not_requester(
    policy: ApprovalPolicy, approver: str, requesters: Collection[str]
) -> None:
    if is_barred(policy, approver, requesters):
        raise _refusal(f"{approver} started this run or wrote to it, and cannot decide about it")


def matching_approver(stage: Stage, approver: str, groups: Collection[str]) -> str | None:
    """The name under which a stage asks an approver, their own or a group's; None if not asked."""
    return approver_name(stage.approvers, approver, groups)


def approver_name(approvers: Collection[str], approver: str, groups: Collection[str]) -> str | None:
    """The name under which a person is among these approvers: their own, or that of a group.

    The name of a group identifies no person, so an approver called `group:name` matches nothing.
    """
    known = {normalized(each) for each in groups if is_group(each)}
    if not is_group(approver):
        known.add(normalized(approver))
    return next((each for each in approvers if normalized(each) in known), None)


def check_vote(request: ApprovalRequest, approver: str) -> None:
    """Check that an approver has a vote to withdraw.

    Raises:
        Forbidden: no approval of theirs counts.
    """
    if all(normalized(vote.approver) != normalized(approver) for vote in request.counted):
        raise _refusal(f"{approver} has no approval to withdraw")


def check_delegate(
    request: ApprovalRequest,
    policy: ApprovalPolicy,
    approver: str,
    to: str,
    requesters: Collection[str],
    *,
    former: Collection[str] = (),
) -> None:
    """Check that an approver may reassign the request to a delegate.

    Args:
        request: the request.
        policy: its policy.
        approver: the person who wants to reassign it.
        to: the delegate.
        requesters: those who asked for the call, see `core.requesters`.
        former: those who have reassigned the request before.

    Raises:
        Invalid: the delegate is not allowed.
        Forbidden: the approver is not asked by name, has answered, or asked for the call.
    """
    _check_not_requester(policy, approver, requesters)
    if normalized(approver) not in map(normalized, request.pending_approvers):
        raise _refusal(f"{approver} is not asked by name and has nothing to reassign")
    if len(former) >= MAX_REASSIGNMENTS:
        raise Invalid("this was reassigned too often", [("to", "was reassigned too often")])
    if normalized(to) in map(normalized, former):
        raise Invalid(f"{to} has reassigned this", [("to", "has reassigned this")])
    if normalized(to) in map(normalized, (*request.approvers, *request.former)):
        raise Invalid(f"{to} is already asked", [("to", "is already asked")])
    if is_barred(policy, to, requesters):
        why = "started this run or wrote to it"
        raise Invalid(f"{to} {why}", [("to", why)])
    allowed = policy.delegates
    if allowed is None:
        allowed = (f"*@{approver.rpartition('@')[2]}",)
    if is_group(to) or "@" not in to or not _matches_any(to, allowed):
        names = ", ".join(allowed) or "nobody"
        raise Invalid(f"this can be reassigned only to {names}", [("to", f"must be {names}")])
    is_listed = normalized(to) in map(normalized, policy.delegates or ())
    if not is_listed and not is_address(to):
        raise Invalid("enter an e-mail address", [("to", "must be an e-mail address")])


def is_address(text: str) -> bool:
    """Whether a text is one plain mail address."""
    return len(text) <= MAX_ADDRESS_CHARACTERS and _ADDRESS.fullmatch(text) is not None


def _matches_any(name: str, patterns: Collection[str]) -> bool:
    """Whether a name is one of these; `*@domain` matches each address of that domain."""
    for pattern in patterns:
        if pattern.startswith("*@"):
            if normalized(name.rpartition("@")[2]) == normalized(pattern[2:]):
                return True
        elif normalized(pattern) == normalized(name):
            return True
    return False


def _refusal(detail: str) -> Forbidden:
    return Forbidden(detail, [("approver", detail)])
