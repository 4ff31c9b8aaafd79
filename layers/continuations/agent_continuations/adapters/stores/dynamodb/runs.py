"""Runs: the reads and transactions that span a head and the other items of its run."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from agent_continuations.adapters.stores.dynamodb.client import CONTENDED_TRIES
from agent_continuations.adapters.stores.dynamodb.expressions import UpdateExpression
from agent_continuations.adapters.stores.dynamodb.grants import Grants
from agent_continuations.adapters.stores.dynamodb.head_items import (
    HEAD_SORT_KEY,
    head_item,
    read_head,
)
from agent_continuations.adapters.stores.dynamodb.head_updates import (
    commit_update,
    form_update,
    has_lost_lease,
    trail_update,
    wake_update,
)
from agent_continuations.adapters.stores.dynamodb.heads import Heads
from agent_continuations.adapters.stores.dynamodb.items import run_partition
from agent_continuations.adapters.stores.dynamodb.journal import Journal
from agent_continuations.adapters.stores.dynamodb.outbox import Outbox
from agent_continuations.adapters.stores.dynamodb.table import Table, Write
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Snapshot, Status
from agent_continuations.errors import Conflict, CorruptValue, Fenced, NewerForm, Retryable, Stale
from agent_continuations.ports.commit import ReleaseTerms, TrailMove
from agent_continuations.ports.hand_over import check_same_entries


class Runs:
    """The methods of `RunStore` that read or write more than a head; see there."""

    def __init__(
        self, table: Table, heads: Heads, journal: Journal, grants: Grants, outbox: Outbox
    ) -> None:
        self._table = table
        self._heads = heads
        self._journal = journal
        self._grants = grants
        self._outbox = outbox

    def create(self, head: RunHead, start: JournalEntry) -> RunHead:
        """See `RunStore.create`."""
        write_id = uuid4().hex
        refused = self._table.transact(
            self._new_run_writes(NewRun(head, start), write_id), token=write_id
        )
        if refused is None:
            return head
        if refused[0] is None:
            raise Retryable("the run could not be stored; try again")
        return read_head(refused[0])

    def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
        """See `RunStore.load`."""
        head: RunHead | None = None
        entries: list[JournalEntry] = []
        unreadable: list[str] = []
        # "#H" sorts before "J#", so the head is read first and is never newer than the entries.
        for item in self._table.query(run_partition(run_id), "#", "J~"):
            if item["sk"] == HEAD_SORT_KEY:
                head = read_head(item)
            else:
                try:
                    entries.append(self._journal.read(item))
                except (CorruptValue, NewerForm):
                    if not partial:
                        raise
                    unreadable.append(item["sk"].removeprefix("J#"))
        return Snapshot(head, tuple(entries), tuple(unreadable)) if head else None

    def commit(
        self,
        run_id: str,
        *,
        epoch: int,
        entries: Sequence[JournalEntry] = (),
        notices: Sequence[Notice] = (),
        settled: Sequence[str] = (),
        release: ReleaseTerms | None = None,
        trail: TrailMove | None = None,
        uses: Sequence[Grant] = (),
        starts: Sequence[NewRun] = (),
        now: datetime,
    ) -> bool:
        """See `RunStore.commit`."""
        update = commit_update(epoch, settled, release, trail, now)
        if not entries and not notices:
            return self._heads.commit(run_id, epoch, release, update)
        write_id = uuid4().hex
        writes = [self._heads.update_write(run_id, update)]
        writes += self._entry_writes(run_id, entries, write_id)
        writes += map(self._outbox.new_write, notices)
        writes += self._grants.use_writes(uses, now)
        writes += [write for each in starts for write in self._new_run_writes(each, write_id)]
        refused = self._table.transact(writes, token=write_id)
        if refused is None:
            return True
        stored = refused[0]
        if stored and has_lost_lease(read_head(stored), epoch, release):
            raise Fenced(run_id)
        return False

    def append_external(
        self,
        run_id: str,
        entries: Sequence[JournalEntry],
        *,
        trail: TrailMove | None = None,
        grant: Grant | None = None,
        reopen: bool = False,
        now: datetime,
    ) -> JournalEntry | None:
        """See `RunStore.append_external`."""
        write_id = uuid4().hex
        entry_writes = self._entry_writes(run_id, entries, write_id)
        grant_writes = [self._grants.new_write(grant)] if grant else []
        # The first try assumes a suspended run, which saves reading the head; if it is not
        # suspended, the refusal carries the head.
        status = Status.SUSPENDED
        form = form_update(self._table.form)
        for _ in range(CONTENDED_TRIES):
            update = wake_update(status, now) + trail_update(trail) + form
            writes = [self._heads.update_write(run_id, update), *entry_writes, *grant_writes]
            refused = self._table.transact(writes, token=uuid4().hex)
            if refused is None:
                return None
            for stored in refused[1 : 1 + len(entry_writes)]:
                if stored:
                    return None if stored["w"] == write_id else self._journal.read(stored)
            if refused[0] is None:
                raise Conflict("the run is gone")
            head = read_head(refused[0])
            status = head.status
            if status.ended and not (reopen and status is Status.COMPLETED):
                raise Conflict(head.closed_reason)
            if refused[0].get("f", 0) > self._table.form:
                form = UpdateExpression()  # newer code reads the older form of these entries
            if trail and head.trail.number != trail.before:
                raise Stale(run_id)
        raise Retryable("the run changed too often to add to it; try again")

    def restore(self, snapshot: Snapshot, notices: Sequence[Notice]) -> RunHead:
        """See `RunStore.restore`."""
        head, stored = snapshot.head, self.load(snapshot.head.run_id)
        if stored and not stored.head.yields_to(head):
            return stored.head
        if stored:
            check_same_entries(stored, snapshot)
        for entry in snapshot.entries:
            earlier = self._journal.append(head.run_id, entry)
            check_same_entries(Snapshot(head, (earlier,)), snapshot)
        for notice in notices:
            self._outbox.update_notice(notice)
        return self._heads.restore(head)

    def _entry_writes(
        self, run_id: str, entries: Sequence[JournalEntry], write_id: str
    ) -> list[Write]:
        items = (self._journal.item(run_id, entry, write_id) for entry in entries)
        return [self._table.put_write(item) for item in items]

    def _new_run_writes(self, start: NewRun, write_id: str) -> list[Write]:
        head = self._table.put_write({**head_item(start.head, self._table.form), "w": write_id})
        return [head, *self._entry_writes(start.head.run_id, [start.entry], write_id)]
