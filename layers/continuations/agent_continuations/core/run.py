"""A run as it is stored: its head, its journal entries, and a snapshot of both."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from agent_continuations.core.approvals.audit_chain import ChainHead
from agent_continuations.core.backoff import ModelBackoff, Obstacle
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.continuation import Continuation, Intent
from agent_continuations.core.events import Event, ToolStarted
from agent_continuations.core.fold import apply, fold
from agent_continuations.core.path import parse_path


class Status(StrEnum):
    """The status of a run.

    A run in one of the last four has ended here; only a completed one can continue, with a message.
    A moved one was handed over in a document, and continues where that is loaded. A parked run
    waits until an operator redrives or cancels it.
    """

    READY = "ready"
    RUNNING = "running"
    SUSPENDED = "suspended"
    PARKED = "parked"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    MOVED = "moved"

    @property
    def ended(self) -> bool:
        """Whether the run has ended or was moved, so that it takes nothing from outside here."""
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.MOVED)


class Parent(FrozenModel):
    """The call that started a child run."""

    run_id: str
    path: str


class RunHead(FrozenModel):
    """The small, mutable part of a run. All other items of a run are written once.

    Attributes:
        epoch: rises with each claim; every write under the lease is conditional on it.
        owner: the lease holder: an id that each claim draws anew.
        lease_until: when the lease expires; None if no execution holds it.
        wake: rises with each external event, which a running execution cannot have loaded.
        due: when the sweeper wakes the run; None if only a person can continue it.
        stalls: executions in a row that came to nothing: their process was lost, or the run was
            handed on without a new journal entry. An execution that ended because a service did not
            answer is not counted, and neither is a claim whose answer was lost.
        released: the last epoch that ended in order, with a release or by handing the run back;
            None in a head of an earlier form.
        registers: how many journal entries there were when `stalls` was last set; a larger number
            means progress.
        intents: calls whose tool may be running, by path; removed once the outcome is stored.
        note: why the run is parked, has failed or is blocked, or why its last claim failed.
        model_pause: the back-off during which no model is called.
        obstacle: when the run is tried again that is blocked by what `note` says.
        requester: the identity that started the run, if it is known.
        starter: the caller that started the run, and so may read and control it: the person, or the
            role or user; None if it is not known.
        senders: who had sent the messages that the run which started this one had read; they asked
            for what this run does, too.
        trail: the end of the run's audit trail.
        paused: an operator has paused the run.
        parent: the call that started the run; None for a run that no other run started.
        moves: the number of the newest document by which the run, or the run that started it, was
            handed over or taken over; 0 if there was none.
        moved_from: the status of a moved run when it was handed over.
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
    released: int | None = 0
    registers: int = 0
    intents: dict[str, Intent] = Field(default={})
    note: str | None = None
    model_pause: ModelBackoff | None = None
    obstacle: Obstacle | None = None
    requester: str | None = None
    starter: str | None = None
    senders: tuple[str, ...] = ()
    trail: ChainHead = ChainHead()
    paused: bool = False
    parent: Parent | None = None
    moves: int = 0
    moved_from: Status | None = None

    @property
    def lost_execution(self) -> bool:
        """Whether the execution before the present one has not released the run, or may not."""
        return self.released is None or self.released < self.epoch - 1

    @property
    def closed_reason(self) -> str:
        """Why a run with a final status takes no input."""
        if self.status is Status.MOVED:
            return (
                f"the run was handed over with document {self.moves}; "
                "load that document here to take it back"
            )
        return f"the run is {self.status.value}"

    def handed_over(self, number: int) -> "RunHead":
        """The head after the hand-over with the document of this number."""
        return self.model_copy(
            update={
                "status": Status.MOVED,
                "moved_from": self.status,
                "moves": number,
                "due": None,
                "owner": None,
                "lease_until": None,
            }
        )

    def taken_over(self, now: datetime) -> "RunHead":
        """The head with which a moved run continues; a run that was not moved stays as it is."""
        if self.moved_from is None:
            return self
        if self.moved_from.ended or self.moved_from is Status.PARKED:
            return self.model_copy(update={"status": self.moved_from, "moved_from": None})
        return self.model_copy(
            update={"status": Status.READY, "moved_from": None, "due": now, "updated_at": now}
        )

    def yields_to(self, other: "RunHead") -> bool:
        """Whether `other`, from a document, may replace this head: the run was handed over, and
        not with a newer document.
        """
        return self.status is Status.MOVED and self.moves <= other.moves


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Events that are stored together, once, at one key of a run's journal."""

    key: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that will be created: its head, and the journal entry with its start."""

    head: RunHead
    entry: JournalEntry


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as one consistent query found it. A query is not atomic; see `read_run`.

    Attributes:
        unreadable: keys of entries that could not be read, and are left out.
    """

    head: RunHead
    entries: tuple[JournalEntry, ...]
    unreadable: tuple[str, ...] = ()

    def events(self) -> Iterator[Event]:
        """The events, in the order of the tree."""
        return (event for entry in self.entries for event in entry.events)

    def continuation(self) -> Continuation:
        """The journal entries and the open intents, folded.

        Raises:
            IllegalEvent: the entries contradict each other.
        """
        root = fold(self.events())
        for path, intent in self.head.intents.items():
            if not root.call_at(parse_path(path)).outcome:
                root = apply(root, ToolStarted(path=path, intent=intent))
        return root


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run as it is stored now, with its folded continuation."""

    head: RunHead
    snapshot: Snapshot
    continuation: Continuation
