"""Run."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from agent_continuations.core.approvals.audit_chain import ChainHead
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.continuation import Continuation, Intent
from agent_continuations.core.events import Event, ToolStarted
from agent_continuations.core.fold import apply, fold
from agent_continuations.core.path import parse_path


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


class Parent(FrozenModel):
    """The call that a run was started by."""

    run_id: str
    path: str


class RunHead(FrozenModel):
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
    model_pause: ModelBackoff | None = None
    requester: str | None = None
    trail: ChainHead = ChainHead()
    paused: bool = False
    parent: Parent | None = None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Events stored together, once, at one key of a run."""

    key: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that is to begin."""

    head: RunHead
    entry: JournalEntry


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run as one consistent query found it, which need not be one moment; see `read_run`."""

    head: RunHead
    entries: tuple[JournalEntry, ...]

    def events(self) -> Iterator[Event]:
        """What happened, in the order of the tree."""
        return (event for register in self.entries for event in register.events)

    def continuation(self) -> Continuation:
        """The registers and the open intents, folded.

        Raises:
            IllegalEvent: the registers contradict each other.
        """
        root = fold(self.events())
        for path, intent in self.head.intents.items():
            if not root.call_at(parse_path(path)).outcome:
                root = apply(root, ToolStarted(path=path, intent=intent))
        return root


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run as it stands now."""

    head: RunHead
    snapshot: Snapshot
    continuation: Continuation
