"""Messages between workers and their parent, and the activity of a worker in shared memory."""

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
    """A message of a queue."""

    kind: Literal["advance", "resume", "notify", "sweep"]
    run_id: str = ""
    notice_id: str = ""


@dataclass(frozen=True)
class Mail:
    """A notice that was delivered to one recipient."""

    notice: Notice
    recipient: str


@dataclass(frozen=True)
class Result:
    """The result of handling a message.

    Attributes:
        status: the status that the run was left in; None if it was not claimed, or the lease lost.
        model_calls: how many model calls were started.
        failure: why the message must be delivered again.
        traceback: an error that must never happen.
    """

    status: str | None = None
    model_calls: int = 0
    failure: str = ""
    traceback: str = ""


class Activity(IntEnum):
    """An activity of a worker. The value is the index of the byte that counts it."""

    MESSAGE = 0
    TOOL = 1
    MODEL = 2
    REQUEST = 3


class ActivitySlot:
    """The current activities of a worker, in a file that can be read after its death."""

    def __init__(self, place: Path) -> None:
        if not place.exists():
            place.write_bytes(bytes(SLOT_BYTES))
        with place.open("r+b") as file:
            self._bytes = mmap(file.fileno(), SLOT_BYTES)
        self._lock = Lock()

    def add(self, within: Activity, one: int) -> None:
        with self._lock:
            self._bytes[within] += one

    @contextmanager
    def during(self, within: Activity) -> Iterator[None]:
        """Count an activity as long as the block lasts."""
        self.add(within, 1)
        try:
            yield
        finally:
            self.add(within, -1)

    def watch(self, client: Any) -> None:
        """Count the requests of a client, from before they are signed to after the last retry."""

        def begins(model: Any, **_: Any) -> None:
            self._bytes[4] = OPERATIONS.index(model.name)
            self.add(Activity.REQUEST, 1)

        def ends(**_: Any) -> None:
            self.add(Activity.REQUEST, -1)

        client.meta.events.register("before-call.dynamodb", begins)
        client.meta.events.register("after-call.dynamodb", ends)
        client.meta.events.register("after-call-error.dynamodb", ends)

    def read(self) -> set[Activity]:
        """The activities that the process has, or had when it died."""
        return {within for within in Activity if self._bytes[within]}

    @property
    def operation(self) -> str:
        """The operation of the last request."""
        return OPERATIONS[self._bytes[4]]
