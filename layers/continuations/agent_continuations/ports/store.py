"""The store: runs, grants, the outbox and request profiles. Every write is conditional.

Each part has a protocol of its own; `Store` is all of them over one table, because a commit writes
journal entries and notices and counts the uses of grants in one transaction. Every store passes
the contract suite in `tests/contract`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.continuation import Continuation, Intent
from agent_continuations.core.notice import Notice
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Snapshot, Status
from agent_continuations.errors import IllegalEvent
from agent_continuations.ports.commit import ReleaseTerms, TrailMove
from agent_continuations.ports.hand_over import HandOverStore
from agent_continuations.ports.limits import READ_TRIES


@dataclass(frozen=True, slots=True)
class Due:
    """A run or a notice that is due.

    Attributes:
        notice_id: the notice; None if the run itself is due.
        new: whether the run has never been claimed.
    """

    run_id: str
    notice_id: str | None
    new: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list of runs, newest first, and the cursor of the next page."""

    heads: tuple[RunHead, ...]
    next: str | None


class RunStore(Protocol):
    """Runs: their heads, their journals, and the leases under which they are advanced.

    Methods with an `epoch` are fenced: they raise `Fenced` if the run has another epoch or is not
    running; `record_intents` and `commit` also if it is cancelled. All methods may raise
    `Retryable` if the store does not respond.
    """

    def create(self, head: RunHead, start: JournalEntry) -> RunHead:
        """Store a new run. Returns its head, or the stored head if the id exists already."""

    def head(self, run_id: str) -> RunHead | None:
        """The head, read consistently; None if there is no such run."""

    def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
        """The head and all journal entries; the head is never newer than the entries.

        Args:
            run_id: the run.
            partial: whether entries that cannot be read are left out.

        Raises:
            CorruptValue: an entry cannot be read, unless `partial`.
            NewerForm: an entry was written by newer code, unless `partial`.
        """

    def claim(
        self, run_id: str, *, holder: str, now: datetime, lease_until: datetime
    ) -> RunHead | None:
        """Take the lease of a run.

        Args:
            holder: the new lease holder's id.
            lease_until: when the lease ends unless it is renewed.

        Returns:
            The head with the next epoch, or with this one if the claim is repeated; None if the
            run has ended, is parked, is leased to another, or was written by newer code.
        """

    def renew(self, run_id: str, *, epoch: int, lease_until: datetime) -> RunHead:
        """Extend the lease. Returns the current head. Fenced."""

    def count_stall(self, head: RunHead) -> RunHead:
        """Count the execution before this one as fruitless, if it has not released the run; once.

        Nothing is counted if it is not known whether it has, in a head of an earlier form.

        Args:
            head: the head as it was claimed.

        Returns:
            The current head. Fenced.
        """

    def hand_back(
        self, run_id: str, *, epoch: int, due: datetime, note: str, counted: bool
    ) -> None:
        """Give up a lease with nothing written, so that the run is claimed again. Fenced.

        Args:
            due: when the sweeper wakes the run.
            note: why the execution came to nothing.
            counted: whether it counts as fruitless.
        """

    def progress(self, run_id: str, *, epoch: int, entry_count: int) -> RunHead:
        """Record progress, which resets the count of fruitless executions. Fenced."""

    def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
        """Write a journal entry once. Returns the stored entry: `entry`, or an earlier one."""

    def record_intents(
        self,
        run_id: str,
        *,
        epoch: int,
        intents: Mapping[str, Intent],
        settled: Sequence[str],
    ) -> RunHead:
        """Record intents before their tools run. Also fenced if the run is paused.

        Args:
            intents: by call path, at most `MAX_INTENTS_AT_ONCE`. A path with a recorded intent of
                the same attempt is refused with `Fenced`.
            settled: paths whose intents are removed, at most `MAX_SETTLED_AT_ONCE`.
        """

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
        """Write a lease holder's results, all or nothing. Fenced, but a cancelled run can be
        released.

        Args:
            entries: new journal entries.
            notices: new notices for the outbox.
            settled: call paths whose intents are removed, at most `MAX_SETTLED_AT_ONCE`.
            release: given if the run is released.
            trail: the new end of the audit trail, if `entries` belong to it.
            uses: grants used by `entries`, one element for each use.
            starts: child runs. All of these together have at most `MAX_ITEMS_AT_ONCE` items.

        Returns:
            False if nothing was written and the run must be loaded again: `wake` or the trail has
            changed, an entry or a run exists already, or a grant can no longer be used.

        Raises:
            ValueError: the commit has more items than one transaction takes.
        """

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
        """Write entries from outside, e.g. a decision or a late outcome, and wake the run; all or
        nothing. A parked or paused run keeps them until it continues.

        Args:
            grant: a new grant, which an approver gives with this decision.
            reopen: whether a completed run is continued.

        Returns:
            None if written; otherwise the first of `entries` that was stored before.

        Raises:
            Stale: the trail has changed; nothing is written.
            Conflict: the run has ended; nothing is written.
        """

    def wake(self, run_id: str, *, now: datetime, cancel: bool = False) -> RunHead | None:
        """Wake a run that has not ended; with `cancel`, so that it is cancelled.

        A parked run stays parked, but with `cancel` it becomes ready, so that it is claimed.

        Returns:
            The head afterwards; None if there is no such run.
        """

    def pause(self, run_id: str, *, paused: bool, now: datetime) -> RunHead | None:
        """Pause or resume a run that has not ended. Returns the head afterwards.

        A parked run stays parked; the pause counts once it is redriven. A run that is being
        cancelled is not paused: it stays due.
        """

    def redrive(self, run_id: str, *, now: datetime) -> RunHead | None:
        """Make a run ready that is parked, blocked or backing off; None if it is not."""

    def due(self, now: datetime, limit: int) -> list[Due]:
        """Due runs and notices, longest overdue first; may be stale."""

    def list_runs(
        self,
        tenant: str,
        *,
        status: Status | None = None,
        agent: str | None = None,
        starter: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Heads of a tenant's runs, newest first; may be stale.

        Raises:
            Invalid: the cursor was not returned by this store.
        """


class GrantStore(Protocol):
    """Grants of each tenant. Their uses are counted by `RunStore.commit`."""

    def grant(self, grant: Grant) -> None:
        """Store a new grant."""

    def grants(self, tenant: str, tool: str | None = None) -> list[Grant]:
        """A tenant's grants, for one tool or for all; ended grants may be among them."""

    def revoke(self, grant: Grant, *, by: str, now: datetime) -> Grant:
        """End a grant. Returns the stored grant; a second call changes nothing."""


class OutboxStore(Protocol):
    """Notices, written by `RunStore.commit`, until they are delivered."""

    def notice(self, run_id: str, notice_id: str) -> Notice | None:
        """A notice that is not yet delivered to every address."""

    def notices(self, run_id: str) -> list[Notice]:
        """Every notice of a run, delivered or not."""

    def update_notice(self, notice: Notice) -> None:
        """Store the delivery state of a notice."""


class ProfileStore(Protocol):
    """Request profiles, which many runs share. None is ever changed or deleted."""

    def save_profile(self, profile: RequestProfile) -> None:
        """Store a profile under its digest. Repeating it in one process makes no request."""

    def profile(self, digest: str) -> RequestProfile | None:
        """A profile, read consistently; None if it was never stored here."""


class Store(RunStore, HandOverStore, GrantStore, OutboxStore, ProfileStore, Protocol):
    """Runs, grants, notices and request profiles over one table."""


def read_run(store: RunStore, run_id: str) -> tuple[Snapshot, Continuation] | None:
    """Load a run and fold its journal.

    A query in pages is no snapshot: it can return an entry that was written meanwhile without the
    entry just before it. Such a journal does not fold; loading again returns both.

    Raises:
        IllegalEvent: the journal entries contradict each other.
        CorruptValue: a stored value was changed or is missing.
    """
    for tries in range(1, READ_TRIES + 1):
        snapshot = store.load(run_id)
        if snapshot is None:
            return None
        try:
            return snapshot, snapshot.continuation()
        except IllegalEvent:
            if tries == READ_TRIES:
                raise
    raise AssertionError("unreachable")
