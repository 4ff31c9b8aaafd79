"""Unit of work: stored state plus pending writes, committed under the epoch of the lease."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.base import storable
from agent_continuations.core.continuation import Continuation, Intent
from agent_continuations.core.events import (
    ApprovalEvent,
    ApprovalRequested,
    CallEvent,
    Event,
    MarkedInDoubt,
    NoticeSent,
    ToolReturned,
    ToolStarted,
)
from agent_continuations.core.fold import apply
from agent_continuations.core.path import parse_path
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Status
from agent_continuations.engine.child_runs import cancel_children, report_to_parent
from agent_continuations.engine.commit_batches import commit_batches
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.grant_votes import grant_votes
from agent_continuations.engine.log import RunLog
from agent_continuations.engine.notices import notice
from agent_continuations.engine.pending_writes import PendingWrite, PendingWrites
from agent_continuations.engine.release_status import ReleaseStatus
from agent_continuations.errors import Conflict, Fenced
from agent_continuations.ports.commit import ReleaseTerms
from agent_continuations.ports.limits import MAX_SETTLED_AT_ONCE
from agent_continuations.ports.store import read_run

MAX_NOTE_CHARACTERS = 400


class RunUnitOfWork:
    """The state of a run in one execution, and its only writer as long as the epoch is valid.

    Each method that writes may raise `Fenced`: another execution has the lease, or the run was
    cancelled or paused.

    Attributes:
        head: the newest head that was read.
        continuation: the stored state with the pending writes applied.
        entry_count: how many journal entries are known to be stored.
        loaded_at: the state includes everything that was stored before this time.
        pending: the writes of the next commit.
        unstarted_intents: paths of intents that may be stored, of tools that were not started.
        log: the log lines about the run.
    """

    continuation: Continuation

    def __init__(self, context: EngineContext, head: RunHead) -> None:
        self.run_id = head.run_id
        self.head = head
        self.entry_count = 0
        self.loaded_at = head.created_at
        self.pending = PendingWrites()
        self.unstarted_intents: tuple[str, ...] = ()
        self.log = RunLog(head)
        self._context = context
        self._store = context.store
        self._newer_head: RunHead | None = None
        self._renew_at = context.clock() + timedelta(seconds=context.limits.lease_renewal)

    # -- stored state ----------------------------------------------------------------------------

    def load(self) -> None:
        """Fold the journal. Results of read tools stay pending; staged events are dropped."""
        now = self._context.clock()
        found = read_run(self._store, self.run_id)
        if found is None or found[0].head.epoch != self.head.epoch:
            raise Fenced(self.run_id)
        snapshot, self.continuation = found
        self.loaded_at = now
        self.head, self.entry_count = snapshot.head, len(snapshot.entries)
        self.pending.drop_questions()
        reads, self.pending.reads = self.pending.reads, []
        for each in reads:
            self.stage_read(each)
        # An intent whose outcome is on record can be removed, whichever execution stored it.
        self.pending.settled = [
            path
            for path in self.head.intents
            if self.continuation.call_at(parse_path(path)).outcome
        ]

    def refresh(self) -> datetime:
        """Merge the head that the last write returned, and renew the lease when it is time.

        Returns:
            When to refresh again.
        """
        newer, self._newer_head = self._newer_head, None
        if newer:
            self._merge_head(newer)
        now, limits = self._context.clock(), self._context.limits
        if now >= self._renew_at:
            epoch, lease_until = self.head.epoch, now + timedelta(seconds=limits.lease)
            renewed = self._store.renew(self.run_id, epoch=epoch, lease_until=lease_until)
            self._renew_at = now + timedelta(seconds=limits.lease_renewal)
            self._merge_head(renewed)
        return self._renew_at

    def record_progress(self) -> None:
        """Record progress, which resets the count of fruitless executions."""
        epoch, count = self.head.epoch, self.entry_count
        self._merge_head(self._store.progress(self.run_id, epoch=epoch, entry_count=count))

    def verify_lease(self) -> bool:
        """Whether this execution still holds the lease. Called after a refused write.

        What was staged is dropped, because the state that it follows from is out of date.
        """
        head = self._store.head(self.run_id)
        holds_lease = (
            head is not None and head.epoch == self.head.epoch and head.status is Status.RUNNING
        )
        if head and holds_lease:
            self.head = head
        self.pending.drop_questions()
        return holds_lease

    def wake(self) -> None:
        """Wake the run, so that its lease holder, or the next one, loads what is on record."""
        self._store.wake(self.run_id, now=self._context.clock())
        self._context.queue.resume(self.run_id)

    def _merge_head(self, head: RunHead) -> None:
        """Take over a newer head; load if its `wake` shows that an external event arrived."""
        if head.wake == self.head.wake:
            self.head = head
        else:
            self.load()  # if this fails, the old `wake` stays, and no release succeeds

    # -- writes at once --------------------------------------------------------------------------

    def record(self, key: str, event: Event) -> None:
        """Store an event; load if another execution has stored one at this key before."""
        after = apply(self.continuation, event)  # an event that cannot be folded is never stored
        entry = JournalEntry(key, (event,))
        if self._store.append(self.run_id, entry) == entry:
            self.continuation = after
            self.entry_count += 1
            self.log.stored(after, entry.events)
        else:
            # The other execution may have stored more than this one entry.
            self.load()

    def append_late_outcome(self, outcome: JournalEntry) -> None:
        """Store an outcome without the lease, and wake the run, which may wait for it."""
        now = self._context.clock()
        try:
            earlier = self._store.append_external(self.run_id, [outcome], now=now)
            self._context.queue.resume(self.run_id)
        except Conflict:
            earlier = self._store.append(self.run_id, outcome)
        if earlier in (None, outcome):
            self.log.stored(self.continuation, outcome.events)

    def record_intents(self, intents: Mapping[str, Intent]) -> None:
        """Store intents. The head that the store returns is merged at the next refresh."""
        settled = self.pending.settled[:MAX_SETTLED_AT_ONCE]
        earlier, self.unstarted_intents = (
            self.unstarted_intents,
            (*self.unstarted_intents, *intents),
        )
        self._newer_head = self._store.record_intents(
            self.run_id, epoch=self.head.epoch, intents=intents, settled=settled
        )
        self.unstarted_intents = earlier
        self.pending.settled = self.pending.settled[MAX_SETTLED_AT_ONCE:]
        for path, intent in intents.items():
            self._apply(ToolStarted(path=path, intent=intent))

    def withdraw_intents(self) -> None:
        """Remove intents of tools that did not start, or their calls would be in doubt; load."""
        while self.unstarted_intents and not self.head.cancelled:
            paths, now = self.unstarted_intents[:MAX_SETTLED_AT_ONCE], self._context.clock()
            self._store.commit(self.run_id, epoch=self.head.epoch, settled=paths, now=now)
            self.unstarted_intents = self.unstarted_intents[MAX_SETTLED_AT_ONCE:]
            self.load()
        self.unstarted_intents = ()

    # -- pending writes --------------------------------------------------------------------------

    def stage_read(self, read: ToolReturned) -> None:
        """Apply the result of a read tool; it is stored with the next reply or at the release."""
        if not self.continuation.call_at(parse_path(read.path)).outcome:
            self.pending.reads.append(read)
            self._apply(read)

    def stage(self, event: ApprovalEvent | CallEvent, start: NewRun | None = None) -> None:
        """Apply an event, and stage it for the next commit with the notice that it needs.

        Args:
            event: a request to people, a reminder, a decision by deadline, or an outcome.
            start: a child run that is created in the same transaction.
        """
        after, message = apply(self.continuation, event), None
        if isinstance(event, ApprovalRequested | MarkedInDoubt | NoticeSent):
            now, recipients = self._context.clock(), self._context.recipients
            message = notice(self.head, after, event, now=now, recipients=recipients)
        self.continuation = after
        self.pending.staged.append(PendingWrite(event, message, start=start))

    def stage_with_grants(self, requested: ApprovalRequested) -> None:
        """Stage an approval request with the votes of standing approvals; nothing without votes."""
        plan = self.continuation.call_at(parse_path(requested.path)).plan
        now = self._context.clock()
        grants = self.pending.with_staged_uses(self._store.grants(self.head.tenant, plan.tool))
        votes = list(grant_votes(self.head, self.continuation, requested, grants, now))
        if not votes:
            return
        # No notice goes out with the request: approvers who are still pending after these votes
        # will be notified.
        requested = requested.model_copy(
            update={"request": requested.request.model_copy(update={"told": ()})}
        )
        self._apply(requested)
        self.pending.staged.append(PendingWrite(requested))
        for grant, vote in votes:
            self._apply(vote)
            self.pending.staged.append(PendingWrite(vote, grant=grant))

    def flush(self) -> bool:
        """Commit the pending writes and keep the lease; load if the commit met a conflict.

        Returns:
            False if it did: what was staged is dropped.
        """
        committed = self._commit(None)
        if not committed:
            self.load()
        return committed

    def hand_back(self, due: datetime, note: str, *, counted: bool) -> None:
        """Give up the lease, with nothing written; see `RunStore.hand_back`."""
        note = storable(note[:MAX_NOTE_CHARACTERS])
        epoch = self.head.epoch
        self._store.hand_back(self.run_id, epoch=epoch, due=due, note=note, counted=counted)
        self.log.handed_back(note)

    def release(self, released: ReleaseStatus, model_backoff: ModelBackoff | None = None) -> bool:
        """Commit the pending writes and release the run.

        Returns:
            False, with nothing released, if the stored run has changed since the load.
        """
        status, note = released.status, released.note
        note = storable(note[:MAX_NOTE_CHARACTERS]) if note else None
        released = released._replace(note=note)
        if status.ended:
            root = self.continuation if self.entry_count else None
            report_to_parent(self._context, self.head, root, status, note)
            cancel_children(self._context, self.run_id, root)
        written = self._commit(lambda count: released.terms(self.head, count, model_backoff))
        if written:
            self.log.released(status, released.due, note)
        return written

    def _commit(self, release: Callable[[int], ReleaseTerms] | None) -> bool:
        """Write all that is pending, batch by batch; the last batch may release the run."""
        settled = self.pending.settled[:MAX_SETTLED_AT_ONCE]
        for batch in commit_batches(self.pending, self.head.trail):
            entry_count = self.entry_count + len(batch.entries)
            written = self._store.commit(
                self.run_id,
                epoch=self.head.epoch,
                entries=batch.entries,
                notices=batch.notices,
                settled=settled if batch.last else (),
                release=release(entry_count) if release and batch.last else None,
                trail=batch.trail,
                uses=batch.uses,
                starts=batch.starts,
                now=self._context.clock(),
            )
            if not written:
                return False
            self.entry_count, self.pending.staged = entry_count, batch.rest
            if batch.trail:
                changes = {"trail": batch.trail.after}
                self.head = self.head.model_copy(update=changes)
                # This head was read before the commit, and would move the end of the trail back.
                self._newer_head = self._newer_head and self._newer_head.model_copy(update=changes)
            for entry in batch.entries:
                self.log.stored(self.continuation, entry.events)
            for each in batch.notices:
                self._context.queue.notify(self.run_id, each.notice_id)
            for start in batch.starts:
                self._context.queue.advance(start.head.run_id)
        self.pending = PendingWrites(settled=self.pending.settled[MAX_SETTLED_AT_ONCE:])
        return True

    def _apply(self, event: Event) -> None:
        self.continuation = apply(self.continuation, event)
