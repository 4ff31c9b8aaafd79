"""The status that an execution leaves a run in, and why an execution stops."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

from agent_continuations.core.backoff import ModelBackoff, Obstacle, next_obstacle
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.path import Path
from agent_continuations.core.run import RunHead, Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.next_wake import next_wake
from agent_continuations.ports.commit import ReleaseTerms


class StopReason(Enum):
    """Why an execution starts no more effects."""

    CANCELLED = auto()
    FENCED = auto()
    PAUSED = auto()
    OUT_OF_TIME = auto()
    UNREADABLE = auto()


class Block(NamedTuple):
    """What blocks a call, so that it cannot start.

    Attributes:
        reason: for the run's note.
        passes: whether it can pass without a deployment, so that trying again helps.
        soon: whether it may pass in seconds.
    """

    reason: str
    passes: bool
    soon: bool = False


class ReleaseStatus(NamedTuple):
    """How a run is released.

    Attributes:
        due: when to wake the run; None if only a person or an external event can continue it.
        note: why it is parked, has failed, or is blocked.
        obstacle: when a blocked run is tried again.
    """

    status: Status
    due: datetime | None = None
    note: str | None = None
    obstacle: Obstacle | None = None

    def terms(
        self, head: RunHead, entry_count: int, model_backoff: ModelBackoff | None
    ) -> ReleaseTerms:
        """The terms of the commit that releases the run with this head.

        Args:
            head: the head that the lease holder has read.
            entry_count: how many journal entries the run will have.
            model_backoff: the back-off during which no model is called.
        """
        return ReleaseTerms(
            status=self.status,
            due=self.due,
            wake=head.wake,
            entry_count=entry_count,
            note=self.note,
            progress=self.status is not Status.READY or entry_count != head.registers,
            model_pause=model_backoff,
            obstacle=self.obstacle,
        )


def release_status(
    root: Continuation,
    stop_reason: StopReason | None,
    *,
    now: datetime,
    model_backoff: ModelBackoff | None,
    limits: Limits,
    blocked: Mapping[Path, Block],
    obstacle: Obstacle | None,
) -> ReleaseStatus:
    """The status to release a run with that has nothing in flight.

    A run is parked if nothing can happen before a deployment. If one call is blocked by what may
    pass, or something else is awaited, the blocked calls are tried again when the run is due.

    Args:
        root: the run.
        stop_reason: why the execution stops; None if nothing can be started.
        now: the time.
        model_backoff: the back-off during which no model is called.
        limits: time limits.
        blocked: by path, what blocks a call.
        obstacle: the obstacle that the run was blocked by until now.
    """
    if stop_reason is StopReason.CANCELLED:
        return ReleaseStatus(Status.CANCELLED)
    outcome = root.outcome
    if outcome:
        if outcome.kind == "ok":
            return ReleaseStatus(Status.COMPLETED)
        return ReleaseStatus(Status.FAILED, note=outcome.content)
    if stop_reason is StopReason.PAUSED:
        return ReleaseStatus(Status.SUSPENDED, obstacle=obstacle)
    if stop_reason is StopReason.OUT_OF_TIME:
        return ReleaseStatus(Status.READY, due=now, obstacle=obstacle)
    wake = next_wake(
        root, model_backoff=model_backoff, clock_skew=limits.clock_skew, blocked=blocked
    )
    note = "; ".join(each.reason for each in blocked.values()) or None
    passes = any(each.passes for each in blocked.values())
    if not (passes or wake.is_waiting or wake.times):
        return ReleaseStatus(Status.PARKED, note=note)
    if not blocked:
        return ReleaseStatus(Status.SUSPENDED, due=wake.due)
    soon = all(each.soon for each in blocked.values())
    shortest = limits.busy_retry if soon else limits.blocked_retry
    longest = limits.blocked_retry_longest
    obstacle = next_obstacle(obstacle, now, shortest=shortest, longest=longest)
    due = min((obstacle.until, *wake.times))
    return ReleaseStatus(Status.SUSPENDED, due=due, note=note, obstacle=obstacle)
