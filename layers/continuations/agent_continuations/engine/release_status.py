"""The status that an execution leaves a run in, and why an execution stops."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.path import Path
from agent_continuations.core.run import Status
from agent_continuations.engine.next_wake import next_wake


class StopReason(Enum):
    """Why an execution starts no more effects."""

    CANCELLED = auto()
    FENCED = auto()
    PAUSED = auto()
    OUT_OF_TIME = auto()


class ReleaseStatus(NamedTuple):
    """How a run is released.

    Attributes:
        due: when to wake the run; None if only a person or an external event can continue it.
        note: why it is parked, has failed, or is blocked.
    """

    status: Status
    due: datetime | None = None
    note: str | None = None


def release_status(
    root: Continuation,
    stop_reason: StopReason | None,
    *,
    now: datetime,
    model_backoff: ModelBackoff | None,
    clock_skew: float,
    blocked: Mapping[Path, str],
) -> ReleaseStatus:
    """The status to release a run with that has nothing in flight.

    Args:
        root: the run.
        stop_reason: why the execution stops; None if nothing can be started.
        now: the time.
        model_backoff: the back-off during which no model is called.
        clock_skew: seconds after an intent's deadline until its lease holder counts as dead.
        blocked: by path, the problem that a person has to fix.
    """
    if stop_reason is StopReason.CANCELLED:
        return ReleaseStatus(Status.CANCELLED)
    outcome = root.outcome
    if outcome:
        if outcome.kind == "ok":
            return ReleaseStatus(Status.COMPLETED)
        return ReleaseStatus(Status.FAILED, note=outcome.content)
    if stop_reason is StopReason.PAUSED:
        return ReleaseStatus(Status.SUSPENDED)
    if stop_reason is StopReason.OUT_OF_TIME:
        return ReleaseStatus(Status.READY, due=now)
    wake = next_wake(root, model_backoff=model_backoff, clock_skew=clock_skew, blocked=blocked)
    note = "; ".join(blocked.values()) or None
    if not wake.is_waiting and not wake.times:
        return ReleaseStatus(Status.PARKED, note=note)
    return ReleaseStatus(Status.SUSPENDED, due=wake.due, note=note)
