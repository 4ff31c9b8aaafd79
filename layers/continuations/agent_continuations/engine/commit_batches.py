"""Splitting of pending writes into transactions that a store takes at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent_continuations.core.approvals.audit_chain import ChainHead, append
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.events import CallEvent
from agent_continuations.core.keys import call_entry_key, trail_key
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import JournalEntry, NewRun
from agent_continuations.engine.pending_writes import PendingWrite, PendingWrites
from agent_continuations.ports.limits import (
    MAX_ENTRIES_AT_ONCE,
    MAX_GRANTS_AT_ONCE,
    MAX_STARTS_AT_ONCE,
)
from agent_continuations.ports.store import TrailMove


@dataclass(frozen=True, slots=True)
class CommitBatch:
    """The writes of one transaction.

    Attributes:
        uses: the grants that are used in it.
        trail: how the audit trail moves; None if it does not.
        last: whether nothing is left to write after it.
    """

    entries: list[JournalEntry]
    notices: list[Notice]
    uses: list[Grant]
    starts: list[NewRun]
    trail: TrailMove | None
    last: bool


def commit_batches(pending: PendingWrites, chain: ChainHead) -> Iterator[CommitBatch]:
    """The pending writes in batches that a store takes at once; at least one, perhaps empty.

    Args:
        pending: the writes.
        chain: the end of the run's audit trail; each batch continues where the last one ended.
    """
    remaining, reads = list(pending.staged), pending.read_entries()
    while True:
        size = _batch_size(remaining)
        writes, remaining = remaining[:size], remaining[size:]
        before, entries = chain, []
        for write in writes:
            if isinstance(write.event, CallEvent):
                entries.append(JournalEntry(call_entry_key(write.event), (write.event,)))
            else:
                chain, linked = append(chain, write.event)
                entries.append(JournalEntry(trail_key(linked), (linked,)))
        room = MAX_ENTRIES_AT_ONCE - len(entries)
        entries, reads = entries + reads[:room], reads[room:]
        yield CommitBatch(
            entries=entries,
            notices=[each.notice for each in writes if each.notice],
            uses=[each.grant for each in writes if each.grant],
            starts=[each.start for each in writes if each.start],
            trail=TrailMove(before.number, chain) if chain != before else None,
            last=not (remaining or reads),
        )
        if not (remaining or reads):
            return


def _batch_size(writes: Sequence[PendingWrite]) -> int:
    """How many of these writes fit into one transaction."""
    grants: set[str] = set()
    starts = 0
    for number, write in enumerate(writes[:MAX_ENTRIES_AT_ONCE]):
        grants |= {write.grant.grant_id} if write.grant else set()
        starts += write.start is not None
        if len(grants) > MAX_GRANTS_AT_ONCE or starts > MAX_STARTS_AT_ONCE:
            return number
    return MAX_ENTRIES_AT_ONCE
