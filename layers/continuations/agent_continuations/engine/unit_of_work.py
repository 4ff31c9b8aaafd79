"""A run in its owner's hands: what is on record of it, and what only this owner knows so far."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from agent_continuations.core.approvals.audit_chain import append
from agent_continuations.core.backoff import ModelBackoff
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
from agent_continuations.core.keys import call_entry_key, trail_key
from agent_continuations.core.path import parse_path
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Status
from agent_continuations.engine.child_runs import cancel_children, report_to_parent
from agent_continuations.engine.commit_batches import CommitBatch, batch_size
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.grant_votes import grant_votes
from agent_continuations.engine.notices import notice
from agent_continuations.engine.pending_writes import PendingWrite, PendingWrites
from agent_continuations.errors import Conflict, Fenced
from agent_continuations.ports.limits import MAX_ENTRIES_AT_ONCE, MAX_SETTLED_AT_ONCE
from agent_continuations.ports.store import ReleaseTerms, TrailMove, read_run

MAX_NOTE_CHARACTERS = 400


class RunUnitOfWork:
    """The only writer of a run, as long as its epoch lasts.

    All that writes may raise `Fenced`: the run is another's, or was cancelled.

    Attributes:
        head: the newest that was seen of it.
        continuation: what is on record, and what this owner has taken in beyond that.
        known: how many registers that are.
        loaded_at: until when it has certainly heard of everything.
    """

    continuation: Continuation

    def __init__(self, context: EngineContext, head: RunHead) -> None:
        self.run_id = head.run_id
        self.head = head
        self.entry_count = 0
        self.loaded_at = head.created_at
        self.pending = PendingWrites()
        self._context = context
        self._store = context.store
        self._newest: RunHead | None = None
        self._renew_at = context.clock() + timedelta(seconds=context.limits.lease_renewal)

    # -- what is on record -----------------------------------------------------------------------

    def load(self) -> None:
        """Fold what is stored; what this owner has found out by reading stays known."""
        now = self._context.clock()
        read = read_run(self._store, self.run_id)
        if read is None or read[0].head.epoch != self.head.epoch:
            raise Fenced(self.run_id)
        snapshot, self.continuation = read
        self.loaded_at = now
        self.head, self.entry_count = snapshot.head, len(snapshot.entries)
        self.pending.drop_questions()
        reads, self.pending.reads = self.pending.reads, []
        for each in reads:
            self.stage_read(each)
        # An intent whose outcome is on record has served, whoever left it in the head.
        self.pending.settled = [
            path
            for path in self.head.intents
            if self.continuation.call_at(parse_path(path)).outcome
        ]

    def refresh(self) -> datetime:
        """Take in what writes have told of the head, and renew the lease when it is time.

        Returns:
            When to look up again.
        """
        newest, self._newest = self._newest, None
        if newest:
            self._merge_head(newest)
        now, limits = self._context.clock(), self._context.limits
        if now >= self._renew_at:
            self._renew_at = now + timedelta(seconds=limits.lease_renewal)
            lease_until = now + timedelta(seconds=limits.lease)
            epoch = self.head.epoch
            self._merge_head(self._store.renew(self.run_id, epoch=epoch, lease_until=lease_until))
        return self._renew_at

    def record_progress(self) -> None:
        """Note that the run has come on since the last claim, which ends the stalls."""
        epoch = self.head.epoch
        self._merge_head(
            self._store.progress(self.run_id, epoch=epoch, entry_count=self.entry_count)
        )

    def verify_ownership(self) -> bool:
        """After a refused write: whether the run has this owner yet. Nothing new may begin."""
        head = self._store.head(self.run_id)
        mine = head is not None and head.epoch == self.head.epoch and not head.status.terminal
        if head and mine:
            self.head = head
        self.pending.drop_questions()
        self.pending.reads = []
        return mine

    def wake(self) -> None:
        """Whoever has the run now, or nobody, shall look at what is on record."""
        self._store.wake(self.run_id, now=self._context.clock())
        self._context.queue.resume(self.run_id)

    def _merge_head(self, head: RunHead) -> None:
        """A newer head: it may say that the run was cancelled or that something happened."""
        if head.wake == self.head.wake:
            self.head = head
        else:
            self.load()  # if this fails, the old `wake` stands, and no release will hold

    # -- putting on record -----------------------------------------------------------------------

    def record(self, key: str, event: Event) -> None:
        """Store an event, or take in the one that another owner stored there before."""
        after = apply(self.continuation, event)  # what cannot be folded is never stored
        register = JournalEntry(key, (event,))
        if self._store.append(self.run_id, register) == register:
            self.continuation = after
            self.entry_count += 1
        else:
            # Another owner was here, perhaps with more than this one register.
            self.load()

    def deliver_late(self, outcome: JournalEntry) -> None:
        """The run is another's by now, and may wait for just this, or for a person's word on it."""
        try:
            self._store.append_external(self.run_id, [outcome], now=self._context.clock())
            self._context.queue.resume(self.run_id)
        except Conflict:
            self._store.append(self.run_id, outcome)

    def record_intents(self, intents: Mapping[str, Intent]) -> None:
        """Put intents on record; the head after it may tell of something new."""
        settled = self.pending.settled[:MAX_SETTLED_AT_ONCE]
        self._newest = self._store.record_intents(
            self.run_id, epoch=self.head.epoch, intents=intents, settled=settled
        )
        self.pending.settled = self.pending.settled[MAX_SETTLED_AT_ONCE:]
        for path, intent in intents.items():
            self._apply(ToolStarted(path=path, intent=intent))

    # -- what is not written yet -----------------------------------------------------------------

    def stage_read(self, read: ToolReturned) -> None:
        """Know what a read tool found; it is written with the next reply, or on leaving."""
        if not self.continuation.call_at(parse_path(read.path)).outcome:
            self.pending.reads.append(read)
            self._apply(read)

    def stage(self, event: ApprovalEvent | CallEvent, start: NewRun | None = None) -> None:
        """Ask people, remind them, note that their time is over, or what has come, with the next
        commit.

        Args:
            start: a run that begins with it.
        """
        self._apply(event)
        told = None
        if isinstance(event, ApprovalRequested | MarkedInDoubt | NoticeSent):
            now, recipients = self._context.clock(), self._context.recipients
            told = notice(self.head, self.continuation, event, now=now, recipients=recipients)
        self.pending.staged.append(PendingWrite(event, told, start=start))

    def stage_with_grants(self, asked: ApprovalRequested) -> None:
        """Ask for an approval, with the votes of those who agreed in advance, if there are any."""
        plan = self.continuation.call_at(parse_path(asked.path)).plan
        now = self._context.clock()
        grants = self._store.grants(self.head.tenant, plan.tool)
        votes = list(grant_votes(self.head, self.continuation, asked, grants, now))
        if not votes:
            return
        # Nobody is told yet: whoever still owes an answer after these votes will be.
        asked = asked.model_copy(update={"request": asked.request.model_copy(update={"told": ()})})
        self._apply(asked)
        self.pending.staged.append(PendingWrite(asked))
        for grant, vote in votes:
            self._apply(vote)
            self.pending.staged.append(PendingWrite(vote, grant=grant))

    def flush(self) -> None:
        """Write what is unwritten and stay; where something stood in the way, load it."""
        if not self._commit(None):
            self.load()

    def release(
        self,
        status: Status,
        due: datetime | None,
        note: str | None,
        model_backoff: ModelBackoff | None = None,
    ) -> bool:
        """Write what is unwritten and release the run. False, and nothing released, if something
        has happened that this owner does not know.
        """
        if status.terminal:
            root = self.continuation if self.entry_count else None
            report_to_parent(self._context, self.head, root, status, note)
            if root and status is not Status.PARKED:
                cancel_children(self._context, root)

        def release(known: int) -> ReleaseTerms:
            return ReleaseTerms(
                status=status,
                due=due,
                wake=self.head.wake,
                entry_count=known,
                note=note[:MAX_NOTE_CHARACTERS] if note else None,
                progress=status is not Status.READY or known != self.head.registers,
                model_pause=model_backoff,
            )

        return self._commit(release)

    def _commit(self, release: Callable[[int], ReleaseTerms] | None) -> bool:
        """Write all that is unwritten together with the head; the last portion may release it."""
        settled = self.pending.settled[:MAX_SETTLED_AT_ONCE]
        for portion in self._batches():
            known = self.entry_count + len(portion.registers)
            written = self._store.commit(
                self.run_id,
                epoch=self.head.epoch,
                entries=portion.registers,
                notices=portion.notices,
                settled=settled if portion.last else (),
                release=release(known) if release and portion.last else None,
                trail=portion.trail,
                uses=portion.uses,
                starts=portion.starts,
                now=self._context.clock(),
            )
            if not written:
                return False
            self.entry_count = known
            if portion.trail:
                moved = {"trail": portion.trail.after}
                self.head = self.head.model_copy(update=moved)
                # It was read before, and would take the trail's end back.
                self._newest = self._newest and self._newest.model_copy(update=moved)
            for each in portion.notices:
                self._context.queue.notify(self.run_id, each.notice_id)
            for start in portion.starts:
                self._context.queue.advance(start.head.run_id)
        self.pending = PendingWrites(settled=self.pending.settled[MAX_SETTLED_AT_ONCE:])
        return True

    def _batches(self) -> Iterator["CommitBatch"]:
        """All that is to be written, as much at once as a store takes; one portion at least."""
        left, reads = list(self.pending.staged), self.pending.read_registers()
        while True:
            size = batch_size(left)
            taken, left = left[:size], left[size:]
            before = after = self.head.trail
            registers = []
            for said in taken:
                if isinstance(said.event, CallEvent):
                    registers.append(JournalEntry(call_entry_key(said.event), (said.event,)))
                else:
                    after, linked = append(after, said.event)
                    registers.append(JournalEntry(trail_key(linked), (linked,)))
            room = MAX_ENTRIES_AT_ONCE - len(registers)
            registers, reads = registers + reads[:room], reads[room:]
            yield CommitBatch(
                registers=registers,
                notices=[said.notice for said in taken if said.notice],
                uses=[said.grant for said in taken if said.grant],
                starts=[said.start for said in taken if said.start],
                trail=TrailMove(before.number, after) if after != before else None,
                last=not (left or reads),
            )
            if not (left or reads):
                return

    def _apply(self, event: Event) -> None:
        self.continuation = apply(self.continuation, event)
