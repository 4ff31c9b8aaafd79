"""The kinds of faults, and the transport that injects them into requests."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from tests.simulation.aws import Answer
from tests.simulation.dynamodb.transactions import TOKEN_SECONDS
from tests.simulation.operators import Operators
from tests.simulation.outages import SERVICE_OF, Outage, Service, drawn_outages, outage_error
from tests.simulation.scenario import Scenario
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
        jump: the clock of a process jumps, within `skew`.
        resent: the client sends a request again after the service has forgotten its token.
        outages: windows in which services fail.
        older: from when to when some processes run older code; None for never.
        damaged: when an object of the bucket is lost or changed.
        host: an invocation of a tool host is refused, or its answer is lost.
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
    jump: float = 0.0
    resent: float = 0.0
    outages: tuple[Outage, ...] = ()
    older: tuple[float, float] | None = None
    damaged: tuple[float, ...] = ()
    host: float = 0.0

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
            jump=_rare(seed, "jump", 0.25, 0.05),
            resent=_rare(seed, "resent", 0.15, 0.05),
            outages=drawn_outages(seed),
            older=_window_of_older_code(seed),
            damaged=_damages(seed),
            host=_rare(seed, "hosts", 0.5, 0.2),
        )

    def last_outage(self) -> float:
        """When the last outage ends, in seconds."""
        return max((each.until for each in self.outages), default=0.0)


def _rare(seed: int, name: str, share: float, most: float) -> float:
    """A rate that is not 0 in a share of the worlds only."""
    random = Random(f"{name} {seed}")
    return most * random.random() if random.random() < share else 0.0


def _window_of_older_code(seed: int) -> tuple[float, float] | None:
    """When code that knows only older forms runs beside this code: before it, or after it."""
    random = Random(f"older code {seed}")
    if random.random() >= 0.15:
        return None
    since = random.choice([0.0, random.uniform(0, 900)])
    return since, since + random.uniform(60, 2400)


def _damages(seed: int) -> tuple[float, ...]:
    random = Random(f"damages {seed}")
    if random.random() >= 0.15:
        return ()
    return tuple(random.uniform(0, 1800) for _ in range(random.choice([1, 2, 4])))


class FaultyWorld(Protocol):
    """The part of a world that the transport needs."""

    scenario: Scenario
    faults: Faults
    random: Random
    scheduler: Scheduler
    operators: Operators

    @property
    def faults_active(self) -> bool:
        """Whether faults are still injected."""


class FaultyTransport:
    """A transport that injects faults into requests; see `Requests`."""

    def __init__(self, world: FaultyWorld) -> None:
        self._world = world
        self._random = Random(f"requests in outages {world.scenario.seed}")
        self.faults_off = False

    def send(self, operation: str, apply: Callable[[], Answer]) -> Answer:
        if self.faults_off:
            return apply()
        world = self._world
        world.scheduler.point(f"{operation} is sent")
        if outage := self.outage(SERVICE_OF[operation]):
            self._fail(operation, outage, apply)
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
        if world.faults_active and self._random.random() < world.faults.resent:
            world.operators.process_disturbed(world.scheduler.process)
            world.scheduler.sleep(TOKEN_SECONDS + self._random.uniform(0, 300))
            answer = apply()
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="")
        if fault == "done, then 500":
            raise _service_error(operation, "InternalServerError")
        return answer

    def outage(self, service: Service) -> Outage | None:
        """The outage in which a request to a service fails now; None if it does not fail."""
        now = self._world.scheduler.now
        for outage in self._world.faults.outages:
            on = outage.since <= now < outage.until and service in outage.services
            if on and self._random.random() < outage.share:
                return outage
        return None

    def _fail(self, operation: str, outage: Outage, apply: Callable[[], Any]) -> None:
        """Answer a request as in an outage, by an error."""
        if outage.error == "unanswered":
            _apply_without_answer(apply)
        if outage.error in ("unanswered", "silent"):
            self._world.scheduler.sleep(self._random.uniform(1, 10))
            raise ReadTimeoutError(endpoint_url="")
        raise outage_error(operation, outage.error)

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
