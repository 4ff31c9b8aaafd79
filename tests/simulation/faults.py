"""The kinds of faults, and the transport that injects them into requests."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from tests.simulation.aws import Answer
from tests.simulation.scheduler import Scheduler

WRITES = {"PutItem", "UpdateItem", "TransactWriteItems"}


@dataclass(frozen=True)
class Faults:
    """The probability of each fault at each point or request, as long as faults are active.

    Attributes:
        kill: a process ends.
        pause: a process stops for minutes, and then continues.
        starve: one task of a process stops for minutes, while the others continue.
        request: a request fails in one of the ways that `Wire` knows.
        model: a model call fails.
        lost, repeated: a message is lost, or delivered more than once.
        skew: the maximum error of clocks, in seconds.
        lag: the maximum delay of an index, in seconds.
        paged: a page of a query has only a few items.
        kill_at: the process that meets the point of this number is killed there.
        cancel_at: when the point of this number is met, the first run is cancelled.
    """

    kill: float = 0.0
    pause: float = 0.0
    starve: float = 0.0
    request: float = 0.0
    model: float = 0.0
    lost: float = 0.0
    repeated: float = 0.0
    skew: float = 0.0
    lag: float = 0.0
    paged: float = 0.0
    kill_at: int | None = None
    cancel_at: int | None = None

    @classmethod
    def drawn(cls, seed: int) -> "Faults":
        """The faults of a seed: one kind in some worlds, several kinds in most."""
        random = Random(f"faults {seed}")

        def rate(most: float) -> float:
            return random.choice([0.0, most * random.random()])

        return cls(
            kill=rate(0.03),
            pause=rate(0.02),
            starve=rate(0.02),
            request=rate(0.1),
            model=rate(0.2),
            lost=rate(0.5),
            repeated=rate(0.5),
            skew=rate(60.0),
            lag=rate(120.0),
            paged=rate(1.0),
        )


class FaultyWorld(Protocol):
    """The part of a world that the transport needs."""

    faults: Faults
    random: Random
    scheduler: Scheduler

    @property
    def faults_active(self) -> bool:
        """Whether faults are still injected."""


class FaultyTransport:
    """A transport that injects faults into requests; see `Requests`."""

    def __init__(self, world: FaultyWorld) -> None:
        self._world = world
        self.faults_off = False

    def send(self, operation: str, apply: Callable[[], Answer]) -> Answer:
        if self.faults_off:
            return apply()
        world = self._world
        world.scheduler.point(f"{operation} is sent")
        fault = self._draw_fault(operation)
        if fault in ("ThrottlingException", "InternalServerError"):
            raise _service_error(operation, fault)
        if fault == "conflict":
            raise _transaction_conflict(operation)
        if fault == "late":
            # The request arrives only after its sender has given it up.
            world.scheduler.later(
                world.random.expovariate(1 / 10), lambda: _apply_without_answer(apply)
            )
            raise ReadTimeoutError(endpoint_url="")
        answer = apply()
        if fault == "repeated":
            answer = apply()  # the client's own retry after a lost response
        world.scheduler.point(f"{operation} is done")
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="")
        if fault == "done, then 500":
            raise _service_error(operation, "InternalServerError")
        return answer

    def _draw_fault(self, operation: str) -> str | None:
        world = self._world
        if not world.faults_active or world.random.random() >= world.faults.request:
            return None
        kinds = ["ThrottlingException", "InternalServerError", "repeated", "lost", "done, then 500"]
        if operation in WRITES:
            kinds += ["late", "conflict"]
        return world.random.choice(kinds)

    def now(self) -> float:
        return self._world.scheduler.now

    def index_visible_at(self) -> float:
        world = self._world
        return self.now() + (
            world.random.random() * world.faults.lag if world.faults_active else 0.0
        )

    def page_items(self) -> int:
        world = self._world
        if (
            self.faults_off
            or not world.faults_active
            or world.random.random() >= world.faults.paged
        ):
            return 1_000_000
        return world.random.choice([2, 5])


def _apply_without_answer(apply: Callable[[], Any]) -> None:
    """Apply a request without a response."""
    with suppress(ClientError, BotoCoreError):
        apply()


def _service_error(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "simulated"}}, operation)


def _transaction_conflict(operation: str) -> ClientError:
    """The error for a conflict with another transaction on the same item."""
    if operation != "TransactWriteItems":
        return _service_error(operation, "TransactionConflictException")
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "simulated"},
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    }
    return ClientError(response, operation)
