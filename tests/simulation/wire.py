"""The ways in which things go wrong, and the wire on which requests meet them."""

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
    """How probable each fault is, at each point or request, as long as there are faults.

    Attributes:
        kill: a process ends.
        pause: a process stands still for minutes, and then goes on.
        starve: one task of a process stands still for minutes, while the others go on.
        request: a request fails in one of the ways that `Wire` knows.
        model: a model call fails.
        lost, repeated: a message does not come, or comes more than once.
        skew: clocks are wrong by so many seconds at most.
        lag: an index is so many seconds behind at most.
        paged: a page of a query holds but a few items.
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
        """The faults of a seed: some worlds are rough in one way only, most in several."""
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


class World(Protocol):
    """What the wire must know of its world."""

    faults: Faults
    random: Random
    scheduler: Scheduler

    @property
    def rough(self) -> bool:
        """Whether there are faults yet."""


class Wire:
    """Carries requests to AWS; see `Requests`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.quiet = False

    def send(self, operation: str, apply: Callable[[], Answer]) -> Answer:
        if self.quiet:
            return apply()
        world = self._world
        world.scheduler.point(f"{operation} is sent")
        fault = self._drawn(operation)
        if fault in ("ThrottlingException", "InternalServerError"):
            raise _refusal(operation, fault)
        if fault == "conflict":
            raise _conflict(operation)
        if fault == "late":
            # It arrives, but only when its sender has given it up.
            world.scheduler.later(world.random.expovariate(1 / 10), lambda: _quietly(apply))
            raise ReadTimeoutError(endpoint_url="")
        answer = apply()
        if fault == "repeated":
            answer = apply()  # the client's own second try, after it heard nothing of the first
        world.scheduler.point(f"{operation} is done")
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="")
        if fault == "done, then 500":
            raise _refusal(operation, "InternalServerError")
        return answer

    def _drawn(self, operation: str) -> str | None:
        world = self._world
        if not world.rough or world.random.random() >= world.faults.request:
            return None
        kinds = ["ThrottlingException", "InternalServerError", "repeated", "lost", "done, then 500"]
        if operation in WRITES:
            kinds += ["late", "conflict"]
        return world.random.choice(kinds)

    def now(self) -> float:
        return self._world.scheduler.now

    def index_visible_at(self) -> float:
        world = self._world
        return self.now() + (world.random.random() * world.faults.lag if world.rough else 0.0)

    def page_items(self) -> int:
        world = self._world
        if self.quiet or not world.rough or world.random.random() >= world.faults.paged:
            return 1_000_000
        return world.random.choice([2, 5])


def _quietly(apply: Callable[[], Any]) -> None:
    """Carry out a request whose answer nobody hears."""
    with suppress(ClientError, BotoCoreError):
        apply()


def _refusal(operation: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "simulated"}}, operation)


def _conflict(operation: str) -> ClientError:
    """Another transaction is at work on the same item."""
    if operation != "TransactWriteItems":
        return _refusal(operation, "TransactionConflictException")
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "simulated"},
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    }
    return ClientError(response, operation)
