"""Calls in doubt: whether one happened, and whether enough people have said that it did not.

That it happened, one person says. That it did not, so that it runs again, as many must say as must
approve the call, but in any order: all are asked at once.
"""

from collections.abc import Collection

from agent_continuations.core.approvals.policy import is_group, normalized
from agent_continuations.core.approvals.request import Decision, Verdict
from agent_continuations.core.continuation import Call, Doubt
from agent_continuations.core.events import DoubtResolved, DoubtVoted, MarkedInDoubt
from agent_continuations.core.plans import Effect
from agent_continuations.core.voting import matching_approver
from agent_continuations.errors import Forbidden, IllegalEvent


def vote_of(doubt: Doubt, approver: str) -> Decision | None:
    """What a person has said; None if nothing."""
    return next(
        (each for each in doubt.votes if normalized(each.approver) == normalized(approver)), None
    )


def stage_of(doubt: Doubt, approver: str, groups: Collection[str]) -> tuple[int, str | None]:
    """The stage in which the word of a person counts, and the group for which it does.

    Raises:
        Forbidden: it counts in none: others of their stage have said so already.
    """
    for number, stage in enumerate(doubt.stages):
        matched = matching_approver(stage, approver, groups)
        if matched is not None and _missing(doubt, number) > 0:
            return number, matched if is_group(matched) else None
    why = f"enough have said so in the stage of {approver}; another stage still must"
    raise Forbidden(why, [("approver", "must be of another stage")])


def with_vote(doubt: Doubt, decision: Decision) -> Doubt:
    """The doubt after one more person has said that the call did not happen."""
    return doubt.model_copy(update={"votes": (*doubt.votes, decision)})


def is_agreed(doubt: Doubt) -> bool:
    """Whether enough people have said so."""
    return all(_missing(doubt, number) <= 0 for number in range(len(doubt.stages)))


def _missing(doubt: Doubt, number: int) -> int:
    said = sum(vote.stage == number for vote in doubt.votes)
    return doubt.stages[number].needed - said


def marked_in_doubt(call: Call, event: MarkedInDoubt) -> Call:
    """The call after people were asked whether it happened."""
    if call.plan.kind != "tool" or call.plan.effect is not Effect.ONCE:
        raise IllegalEvent(f"doubt about {event.path}, which may simply run again")
    if call.wait:
        return call  # the outcome of the attempt is known
    return call.model_copy(update={"intent": event.doubt.intent, "doubt": event.doubt})


def doubt_voted(call: Call, event: DoubtVoted) -> Call:
    """The call after one of several people has said that it did not happen."""
    if call.wait or call.outcome:
        return call
    if call.doubt is None or call.doubt.request_id != event.request_id:
        raise IllegalEvent(f"an answer on {event.path}, where no doubt {event.request_id} waits")
    return call.model_copy(update={"doubt": with_vote(call.doubt, event.decision)})


def doubt_resolved(call: Call, event: DoubtResolved) -> Call:
    """The call after people have said whether it happened."""
    if call.wait:
        return call
    if call.doubt is None or call.doubt.request_id != event.request_id:
        raise IllegalEvent(f"an answer on {event.path}, where no doubt {event.request_id} waits")
    if event.decision.verdict is Verdict.APPROVE:
        # It happened. Its outcome is an entry of its own, stored in the same transaction, so that
        # it and a late outcome from the lost lease exclude each other.
        return call
    return call.model_copy(
        update={
            "intent": None,
            "doubt": None,
            "attempts": call.doubt.intent.attempt,
            "cleared_at": event.decision.decided_at,
        }
    )
