"""The terms of a commit: how it releases a run, moves the audit trail, and how large it may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent_continuations.core.approvals.audit_chain import ChainHead
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.backoff import ModelBackoff, Obstacle
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import JournalEntry, NewRun, Status
from agent_continuations.ports.limits import ITEMS_OF_A_START


@dataclass(frozen=True, slots=True)
class ReleaseTerms:
    """How a lease holder releases a run.

    The release is refused if `wake` has changed. A run that has ended is no longer paused.

    Attributes:
        status: the run's status from now on.
        due: when the sweeper wakes the run next; None if only a person can continue it.
        wake: the wake counter that the lease holder has read.
        entry_count: the number of journal entries; an increase is progress.
        note: the reason for which the run is parked or has failed.
        progress: whether an entry was written since the claim, or nothing is left to do. Progress
            resets the count of fruitless executions; a release without it is one more.
        model_pause: the back-off of the model service, if it failed.
        obstacle: the obstacle of a blocked run.
    """

    status: Status
    due: datetime | None
    wake: int
    entry_count: int
    note: str | None = None
    progress: bool = True
    model_pause: ModelBackoff | None = None
    obstacle: Obstacle | None = None


@dataclass(frozen=True, slots=True)
class TrailMove:
    """The entries that a write adds to a run's audit trail.

    The write is refused if the trail has grown in the meantime.

    Attributes:
        before: the number of entries that the writer has read.
        after: the end of the trail with the new entries.
    """

    before: int
    after: ChainHead


def commit_items(
    entries: Sequence[JournalEntry],
    notices: Sequence[Notice],
    uses: Sequence[Grant],
    starts: Sequence[NewRun],
) -> int:
    """How many items a commit writes; at most `MAX_ITEMS_AT_ONCE` are possible."""
    grants = {each.grant_id for each in uses}
    return 1 + len(entries) + len(notices) + len(grants) + ITEMS_OF_A_START * len(starts)
