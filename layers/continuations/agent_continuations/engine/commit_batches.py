"""Commit batches."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import JournalEntry, NewRun
from agent_continuations.engine.pending_writes import PendingWrite
from agent_continuations.ports.limits import (
    MAX_ENTRIES_AT_ONCE,
    MAX_GRANTS_AT_ONCE,
    MAX_STARTS_AT_ONCE,
)
from agent_continuations.ports.store import TrailMove


@dataclass(frozen=True, slots=True)
class CommitBatch:
    """What is written at once."""

    registers: list[JournalEntry]
    notices: list[Notice]
    uses: list[Grant]
    starts: list[NewRun]
    trail: TrailMove | None
    last: bool


def batch_size(all_said: Sequence[PendingWrite]) -> int:
    """How much of what was said fits into one write."""
    grants: set[str] = set()
    starts = 0
    for number, said in enumerate(all_said[:MAX_ENTRIES_AT_ONCE]):
        grants |= {said.grant.grant_id} if said.grant else set()
        starts += said.start is not None
        if len(grants) > MAX_GRANTS_AT_ONCE or starts > MAX_STARTS_AT_ONCE:
            return number
    return MAX_ENTRIES_AT_ONCE
