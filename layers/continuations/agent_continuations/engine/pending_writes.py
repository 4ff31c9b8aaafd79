"""Pending writes: events that an execution has applied to its state, but not stored yet."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.events import ApprovalEvent, CallEvent, ToolReturned
from agent_continuations.core.keys import call_key
from agent_continuations.core.notice import Notice
from agent_continuations.core.path import Path, parse_path
from agent_continuations.core.run import JournalEntry, NewRun


class PendingWrite(NamedTuple):
    """An event that will be committed under the lease's epoch, most often an audit event.

    Attributes:
        notice: added to the outbox in the same transaction.
        grant: the grant that cast this vote, whose use is counted in the same transaction.
        start: a child run that is created in the same transaction.
    """

    event: ApprovalEvent | CallEvent
    notice: Notice | None = None
    grant: Grant | None = None
    start: NewRun | None = None


@dataclass
class PendingWrites:
    """The writes of the next commit. They are safe to drop: they are recomputed from state.

    Attributes:
        staged: events, most of them requests to people, with their notices.
        reads: results of read tools, which can be run again.
        settled: paths of calls whose outcome is on record, so that the intent can be removed.
    """

    staged: list[PendingWrite] = field(default_factory=list)
    reads: list[ToolReturned] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)

    def reads_of(self, frame: Path) -> tuple[ToolReturned, ...]:
        """The results of a frame's read tools, which are stored with the frame's next reply."""
        return tuple(read for read in self.reads if parse_path(read.path)[:-1] == frame)

    def drop_reads(self, reads: Collection[ToolReturned]) -> None:
        """Drop results that are on record now."""
        self.reads = [each for each in self.reads if each not in reads]

    def drop_questions(self) -> None:
        """Drop the staged events: after a load the scheduler stages those that are still due."""
        self.staged = []

    def with_staged_uses(self, grants: Iterable[Grant]) -> list[Grant]:
        """The grants as they will be after the next commit: the staged votes have used them."""
        staged = Counter(each.grant.grant_id for each in self.staged if each.grant)
        return [
            each.model_copy(update={"uses": each.uses + staged[each.grant_id]}) for each in grants
        ]

    def read_entries(self) -> list[JournalEntry]:
        """One journal entry for each turn's results."""
        turns: dict[tuple[Path, int], list[ToolReturned]] = {}
        for read in sorted(self.reads, key=lambda each: parse_path(each.path)):
            path = parse_path(read.path)
            turns.setdefault((path[:-1], path[-1].turn), []).append(read)
        # The key is that of the turn's first read: after its reply, and before the next turn.
        return [
            JournalEntry(call_key(parse_path(reads[0].path), "outcome"), tuple(reads))
            for reads in turns.values()
        ]
