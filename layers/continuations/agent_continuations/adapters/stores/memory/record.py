"""One run in memory: its head, its journal, and its notices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agent_continuations.core.continuation import Intent
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import JournalEntry, RunHead, Snapshot, Status
from agent_continuations.ports.commit import ReleaseTerms


@dataclass
class RunRecord:
    """All that is stored of a run, and the changes of its head. Not safe between threads."""

    head: RunHead
    entries: dict[str, JournalEntry]
    notices: dict[str, Notice] = field(default_factory=dict)

    @classmethod
    def new(cls, head: RunHead, start: JournalEntry) -> "RunRecord":
        return cls(head, {start.key: start})

    def snapshot(self) -> Snapshot:
        return Snapshot(self.head, tuple(self.entries[key] for key in sorted(self.entries)))

    def update(self, **changes: object) -> RunHead:
        self.head = self.head.model_copy(update=changes)
        return self.head

    def first_stored(self, entries: Sequence[JournalEntry]) -> JournalEntry | None:
        """The stored entry at the first of these keys that is taken."""
        return next((self.entries[each.key] for each in entries if each.key in self.entries), None)

    def write(self, entries: Sequence[JournalEntry], notices: Sequence[Notice] = ()) -> None:
        self.entries.update({entry.key: entry for entry in entries})
        self.notices.update({notice.notice_id: notice for notice in notices})

    def claim(self, holder: str, now: datetime, lease_until: datetime) -> RunHead | None:
        """Take the lease; None if the run has ended or is leased to another."""
        head = self.head
        if head.status.ended or head.status is Status.PARKED:
            return None
        if head.lease_until and head.lease_until > now:
            return head if head.owner == holder else None
        return self.update(
            status=Status.RUNNING,
            epoch=head.epoch + 1,
            owner=holder,
            lease_until=lease_until,
            due=lease_until,
            updated_at=now,
        )

    def hand_over(self, number: int) -> RunHead:
        """Hand the run over, unless it has failed, was cancelled or was handed over before."""
        if self.head.status not in (Status.FAILED, Status.CANCELLED, Status.MOVED):
            self.head = self.head.handed_over(number)
        return self.head

    def can_begin(self, intents: Mapping[str, Intent]) -> bool:
        """Whether intents can be recorded: the run is not stopped, and each attempt is new."""
        recorded = self.head.intents
        repeated = any(
            path in recorded and recorded[path].attempt >= intent.attempt
            for path, intent in intents.items()
        )
        return not (self.head.cancelled or self.head.paused or repeated)

    def change_intents(self, settled: Sequence[str], new: Mapping[str, Intent]) -> RunHead:
        """Remove the intents of settled paths, and then record new ones."""
        kept = {path: each for path, each in self.head.intents.items() if path not in settled}
        return self.update(intents={**kept, **new})

    def hand_back(self, due: datetime, note: str, *, counted: bool) -> None:
        """Give up the lease of an execution that came to nothing."""
        self.update(
            status=Status.READY,
            due=due,
            note=note,
            owner=None,
            lease_until=None,
            stalls=self.head.stalls + counted,
            released=self.head.epoch,
        )

    def release(self, terms: ReleaseTerms, now: datetime) -> RunHead:
        """Release the lease."""
        return self.update(
            status=terms.status,
            paused=self.head.paused and not terms.status.ended,
            due=terms.due,
            note=terms.note,
            model_pause=terms.model_pause,
            obstacle=terms.obstacle,
            registers=terms.entry_count,
            owner=None,
            lease_until=None,
            stalls=0 if terms.progress else self.head.stalls + 1,
            released=self.head.epoch,
            updated_at=now,
        )

    def wake(self, now: datetime) -> RunHead:
        """Raise the wake counter; a run that is suspended or completed becomes ready and due.

        A parked run stays parked.
        """
        changes: dict[str, object] = {"wake": self.head.wake + 1}
        if self.head.status in (Status.SUSPENDED, Status.COMPLETED):
            changes |= {"status": Status.READY, "due": now}
        return self.update(**changes)

    def cancel(self, now: datetime) -> RunHead:
        """Wake the run so that it is cancelled; a parked one becomes ready to be claimed."""
        self.update(cancelled=True)
        if self.head.status is Status.PARKED:
            self.update(status=Status.READY, due=now)
        return self.wake(now)

    @property
    def can_be_redriven(self) -> bool:
        """Whether the run is parked, blocked or backing off."""
        head = self.head
        waits = head.status is Status.SUSPENDED and (head.obstacle or head.model_pause)
        return head.status is Status.PARKED or bool(waits)

    def pause(self, now: datetime) -> RunHead:
        """Pause the run; the holder of a running one releases it."""
        self.update(paused=True)
        if self.head.status in (Status.RUNNING, Status.PARKED):
            return self.wake(now)
        return self.update(
            status=Status.SUSPENDED, due=None, wake=self.head.wake + 1, updated_at=now
        )

    def resume(self, now: datetime) -> RunHead:
        """Resume a paused run."""
        self.update(paused=False)
        return self.wake(now)
