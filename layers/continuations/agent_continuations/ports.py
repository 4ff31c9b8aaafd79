"""What the inside needs of the outside. Each port has adapters, and one contract suite for all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import Field

from agent_continuations.core.advance import advance, fold
from agent_continuations.core.approval import Preview, Risk
from agent_continuations.core.audit import Chain
from agent_continuations.core.continuation import Continuation, Intent, Reply
from agent_continuations.core.event import Event, ToolStarted
from agent_continuations.core.grant import Grant
from agent_continuations.core.path import parse_path
from agent_continuations.core.stored import Stored
from agent_continuations.errors import IllegalEvent
from agent_continuations.rest import ModelPause

Clock: TypeAlias = Callable[[], datetime]
MAX_STALLS = 5
# What fits into one write: a transaction takes 100 items, an expression 4 KB (DynamoDB's limits).
MAX_REGISTERS_AT_ONCE = 45
MAX_INTENTS_AT_ONCE = 25
MAX_SETTLED_AT_ONCE = 100
MAX_GRANTS_AT_ONCE = 8
MAX_STARTS_AT_ONCE = 20
READ_TRIES = 4
# A hint comes first; the sweeper only where it was lost.
HINT_GRACE = timedelta(seconds=60)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Status(StrEnum):
    """Where a run stands. The last four are final, but a parked run can be redriven."""

    READY = "ready"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARKED = "parked"

    @property
    def terminal(self) -> bool:
        """Nothing that happens by itself will change it."""
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.PARKED)


class Parent(Stored):
    """The call that a run was started by."""

    run_id: str
    path: str


class Head(Stored):
    """The small, changing part of a run. All else of it is written once.

    Attributes:
        epoch: rises with each claim; what an owner writes is fenced by it.
        lease_until: until then only `owner` may advance the run; None when nobody does.
        wake: rises whenever something happened that a running owner cannot have seen.
        due: when the sweeper shall look at the run; None when only a person can move it.
        stalls: claims in a row that came to nothing: lost, or handed on without a new register.
        registers: how many there were when `stalls` was last set; to tell progress from poison.
        intents: calls whose tool may be running, by path. They leave when the outcome is stored.
        note: why the run is parked or has failed.
        model_pause: the model service failed, and is not called before.
        requester: who started the run, as far as that is known.
        trail: the end of the run's audit trail.
        paused: an operator holds the run.
        parent: whose call started it, where it is no run of its own.
    """

    run_id: str
    tenant: str
    agent: str
    request_hash: str
    status: Status
    created_at: datetime
    updated_at: datetime
    due: datetime | None
    metadata: dict[str, str] = Field(default={})
    epoch: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
    wake: int = 0
    cancelled: bool = False
    stalls: int = 0
    registers: int = 0
    intents: dict[str, Intent] = Field(default={})
    note: str | None = None
    model_pause: ModelPause | None = None
    requester: str | None = None
    trail: Chain = Chain()
    paused: bool = False
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class Register:
    """Events stored together, once, at one key of a run."""

    key: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """A run that is to begin."""

    head: Head
    register: Register


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as one consistent query found it, which need not be one moment; see `read_run`."""

    head: Head
    registers: tuple[Register, ...]

    def events(self) -> Iterator[Event]:
        """What happened, in the order of the tree."""
        return (event for register in self.registers for event in register.events)

    def continuation(self) -> Continuation:
        """The registers and the open intents, folded.

        Raises:
            IllegalEvent: the registers contradict each other.
        """
        root = fold(self.events())
        for path, intent in self.head.intents.items():
            if not root.call_at(parse_path(path)).outcome:
                root = advance(root, ToolStarted(path=path, intent=intent))
        return root


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


class Notice(Stored):
    """A message in the outbox: what is asked, of whom, and who has not been reached yet.

    All that a channel needs is in it, so that sending reads one item and not the run.

    Attributes:
        approvers: who is asked now.
        undelivered: whom it has not reached yet; see `recipients.Recipient`.
        due: when to try next; None once there is nobody left to reach.
        occasion: whether people are asked for the first time, or reminded.
    """

    notice_id: str
    run_id: str
    tenant: str
    kind: Literal["approval", "question", "condition", "doubt"]
    request_id: str
    path: str
    agents: tuple[str, ...]
    goal: str
    tool: str
    arguments: dict[str, Any]
    arguments_hash: str
    expires_at: datetime | None
    created_at: datetime
    approvers: tuple[str, ...]
    undelivered: tuple[str, ...]
    due: datetime | None
    attempts: int = 0
    failure: str | None = None
    occasion: Literal["asked", "reminder"] = "asked"
    risk: Risk = Risk.LOW
    preview: Preview | None = None

    def facts(self) -> dict[str, Any]:
        """What may be told where others listen: ids, names and times, as JSON values.

        There are no arguments, no goal and no link among them.
        """
        return self.model_dump(mode="json", include=_FACTS)


_FACTS = {
    "notice_id",
    "run_id",
    "kind",
    "request_id",
    "path",
    "agents",
    "tool",
    "arguments_hash",
    "approvers",
    "expires_at",
    "created_at",
    "occasion",
    "risk",
}


@dataclass(frozen=True, slots=True)
class Release:
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
    model_pause: ModelPause | None = None


@dataclass(frozen=True, slots=True)
class TrailMove:
    """What a write adds to a run's audit trail; it holds only if nothing else has come into it.

    Attributes:
        before: how many entries the writer knows.
        after: the end of the trail with what is written.
    """

    before: int
    after: Chain


@dataclass(frozen=True, slots=True)
class Due:
    """Something whose time has come: a run, or one of its notices. `new`: nobody has had it yet."""

    run_id: str
    notice_id: str | None
    new: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Heads, newest first, and where to go on."""

    heads: tuple[Head, ...]
    next: str | None


class Store(Protocol):
    """Runs, kept by the protocol that makes them safe. Every write is conditional.

    All methods may raise `Retryable` where the store does not answer. Those that fence raise
    `Fenced` if the run has another epoch, is cancelled, or is terminal.
    """

    def create(self, head: Head, start: Register) -> Head:
        """Store a new run, or give the head of the one that has this id already."""

    def head(self, run_id: str) -> Head | None:
        """The head, read consistently."""

    def load(self, run_id: str) -> Snapshot | None:
        """Everything; the head is never newer than the registers beside it."""

    def claim(
        self, run_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Head | None:
        """Take the run: the new head with the next epoch, or None if that is not possible now."""

    def renew(self, run_id: str, *, epoch: int, lease_until: datetime) -> Head:
        """Hold the run for longer; its current head. Fenced."""

    def progress(self, run_id: str, *, epoch: int, registers: int) -> Head:
        """Note that the run has come on since the last claim, which ends the stall. Fenced."""

    def append(self, run_id: str, register: Register) -> Register:
        """Write a register once, and give what is stored: `register`, or what was there before."""

    def intend(
        self,
        run_id: str,
        *,
        epoch: int,
        intents: Mapping[str, Intent],
        settled: Sequence[str],
    ) -> Head:
        """Put intents on record before their tools run, and drop those of `settled` paths. Fenced,
        and so is a paused run. At most `MAX_INTENTS_AT_ONCE`, and `MAX_SETTLED_AT_ONCE`.

        A path that has an intent of the same attempt on record already is refused as fenced.
        """

    def commit(
        self,
        run_id: str,
        *,
        epoch: int,
        registers: Sequence[Register] = (),
        notices: Sequence[Notice] = (),
        settled: Sequence[str] = (),
        release: Release | None = None,
        trail: TrailMove | None = None,
        uses: Sequence[Grant] = (),
        starts: Sequence[Start] = (),
        now: datetime,
    ) -> bool:
        """Write registers and notices, start other runs, drop the intents of `settled` paths and
        leave the run, all or nothing; at most `MAX_REGISTERS_AT_ONCE` registers and as many
        notices, and `MAX_STARTS_AT_ONCE` runs with as few. Fenced, but a cancelled run may be
        released. False, and nothing written, if `wake` or the trail has moved
        since, a register is there already, or one of the grants that are used here, at most
        `MAX_GRANTS_AT_ONCE` different ones, may not be used any more: load again.
        """

    def deliver(
        self,
        run_id: str,
        registers: Sequence[Register],
        *,
        trail: TrailMove | None = None,
        reopen: bool = False,
        now: datetime,
    ) -> Register | None:
        """Write what comes from outside, a decision or a late outcome, all or none of it, and make
        the run go on; with `reopen`, one that is completed, too. None if it is written; else the
        first register that stood in the way.

        Raises:
            Stale: the trail has moved on; nothing is written.
            Conflict: the run has ended; nothing is written.
        """

    def wake(self, run_id: str, *, now: datetime, cancel: bool = False) -> Head | None:
        """Make a run that has not ended go on; with `cancel`, to its end. The head after it.

        A parked run, which nobody would take to its end, is cancelled by this at once.
        """

    def pause(self, run_id: str, *, paused: bool, now: datetime) -> Head | None:
        """Hold a run that has not ended, or let it go on. The head after it."""

    def redrive(self, run_id: str, *, now: datetime) -> Head | None:
        """Make a parked run ready; None if it is not parked."""

    def due(self, now: datetime, limit: int) -> list[Due]:
        """Runs and notices whose time has come, longest overdue first; may be stale."""

    def page(
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

    def noticed(self, notice: Notice) -> None:
        """Keep how far a notice's delivery has come."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model call. `agent` and `path` name the asker; they do not go over the wire.

    The messages are shared with later calls: an adapter that wants others makes its own. `output`
    is the JSON schema that the answer must fit.
    """

    agent: str
    path: str
    model: str | None
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] | None = None


class Model(Protocol):
    """A chat model."""

    def reply(self, request: ModelRequest) -> Reply:
        """Ask for one reply.

        Raises:
            ModelUnavailable: try again after a while.
            ModelRefused: trying again is useless.
        """


class Notifier(Protocol):
    """A channel to people or machines."""

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        """Send; may send twice, with the same `notice_id`.

        Args:
            address: where to, in the channel's own terms.
            approver: whom the address stands for; a link is made for him. Machines ignore it.

        Raises:
            Retryable: try again later.
            Fatal: this address cannot be reached by this channel.
        """


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of which somebody was asked."""

    run_id: str
    request_id: str


class Inbox(Protocol):
    """What each approver was asked. An entry is a hint: the run says what is open yet.

    All methods may raise `Retryable`.
    """

    def put(self, tenant: str, approver: str, asked: Asked, *, until: datetime) -> None:
        """Keep an entry, at least until then; again, if it is there already."""

    def of(self, tenant: str, approver: str, limit: int) -> list[Asked]:
        """The entries of one approver, or of one group, at most so many."""

    def drop(self, tenant: str, approver: str, asked: Asked) -> None:
        """Remove an entry, if it is there yet."""


class Hints(Protocol):
    """Queues that make something happen soon. A lost hint costs a minute, never a run."""

    def advance(self, run_id: str) -> None:
        """New work."""

    def resume(self, run_id: str) -> None:
        """A run that something has happened to."""

    def notify(self, run_id: str, notice_id: str) -> None:
        """A notice is in the outbox."""
