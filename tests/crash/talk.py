"""What workers and their parent tell each other, and what a dead worker still tells."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from mmap import mmap
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from agent_continuations.core.notice import Notice

SLOT_BYTES = 8
OPERATIONS = ("GetItem", "Query", "BatchGetItem", "PutItem", "UpdateItem", "TransactWriteItems")


@dataclass(frozen=True)
class Message:
    """What a queue holds."""

    kind: Literal["advance", "resume", "notify", "sweep"]
    run_id: str = ""
    notice_id: str = ""


@dataclass(frozen=True)
class Mail:
    """A notice as it reached one person."""

    notice: Notice
    recipient: str


@dataclass(frozen=True)
class Done:
    """How a message ended.

    Attributes:
        status: what a run was left in; None where it was not had, or was lost.
        asked: how many model calls were begun.
        failed: why the message comes again.
        broken: what must never happen, as a traceback.
    """

    status: str | None = None
    asked: int = 0
    failed: str = ""
    broken: str = ""


class Within(IntEnum):
    """What a process can be in the middle of, by the byte that counts it."""

    MESSAGE = 0
    TOOL = 1
    MODEL = 2
    REQUEST = 3


class Slot:
    """What a process is in the middle of, in a file that still tells so when it is dead."""

    def __init__(self, place: Path) -> None:
        if not place.exists():
            place.write_bytes(bytes(SLOT_BYTES))
        with place.open("r+b") as file:
            self._bytes = mmap(file.fileno(), SLOT_BYTES)
        self._lock = Lock()

    def add(self, within: Within, one: int) -> None:
        with self._lock:
            self._bytes[within] += one

    @contextmanager
    def inside(self, within: Within) -> Iterator[None]:
        """Counted for as long as the block lasts."""
        self.add(within, 1)
        try:
            yield
        finally:
            self.add(within, -1)

    def watch(self, client: Any) -> None:
        """Count the requests of a client, from before they are signed to after the last retry."""

        def begins(model: Any, **_: Any) -> None:
            self._bytes[4] = OPERATIONS.index(model.name)
            self.add(Within.REQUEST, 1)

        def ends(**_: Any) -> None:
            self.add(Within.REQUEST, -1)

        client.meta.events.register("before-call.dynamodb", begins)
        client.meta.events.register("after-call.dynamodb", ends)
        client.meta.events.register("after-call-error.dynamodb", ends)

    def read(self) -> set[Within]:
        """All that the process is, or was at its death, in the middle of."""
        return {within for within in Within if self._bytes[within]}

    @property
    def operation(self) -> str:
        """The request that was begun last."""
        return OPERATIONS[self._bytes[4]]
