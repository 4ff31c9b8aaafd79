"""The status that a run is left in: parked only if nothing can happen before a deployment."""

from datetime import datetime, timedelta

import pytest

from agent_continuations.core.backoff import ModelBackoff, Obstacle
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.events import ModelReplied, Started, Suspended
from agent_continuations.core.fold import fold
from agent_continuations.core.path import Path, parse_path
from agent_continuations.core.plans import Effect, ToolPlan
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import Status
from agent_continuations.core.waits import EventWait, TimerWait, Wait
from agent_continuations.engine.context import Limits
from agent_continuations.engine.release_status import (
    Block,
    ReleaseStatus,
    StopReason,
    release_status,
)
from tests.support.events import NOW

REFUSED, GONE = Block("the key is refused", passes=True), Block("the tool is gone", passes=False)
SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(hours=1)
TRIED_AGAIN = NOW + timedelta(minutes=5)
OBSTACLE = Obstacle(since=NOW, until=TRIED_AGAIN, tries=1)
FIRST, SECOND = parse_path("0.0"), parse_path("0.1")


def run_with(*waits: Wait | None) -> Continuation:
    """A run with an open call for each of these; those with a wait are waiting."""
    plan = ToolPlan(tool="t", arguments={}, effect=Effect.ONCE, schema_version="1")
    root = Continuation(agent="a", instructions="", input="go", max_turns=9)
    replied = ModelReplied(path="", turn=0, reply=Reply(), calls=(plan,) * len(waits), at=NOW)
    suspended = [
        Suspended(path=f"0.{index}", wait=wait, at=NOW) for index, wait in enumerate(waits) if wait
    ]
    return fold([Started(continuation=root, at=NOW), replied, *suspended])


def released(
    root: Continuation,
    blocked: dict[Path, Block] | None = None,
    *,
    stop_reason: StopReason | None = None,
    backoff: ModelBackoff | None = None,
    obstacle: Obstacle | None = None,
    now: datetime = NOW,
) -> ReleaseStatus:
    return release_status(
        root,
        stop_reason,
        now=now,
        model_backoff=backoff,
        limits=Limits(blocked_retry=300, blocked_retry_longest=3600),
        blocked=blocked or {},
        obstacle=obstacle,
    )


def test_a_run_that_nothing_can_continue_is_parked_with_all_reasons() -> None:
    both = {FIRST: GONE, SECOND: Block("the agent is gone", passes=False)}
    assert released(run_with(None, None), both) == ReleaseStatus(
        Status.PARKED, note="the tool is gone; the agent is gone"
    )


@pytest.mark.parametrize("second", [REFUSED, GONE])
def test_a_run_is_tried_again_if_one_of_its_calls_is_blocked_by_what_passes(second: Block) -> None:
    status = released(run_with(None, None), {FIRST: REFUSED, SECOND: second})
    assert (status.status, status.due) == (Status.SUSPENDED, TRIED_AGAIN)
    assert status.obstacle == OBSTACLE
    assert status.note == f"the key is refused; {second.reason}"


@pytest.mark.parametrize("wait", [EventWait(name="paid"), TimerWait(until=LATER)])
def test_a_run_that_waits_for_something_else_is_not_parked(wait: Wait) -> None:
    status = released(run_with(None, wait), {FIRST: GONE})
    assert (status.status, status.due) == (Status.SUSPENDED, TRIED_AGAIN)
    assert status.note == "the tool is gone"


def test_a_run_whose_model_is_asked_later_is_not_parked() -> None:
    root = Continuation(agent="a", instructions="", input="go", max_turns=9)
    backoff = ModelBackoff(until=SOON, tries=1, reason="busy")
    status = released(root, backoff=backoff)
    assert (status.status, status.due, status.obstacle) == (Status.SUSPENDED, SOON, None)


def test_a_blocked_run_is_woken_for_a_wait_that_ends_before_the_next_try() -> None:
    status = released(run_with(None, TimerWait(until=SOON)), {FIRST: REFUSED})
    assert status.due == SOON
    assert status.obstacle == OBSTACLE


def test_a_call_that_is_still_blocked_is_tried_more_rarely() -> None:
    status = released(run_with(None), {FIRST: REFUSED}, obstacle=OBSTACLE, now=TRIED_AGAIN)
    assert status.due == TRIED_AGAIN + timedelta(minutes=10)
    assert status.obstacle
    assert (status.obstacle.since, status.obstacle.tries) == (NOW, 2)


def test_a_run_that_is_no_longer_blocked_has_no_obstacle() -> None:
    status = released(run_with(TimerWait(until=SOON)), obstacle=OBSTACLE)
    assert status == ReleaseStatus(Status.SUSPENDED, due=SOON)


def test_a_run_that_is_handed_on_keeps_its_obstacle() -> None:
    status = released(run_with(None), stop_reason=StopReason.OUT_OF_TIME, obstacle=OBSTACLE)
    assert status == ReleaseStatus(Status.READY, due=NOW, obstacle=OBSTACLE)


def test_a_paused_run_is_not_due_and_a_cancelled_one_has_ended() -> None:
    blocked = {FIRST: GONE}
    root = run_with(None, TimerWait(until=SOON))
    paused = released(root, blocked, stop_reason=StopReason.PAUSED)
    assert paused == ReleaseStatus(Status.SUSPENDED)
    cancelled = released(root, blocked, stop_reason=StopReason.CANCELLED)
    assert cancelled == ReleaseStatus(Status.CANCELLED)
