"""Heads: a run's status, lease, and wake counter; one small item that changes."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from agent_continuations.adapters.stores.dynamodb.client import CONTENDED_TRIES, ConditionFailed
from agent_continuations.adapters.stores.dynamodb.expressions import UpdateExpression
from agent_continuations.adapters.stores.dynamodb.hand_over import hand_over_update, restorable
from agent_continuations.adapters.stores.dynamodb.head_items import (
    as_stored,
    head_item,
    head_key,
    read_head,
)
from agent_continuations.adapters.stores.dynamodb.head_updates import (
    cancel_update,
    claim_update,
    count_stall_update,
    hand_back_update,
    has_lost_lease,
    intents_update,
    pause_update,
    progress_update,
    redrive_update,
    renew_update,
    resume_update,
    wake_update,
)
from agent_continuations.adapters.stores.dynamodb.table import Table, Write
from agent_continuations.core.continuation import Intent
from agent_continuations.core.run import RunHead, Status
from agent_continuations.errors import Fenced, Retryable
from agent_continuations.ports.commit import ReleaseTerms


class Heads:
    """The methods of `RunStore` that read or write a head alone; see there."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def head(self, run_id: str) -> RunHead | None:
        """See `RunStore.head`."""
        item = self._table.get(head_key(run_id))
        return read_head(item) if item else None

    def update_write(self, run_id: str, update: UpdateExpression) -> Write:
        """The write of an update in a transaction; its refusal carries the stored head."""
        return self._table.update_write(head_key(run_id), update, return_stored=True)

    def claim(
        self, run_id: str, *, holder: str, now: datetime, lease_until: datetime
    ) -> RunHead | None:
        """See `RunStore.claim`."""
        update = claim_update(run_id, holder, now, lease_until, self._table.form)
        try:
            return read_head(self._table.update(head_key(run_id), update, return_stored=True))
        except ConditionFailed as failed:
            # The claim was made, and its answer was lost: it does not count as another one.
            return read_head(failed.item) if failed.item.get("owner") == holder else None

    def renew(self, run_id: str, *, epoch: int, lease_until: datetime) -> RunHead:
        """See `RunStore.renew`."""
        return self._update_fenced(run_id, renew_update(epoch, lease_until))

    def count_stall(self, head: RunHead) -> RunHead:
        """See `RunStore.count_stall`."""
        run_id = head.run_id
        after = self._update(run_id, count_stall_update(head)) or self.head(run_id)
        if after is None or after.epoch != head.epoch or after.status is not Status.RUNNING:
            raise Fenced(run_id)
        return after  # counted now, or by an earlier request whose answer was lost

    def hand_back(
        self, run_id: str, *, epoch: int, due: datetime, note: str, counted: bool
    ) -> None:
        """See `RunStore.hand_back`."""
        self._update_fenced(run_id, hand_back_update(epoch, due, note, counted=counted))

    def progress(self, run_id: str, *, epoch: int, entry_count: int) -> RunHead:
        """See `RunStore.progress`."""
        return self._update_fenced(run_id, progress_update(epoch, entry_count))

    def record_intents(
        self,
        run_id: str,
        *,
        epoch: int,
        intents: Mapping[str, Intent],
        settled: Sequence[str],
    ) -> RunHead:
        """See `RunStore.record_intents`."""
        head = self._update(run_id, intents_update(epoch, intents, settled))
        if head:
            return head
        head = self.head(run_id)
        if head is None or head.epoch != epoch or head.status is not Status.RUNNING:
            raise Fenced(run_id)
        # Only this lease holder writes in this epoch, and it starts no attempt twice. If exactly
        # these intents are stored, an earlier response to this write was lost.
        written_before = {**head.intents, **as_stored(intents)} == head.intents
        if head.cancelled or head.paused or not written_before:
            raise Fenced(run_id)
        return head

    def commit(
        self, run_id: str, epoch: int, release: ReleaseTerms | None, update: UpdateExpression
    ) -> bool:
        """A commit without new items, which needs no transaction; see `RunStore.commit`."""
        if self._update(run_id, update):
            return True
        head = self.head(run_id)
        if head and release and head.epoch == epoch and head.owner is None:
            return True  # released before: the response to that write was lost
        if head is None or has_lost_lease(head, epoch, release):
            raise Fenced(run_id)
        return False

    def wake(self, run_id: str, *, now: datetime, cancel: bool = False) -> RunHead | None:
        """See `RunStore.wake`."""
        for _ in range(CONTENDED_TRIES):
            head = self.head(run_id)
            if head is None or head.status.ended:
                return head
            update = cancel_update if cancel else wake_update
            woken = self._update(run_id, update(head.status, now))
            if woken:
                return woken
        raise Retryable("the run changed too often to be woken; try again")

    def pause(self, run_id: str, *, paused: bool, now: datetime) -> RunHead | None:
        """See `RunStore.pause`."""
        for _ in range(CONTENDED_TRIES):
            head = self.head(run_id)
            if head is None or head.status.ended or head.paused is paused:
                return head
            if paused and head.cancelled:
                return head
            update = pause_update if paused else resume_update
            updated = self._update(run_id, update(head.status, now))
            if updated:
                return updated
        raise Retryable("the run changed too often to be paused or resumed; try again")

    def redrive(self, run_id: str, *, now: datetime) -> RunHead | None:
        """See `RunStore.redrive`."""
        return self._update(run_id, redrive_update(now))

    def hand_over(self, run_id: str, *, epoch: int, number: int) -> RunHead | None:
        """See `RunStore.hand_over`."""
        for _ in range(CONTENDED_TRIES):
            head = self.head(run_id)
            if head is None or head.epoch != epoch or head.status is Status.RUNNING:
                return None
            if head.status in (Status.FAILED, Status.CANCELLED, Status.MOVED):
                return head
            update = hand_over_update(head.status, epoch, number, self._table.form)
            moved = self._update(run_id, update)
            if moved:
                return moved
        raise Retryable("the run changed too often to be handed over; try again")

    def restore(self, head: RunHead) -> RunHead:
        """Store the head of `RunStore.restore`. Returns the stored head."""
        try:
            self._table.put_if(head_item(head, self._table.form), restorable(head.moves))
        except ConditionFailed as failed:
            return read_head(failed.item)
        return head

    def _update_fenced(self, run_id: str, update: UpdateExpression) -> RunHead:
        head = self._update(run_id, update)
        if head is None:
            raise Fenced(run_id)
        return head

    def _update(self, run_id: str, update: UpdateExpression) -> RunHead | None:
        """The updated head; None if the conditions do not hold."""
        try:
            return read_head(self._table.update(head_key(run_id), update))
        except ConditionFailed:
            return None
