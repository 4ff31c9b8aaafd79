"""What the inside needs of the outside. Each port has adapters, and one contract suite for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from agent_continuations.core.approvals.audit_chain import ChainHead
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Continuation, Intent
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Snapshot, Status
from agent_continuations.errors import IllegalEvent

MAX_STALLS = 5


# What fits into one write: a transaction takes 100 items, an expression 4 KB (DynamoDB's limits).
MAX_REGISTERS_AT_ONCE = 45


MAX_INTENTS_AT_ONCE = 25


MAX_SETTLED_AT_ONCE = 100


MAX_GRANTS_AT_ONCE = 8


MAX_STARTS_AT_ONCE = 20


READ_TRIES = 4


# A hint comes first; the sweeper only where it was lost.
WAKE_UP_GRACE = timedelta(seconds=60)


def read_run(store: "Store", run_id: str) -> tuple[Snapshot, Continuation] | None:
    """Load a run and fold it.

    A query is no snapshot: what was written while it ran may be in the answer without what was
    written just before it. Such an answer does not fold, and another look finds all of it.

    Raises:
        IllegalEvent: the registers do contradict each other.
        CorruptValue: a value is not what was written.
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


@dataclass(frozen=True, slots=True)
class ReleaseTerms:
    """How an owner leaves a run. It holds only if `wake` has not moved. A run that has ended is not
    paused any more.

    Attributes:
        progress: something was written since the claim, or nothing is left to be done: this ends
            the stalls. A run that is handed on without progress goes on stalling.
    """

    status: Status
    due: datetime | None
    wake: int
    registers: int
    note: str | None = None
    progress: bool = True
    model_pause: ModelBackoff | None = None


@dataclass(frozen=True, slots=True)
class TrailMove:
    """What a write adds to a run's audit trail; it holds only if nothing else has come into it.

    Attributes:
        before: how many entries the writer knows.
        after: the end of the trail with what is written.
    """

    before: int
    after: ChainHead


@dataclass(frozen=True, slots=True)
class Due:
    """Something whose time has come: a run, or one of its notices. `new`: nobody has had it yet."""

    run_id: str
    notice_id: str | None
    new: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Heads, newest first, and where to go on."""

    heads: tuple[RunHead, ...]
    next: str | None


class Store(Protocol):
    """Runs, kept by the protocol that makes them safe. Every write is conditional.

    All methods may raise `Retryable` where the store does not answer. Those that fence raise
    `Fenced` if the run has another epoch, is cancelled, or is terminal.
    """

    def create(self, head: RunHead, start: JournalEntry) -> RunHead:
        """Store a new run, or give the head of the one that has this id already."""

    def head(self, run_id: str) -> RunHead | None:
        """The head, read consistently."""

    def load(self, run_id: str) -> Snapshot | None:
        """Everything; the head is never newer than the registers beside it."""

    def claim(
        self, run_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> RunHead | None:
        """Take the run: the new head with the next epoch, or None if that is not possible now."""

    def renew(self, run_id: str, *, epoch: int, lease_until: datetime) -> RunHead:
        """Hold the run for longer; its current head. Fenced."""

    def progress(self, run_id: str, *, epoch: int, registers: int) -> RunHead:
        """Note that the run has come on since the last claim, which ends the stall. Fenced."""

    def append(self, run_id: str, register: JournalEntry) -> JournalEntry:
        """Write a register once, and give what is stored: `register`, or what was there before."""

    def record_intents(
        self,
        run_id: str,
        *,
        epoch: int,
        intents: Mapping[str, Intent],
        settled: Sequence[str],
    ) -> RunHead:
        """Put intents on record before their tools run, and drop those of `settled` paths. Fenced,
        and so is a paused run. At most `MAX_INTENTS_AT_ONCE`, and `MAX_SETTLED_AT_ONCE`.

        A path that has an intent of the same attempt on record already is refused as fenced.
        """

    def commit(
        self,
        run_id: str,
        *,
        epoch: int,
        registers: Sequence[JournalEntry] = (),
        notices: Sequence[Notice] = (),
        settled: Sequence[str] = (),
        release: ReleaseTerms | None = None,
        trail: TrailMove | None = None,
        uses: Sequence[Grant] = (),
        starts: Sequence[NewRun] = (),
        now: datetime,
    ) -> bool:
        """Write registers and notices, start other runs, drop the intents of `settled` paths and
        leave the run, all or nothing; at most `MAX_REGISTERS_AT_ONCE` registers and as many
        notices, and `MAX_STARTS_AT_ONCE` runs with as few. Fenced, but a cancelled run may be
        released. False, and nothing written, if `wake` or the trail has moved
        since, a register is there already, or one of the grants that are used here, at most
        `MAX_GRANTS_AT_ONCE` different ones, may not be used any more: load again.
        """

    def append_external(
        self,
        run_id: str,
        registers: Sequence[JournalEntry],
        *,
        trail: TrailMove | None = None,
        reopen: bool = False,
        now: datetime,
    ) -> JournalEntry | None:
        """Write what comes from outside, a decision or a late outcome, all or none of it, and make
        the run go on; with `reopen`, one that is completed, too. None if it is written; else the
        first register that stood in the way.

        Raises:
            Stale: the trail has moved on; nothing is written.
            Conflict: the run has ended; nothing is written.
        """

    def wake(self, run_id: str, *, now: datetime, cancel: bool = False) -> RunHead | None:
        """Make a run that has not ended go on; with `cancel`, to its end. The head after it.

        A parked run, which nobody would take to its end, is cancelled by this at once.
        """

    def pause(self, run_id: str, *, paused: bool, now: datetime) -> RunHead | None:
        """Hold a run that has not ended, or let it go on. The head after it."""

    def redrive(self, run_id: str, *, now: datetime) -> RunHead | None:
        """Make a parked run ready; None if it is not parked."""

    def due(self, now: datetime, limit: int) -> list[Due]:
        """Runs and notices whose time has come, longest overdue first; may be stale."""

    def list_runs(
        self,
        tenant: str,
        *,
        status: Status | None = None,
        agent: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Heads of a tenant's runs, newest first; may be stale.

        Raises:
            Invalid: the cursor is not one that this store gave.
        """

    def grant(self, grant: Grant) -> None:
        """Keep a new grant."""

    def grants(self, tenant: str, tool: str | None = None) -> list[Grant]:
        """Grants of a tenant, for one tool or for all; those that ended may be among them."""

    def revoke(self, grant: Grant, *, by: str, now: datetime) -> Grant:
        """End a grant, and give it as it stands; the first to end it is kept."""

    def notice(self, run_id: str, notice_id: str) -> Notice | None:
        """A notice that is still to be delivered to somebody."""

    def notices(self, run_id: str) -> list[Notice]:
        """Every notice of a run, delivered or not."""

    def update_notice(self, notice: Notice) -> None:
        """Keep how far a notice's delivery has come."""
