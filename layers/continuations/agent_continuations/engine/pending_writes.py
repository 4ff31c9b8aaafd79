"""What an owner of a run knows, but has not written yet."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.events import ApprovalEvent, CallEvent, ToolReturned
from agent_continuations.core.keys import call_key
from agent_continuations.core.notice import Notice
from agent_continuations.core.path import Path, parse_path
from agent_continuations.core.run import JournalEntry, NewRun


class PendingWrite(NamedTuple):
    """What is to be written with the run's epoch, most of it into the audit trail.

    Attributes:
        notice: that goes into the outbox with it.
        grant: by which it was said.
        start: a run that begins with it.
    """

    event: ApprovalEvent | CallEvent
    notice: Notice | None = None
    grant: Grant | None = None
    start: NewRun | None = None


@dataclass
class PendingWrites:
    """What is said, questions above all, each with its notice if it has one; what read tools found;
    and intents that have served.

    Losing it loses nothing: questions follow from the state, and what was read can be read again.
    """

    staged: list[PendingWrite] = field(default_factory=list)
    reads: list[ToolReturned] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)

    def reads_of(self, frame: Path) -> tuple[ToolReturned, ...]:
        """What read tools of one frame found; it travels with the frame's next reply."""
        return tuple(read for read in self.reads if parse_path(read.path)[:-1] == frame)

    def drop_reads(self, reads: Collection[ToolReturned]) -> None:
        """Forget reads that are on record now."""
        self.reads = [each for each in self.reads if each not in reads]

    def drop_questions(self) -> None:
        """Forget the questions: a fresh load will raise them again, if they still are open."""
        self.staged = []

    def read_registers(self) -> list[JournalEntry]:
        """One register for each turn's reads."""
        turns: dict[tuple[Path, int], list[ToolReturned]] = {}
        for read in sorted(self.reads, key=lambda each: parse_path(each.path)):
            path = parse_path(read.path)
            turns.setdefault((path[:-1], path[-1].turn), []).append(read)
        # The key is that of the turn's first read: after its reply, and before the next turn.
        return [
            JournalEntry(call_key(parse_path(reads[0].path), "outcome"), tuple(reads))
            for reads in turns.values()
        ]
