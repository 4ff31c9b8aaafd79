"""The deployed functions of a world, and the queues between them."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from agent_continuations.adapters.queues.sqs import SqsWorkQueue
from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.adapters.stores.dynamodb.items import FORM
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.run import Status
from agent_continuations.engine.runner import Runner
from agent_continuations.engine.sweeper import sweep
from agent_continuations.errors import Retryable
from agent_continuations.notifications.outbox import NoticeDispatcher
from agent_continuations.services.services import Services
from tests.simulation import inbound
from tests.simulation.dynamodb import OUTBOX
from tests.simulation.external_services import MailService, ModelService, by_mail
from tests.simulation.hosts import SimulatedHosts
from tests.simulation.scenario import OPERATOR
from tests.simulation.scheduler import EPOCH, Process

if TYPE_CHECKING:
    from tests.simulation.world import World

MAX_RECEIVES = 5
STOP_SECONDS = 60.0


class Functions:
    """The functions, each invocation in a process of its own.

    Attributes:
        dead_letters: messages that were received too often, each with its queue.
    """

    def __init__(self, world: "World") -> None:
        self.dead_letters: list[tuple[str, str]] = []
        self._world = world

    # -- messages ----------------------------------------------------------------------------------

    def message_sent(self, queue: str, body: str) -> None:
        """Deliver a message that was sent to a queue: never, once, or several times."""
        world = self._world
        lost = world.faults_active and world.random.random() < world.faults.lost
        if lost and queue != inbound.QUEUE:  # a queue loses no message; its sender does
            return
        copies = 1
        while world.faults_active and copies < 4 and world.random.random() < world.faults.repeated:
            copies += 1
        for _ in range(copies):
            delay = world.random.expovariate(1 / 0.5)
            if copies > 1 and world.random.random() < 0.2:
                delay = world.random.uniform(0, 300)
            world.scheduler.later(delay, lambda: self.receive(queue, body, 1))

    def receive(self, queue: str, body: str, receives: int) -> None:
        """Handle a message in a new process, as Lambda does; return it if it fails or times out."""
        world, message, done = self._world, json.loads(body), False

        def work(process: Process) -> None:
            nonlocal done
            try:
                if queue == inbound.QUEUE:
                    world.inbound.receive(process, body)
                elif queue == "notify":
                    self._outbox(process).deliver(message["run_id"], message["notice_id"])
                else:
                    self._advance(process, message["run_id"])
                done = True
            except (Retryable, ClientError):
                pass

        process = world.process(queue, work)

        most, seconds = MAX_RECEIVES, world.scenario.lambda_seconds
        if queue == inbound.QUEUE:
            most, seconds = inbound.MAX_RECEIVES, inbound.VISIBILITY_SECONDS

        def time_is_up() -> None:
            process.kill()
            if done:
                return
            if receives < most:
                self.receive(queue, body, receives + 1)
            else:
                self.dead_letters.append((queue, body))

        world.scheduler.later(seconds, time_is_up)

    def _advance(self, process: Process, run_id: str) -> None:
        world, seconds = self._world, self._world.scenario.lambda_seconds
        registry, began = world.registry, world.scheduler.now
        process.run_id, process.ends_at = run_id, began + seconds
        process.agents = registry
        deadline = process.clock() + timedelta(seconds=seconds)
        try:
            status = self._runner(process, registry).advance(run_id, deadline=deadline)
        finally:
            if world.scheduler.now >= process.ends_at - STOP_SECONDS:
                world.operators.process_disturbed(
                    process
                )  # a tool or a model that takes longer than the process may live
        if status is Status.PARKED:
            world.operators.run_parked(run_id)

    def sweep(self) -> None:
        """Send wake-up messages for all that is overdue."""

        def work(process: Process) -> None:
            try:
                sweep(self.store(process), self.queue(), process.clock())
            except (Retryable, ClientError):
                return

        self._world.process("sweep", work)

    # -- what they are made of ---------------------------------------------------------------------

    def store(self, process: Process | None = None) -> DynamoDBStore:
        """The store, as the version of the code in this process knows it; None for the newest."""
        world = self._world
        return DynamoDBStore(
            dynamodb=world.dynamodb,
            s3=world.s3,
            table="table",
            bucket="bucket",
            outbox_table=OUTBOX,
            form=process.form if process else FORM,
        )

    def queue(self) -> SqsWorkQueue:
        """The queues."""
        return SqsWorkQueue(
            sqs=self._world.sqs,
            advance_queue="advance",
            resume_queue="resume",
            notify_queue="notify",
        )

    def services(self, process: Process | None) -> Services:
        """The services of the API in a process."""
        return Services.of(
            store=self.store(process),
            queue=self.queue(),
            registry=lambda: self._world.registry,
            clock=process.clock if process else lambda: EPOCH,
        )

    def _runner(self, process: Process, registry: Registry) -> Runner:
        world = self._world

        def hosts() -> SimulatedHosts:
            return SimulatedHosts(world, process)

        return Runner(
            store=self.store(process),
            model=ModelService(world),
            registry=registry,
            queue=self.queue(),
            clock=process.clock,
            operators=(OPERATOR,),
            abandon=process.kill,
            pause=world.scheduler.sleep,
            executor=lambda: process,
            hosts=hosts if world.scenario.host_seconds else None,
            outcome_token=world.inbound.outcome_token,
            on_blocked=lambda: world.operators.run_blocked(process.run_id),
        )

    def _outbox(self, process: Process) -> NoticeDispatcher:
        channels = {"mail": MailService(self._world)}
        return NoticeDispatcher(self.store(process), channels, by_mail, process.clock)
