"""One simulated world: functions, queues, users, the sweeper, and faults."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from random import Random
from typing import Any, Protocol
from unittest.mock import patch

from agent_continuations.adapters.stores.dynamodb import client as store_requests
from agent_continuations.adapters.stores.dynamodb import indexes as store_indexes
from agent_continuations.adapters.stores.dynamodb import journal as store_journal
from agent_continuations.adapters.stores.dynamodb.items import FORM
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.ids import run_id_for
from agent_continuations.core.notice import Notice
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import LoadedRun, RunHead, Status
from agent_continuations.errors import NotFound
from agent_continuations.services.runs import DEFAULT_TENANT
from agent_continuations.services.services import Services
from tests.simulation.aws import SimulatedS3, SimulatedSQS
from tests.simulation.dynamodb import Item, SimulatedDynamoDB
from tests.simulation.external_services import ExternalSystems, Tools
from tests.simulation.faults import Faults, FaultyTransport
from tests.simulation.functions import Functions
from tests.simulation.ground_truth import GroundTruth
from tests.simulation.inbound import Inbound
from tests.simulation.operators import Operators
from tests.simulation.scenario import POLICIES, Scenario, deployment
from tests.simulation.scheduler import Process, Scheduler
from tests.simulation.users import Users
from tests.support.log_lines import silenced

FAULTS_END = 1500.0
OLDER_FORM = FORM - 1
MAX_SECONDS = 24 * 3600.0
SWEEP_SECONDS = 60.0


class WorldMonitor(Protocol):
    """Observes a world without changing it."""

    def item_written(self, before: Item | None, after: Item) -> None:
        """An item of the table was written."""

    def minute_passed(self, world: "World") -> None:
        """A minute has passed."""


class _CachedEvents:
    """The store's parser of events, with a cache: a world reads each entry many times."""

    dump_json = store_journal._EVENTS.dump_json
    validate_json = staticmethod(lru_cache(4096)(store_journal._EVENTS.validate_json))


class World:
    """A world of one seed.

    Args:
        scenario: the scenario.
        faults: the faults.
        watch: observes each write, and is called once a minute.
    """

    def __init__(self, scenario: Scenario, faults: Faults, watch: WorldMonitor) -> None:
        self.scenario = scenario
        self.faults = faults
        self.random = Random(f"world {scenario.seed}")
        self.host_random = Random(f"hosts {scenario.seed}")
        self._minor = Random(f"versions and clocks {scenario.seed}")
        self.scheduler = Scheduler(self.random, self._at_point)
        self.transport = FaultyTransport(self)
        self.dynamodb: Any = SimulatedDynamoDB(self.transport, self._item_written)
        self.s3: Any = SimulatedS3(self.transport)
        self.functions = Functions(self)
        self.sqs: Any = SimulatedSQS(self.transport, self.functions.message_sent)
        self.ground_truth = GroundTruth()
        self.users = Users(self)
        self.operators = Operators(self)
        self.tool = Tools(self).tool
        self.external = ExternalSystems(self)
        self.inbound = Inbound(self)
        self.deployed = partial(
            deployment,
            self.tool,
            gate=POLICIES[scenario.policy],
            poll=self.external.poll if scenario.waits else None,
            condition=scenario.condition,
        )
        self.registry: Registry = self.deployed()
        self.incomplete: list[Registry] = []
        self.run_ids = [
            run_id_for(DEFAULT_TENANT, f"run {number}") for number in range(scenario.runs)
        ]
        self.written_at: dict[tuple[str, str], float] = {}
        self.points = 0
        self.killed_in: str | None = None
        self.cancelled_in: str | None = None
        self.in_flight: set[tuple[str, int]] = set()
        self.trace: list[str] = []
        self._monitor = watch
        self._numbers = 0

    # -- running it ------------------------------------------------------------------------------

    def run(self) -> None:
        """Run from the start of the runs to the end of all, or to the time limit."""
        with (
            patch.object(store_requests, "sleep", self.scheduler.sleep),
            patch.object(store_requests, "uniform", self.random.uniform),
            patch.object(store_indexes, "sleep", self.scheduler.sleep),
            patch.object(store_journal, "_EVENTS", _CachedEvents()),
            silenced(),
        ):
            for number in range(self.scenario.runs):
                self.users.start(number)
            self._every(SWEEP_SECONDS, self.functions.sweep)
            self._every(SWEEP_SECONDS, lambda: self._monitor.minute_passed(self), always=True)
            if self.scenario.waits:
                self.users.send_messages()
                self.users.schedule_pause()
                self.external.send_early_events(self.run_ids[0])
            for at in self.faults.damaged:
                self.scheduler.later(at, self.operators.damage_an_object)
            self._every(900.0, self.operators.redrive_dead_letters)
            if self.scenario.deploy:
                self.users.schedule_deployments()
            if self.scenario.cancel:
                self.scheduler.later(self.random.uniform(0, 600), self.users.cancel)
            self.scheduler.run(MAX_SECONDS, self._ended)
            # Deliver what is still in flight, so that it can do its harm.
            self.scheduler.run(self.scheduler.now + 7200.0)
            self.scheduler.run(2 * MAX_SECONDS, self._ended)

    @property
    def faults_active(self) -> bool:
        """Whether faults are still injected."""
        return self.scheduler.now < FAULTS_END

    def stored_run(self, run_id: str) -> LoadedRun | None:
        """A run as it is stored."""
        with self.without_faults():
            try:
                return self.services(None).runs.load(run_id)
            except NotFound:
                return None

    def notices(self, run_id: str) -> list[Notice]:
        """All notices of a run, delivered or not."""
        with self.without_faults():
            return self.functions.store().notices(run_id)

    def profile(self, digest: str) -> RequestProfile | None:
        """A request profile as it is stored."""
        with self.without_faults():
            return self.functions.store().profile(digest)

    def grants(self) -> list[Grant]:
        """All standing approvals."""
        with self.without_faults():
            return self.functions.store().grants(DEFAULT_TENANT)

    def heads(self, *statuses: Status) -> list[RunHead]:
        """The stored heads of all runs with one of these statuses."""
        with self.without_faults():
            found = [
                self.functions.store().head(run_id)
                for run_id in self.all_run_ids()
                if self._status(run_id) in statuses
            ]
        return [head for head in found if head]

    def all_run_ids(self) -> list[str]:
        """The ids of all runs, child runs included."""
        inner = [key[2:] for key in self.dynamodb.items if key.startswith("R#")]
        return list(dict.fromkeys([*self.run_ids, *sorted(inner)]))

    def _status(self, run_id: str) -> str | None:
        head = self.dynamodb.items.get(f"R#{run_id}", {}).get("#H")
        return str(head["status"]["S"]) if head else None

    @contextmanager
    def without_faults(self) -> Iterator[None]:
        """Requests take no time and never fail as long as the block lasts."""
        before, self.transport.faults_off = self.transport.faults_off, True
        try:
            yield
        finally:
            self.transport.faults_off = before

    def _ended(self) -> bool:
        runs = self.all_run_ids() if self.scenario.waits else self.run_ids
        ended = (self._status(each) in ("completed", "failed", "cancelled") for each in runs)
        return self.inbound.is_empty and all(ended)

    def _every(self, seconds: float, work: Callable[[], None], *, always: bool = False) -> None:
        def again() -> None:
            if always or not self._ended():
                work()
            # A user may send a message to a completed run.
            talking = self.scenario.waits and self.scheduler.now < self.calm_at + FAULTS_END
            if talking or not self._ended():
                self.scheduler.later(seconds, again)

        self.scheduler.later(seconds, again)

    def services(self, process: Process | None) -> Services:
        """The services of the API in a process; None for one of the checks."""
        return self.functions.services(process)

    def _item_written(self, before: Item | None, after: Item) -> None:
        if after["sk"]["S"] == "#H":
            self.operators.head_written(before, after)
        else:
            self.written_at.setdefault((after["pk"]["S"], after["sk"]["S"]), self.scheduler.now)
        self._monitor.item_written(before, after)

    @property
    def calm_at(self) -> float:
        """When the last outage and all other faults have ended, in seconds."""
        older = self.faults.older[1] if self.faults.older else 0.0
        return max(FAULTS_END, self.faults.last_outage(), older)

    # -- faults ----------------------------------------------------------------------------------

    def _at_point(self, process: Process, label: str) -> None:
        self.points += 1
        self.trace.append(f"{self.scheduler.now:.3f} {process.name}: {label}")
        if self.points == self.faults.kill_at:
            self.killed_in = self.trace[-1]
            self.in_flight = self._unrecorded()
            self.operators.process_disturbed(process)
            process.kill()
        if self.points == self.faults.cancel_at:
            self.cancelled_in = self.trace[-1]
            self.users.cancel_at_once(self.run_ids[0])
        if not self.faults_active:
            return
        if self._minor.random() < self.faults.jump:
            process.skew = self._minor.uniform(-1, 1) * self.faults.skew
        draw = self.random.random
        if draw() < self.faults.kill:
            self.operators.process_disturbed(process)
            process.kill()
        if draw() < self.faults.pause:
            self.operators.process_disturbed(process)
            process.frozen_until = self.scheduler.now + self.random.uniform(30, 1200)
        if draw() < self.faults.starve:
            self.operators.process_disturbed(process)
            self.scheduler.sleep(self.random.uniform(30, 400))

    def _unrecorded(self) -> set[tuple[str, int]]:
        """Model calls whose reply is not on record."""
        recorded: set[tuple[str, int]] = set()
        for run_id in self.all_run_ids():
            loaded = self.stored_run(run_id)
            for event in loaded.snapshot.events() if loaded else ():
                if event.kind == "model_replied":
                    recorded.add((event.path, event.turn))
        return {call for call in self.ground_truth.model_calls if call not in recorded}

    def process(self, name: str, work: Callable[[Process], None]) -> Process:
        skew = self.random.uniform(-1, 1) * self.faults.skew
        self._numbers += 1
        process = Process(self.scheduler, f"{name}-{self._numbers}", skew)
        since, until = self.faults.older or (0.0, 0.0)
        if since <= self.scheduler.now < until and self._minor.random() < 0.5:
            process.form = OLDER_FORM
        process.run(lambda: work(process))
        return process
