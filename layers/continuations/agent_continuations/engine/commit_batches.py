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
from agent_continuations.ports.commit import TrailMove
from agent_continuations.ports.limits import ITEMS_OF_A_START, MAX_ITEMS_AT_ONCE


@dataclass(frozen=True, slots=True)
class CommitBatch:
    """The writes of one transaction.

    Attributes:
        uses: the grants that are used in it.
        trail: how the audit trail moves; None if it does not.
        rest: the staged writes that follow it. Those before are not written again, even if the
            next batch fails: at the end of the trail they would be new entries.
        last: whether nothing is left to write after it.
    """

    entries: list[JournalEntry]
    notices: list[Notice]
    uses: list[Grant]
    starts: list[NewRun]
    trail: TrailMove | None
    rest: list[PendingWrite]
    last: bool


def commit_batches(pending: PendingWrites, chain: ChainHead) -> Iterator[CommitBatch]:
    """The pending writes in batches that a store takes at once; at least one, perhaps empty.

    Args:
        pending: the writes.
        chain: the end of the run's audit trail; each batch continues where the last one ended.
    """
    remaining, reads = list(pending.staged), pending.read_entries()
    while True:
        size, room = _batch_size(remaining)
        writes, remaining = remaining[:size], remaining[size:]
        before, entries = chain, []
        for write in writes:
            if isinstance(write.event, CallEvent):
                entries.append(JournalEntry(call_entry_key(write.event), (write.event,)))
            else:
                chain, linked = append(chain, write.event)
                entries.append(JournalEntry(trail_key(linked), (linked,)))
        entries, reads = entries + reads[:room], reads[room:]
        yield CommitBatch(
            entries=entries,
            notices=[each.notice for each in writes if each.notice],
            uses=[each.grant for each in writes if each.grant],
            starts=[each.start for each in writes if each.start],
            trail=TrailMove(before.number, chain) if chain != before else None,
            rest=remaining,
            last=not (remaining or reads),
        )
        if not (remaining or reads):
            return


def _batch_size(writes: Sequence[PendingWrite]) -> tuple[int, int]:
    """How many of these writes fit into one transaction, and how many items fit beside them."""
    room = MAX_ITEMS_AT_ONCE - 1  # the head
    grants: set[str] = set()
    for number, write in enumerate(writes):
        used = grants | ({write.grant.grant_id} if write.grant else set())
        items = 1 + (write.notice is not None) + len(used) - len(grants)
        items += ITEMS_OF_A_START if write.start else 0
        if items > room:
            return number, room
        room, grants = room - items, used
    return len(writes), room
