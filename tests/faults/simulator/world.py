"""One world: the functions with their queues, the people, the sweeper, and what goes wrong."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any, NamedTuple, Protocol
from unittest.mock import patch

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from agent_continuations.adapters.dynamodb import DynamoDBStore
from agent_continuations.adapters.dynamodb import indexes as store_indexes
from agent_continuations.adapters.dynamodb import requests as store_requests
from agent_continuations.adapters.sqs import SqsHints
from agent_continuations.agent import Registry
from agent_continuations.core.continuation import Decision, Reply, Verdict
from agent_continuations.core.identity import run_id_for
from agent_continuations.core.path import parse_path
from agent_continuations.errors import (
    AlreadyDecided,
    Conflict,
    Invalid,
    ModelRefused,
    ModelUnavailable,
    NotFound,
    Retryable,
)
from agent_continuations.liveness import sweep
from agent_continuations.outbox import Outbox
from agent_continuations.ports import Head, ModelRequest, Notice, Status
from agent_continuations.runner import Runner
from agent_continuations.runs import DEFAULT_TENANT, Answer, Loaded, Runs
from agent_continuations.tool import ToolContext
from tests.faults.simulator.aws import Answer as Answered
from tests.faults.simulator.aws import SimulatedS3, SimulatedSQS
from tests.faults.simulator.dynamodb import SimulatedDynamoDB
from tests.faults.simulator.expressions import Item
from tests.faults.simulator.scenario import LARGE, OPERATOR, Scenario, deployment
from tests.faults.simulator.scheduler import EPOCH, Process, Scheduler

FAULTS_END = 1500.0
PATIENCE = 24 * 3600.0
SWEEP_SECONDS = 60.0
MAX_RECEIVES = 5
WRITES = {"PutItem", "UpdateItem", "TransactWriteItems"}
DYNAMODB = {*WRITES, "GetItem", "Query", "BatchGetItem"}


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


class Execution(NamedTuple):
    """A tool's effect on the world."""

    run_id: str
    path: str
    tool: str
    attempt: int
    key: str
    amount: int
    approved: bool
    at: float


class ModelCall(NamedTuple):
    """A model call that was answered."""

    number: int
    path: str
    turn: int
    messages: str


class Told(NamedTuple):
    """What somebody who decided was told to stand."""

    run_id: str
    request_id: str
    own: bool
    verdict: str
    approver: str


@dataclass
class Ledger:
    """What really happened, outside of what is stored."""

    executions: list[Execution] = field(default_factory=list)
    model_calls: list[ModelCall] = field(default_factory=list)
    asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    told: list[Told] = field(default_factory=list)
    mails: list[tuple[str, str, str]] = field(default_factory=list)


class Wire:
    """Carries requests to AWS; see `Requests`."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.quiet = False

    def send(self, operation: str, apply: Callable[[], Answered]) -> Answered:
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


class Watch(Protocol):
    """Looks at a world, and does nothing in it."""

    def wrote(self, before: Item | None, after: Item) -> None:
        """An item of the table was written."""

    def minute(self, world: "World") -> None:
        """A minute has passed."""


class World:
    """Everything, from one seed.

    Args:
        scenario: what is to be done.
        faults: what goes wrong meanwhile.
        watch: looks at what happens, while it does.
    """

    def __init__(self, scenario: Scenario, faults: Faults, watch: Watch) -> None:
        self.scenario = scenario
        self.faults = faults
        self.random = Random(f"world {scenario.seed}")
        self.scheduler = Scheduler(self.random, self._at_point)
        self.wire = Wire(self)
        self.dynamodb: Any = SimulatedDynamoDB(self.wire, watch.wrote)
        self.s3: Any = SimulatedS3(self.wire)
        self.sqs: Any = SimulatedSQS(self.wire, self._message)
        self.ledger = Ledger()
        self.registry: Registry = deployment(self._tool)
        self.run_ids = [
            run_id_for(DEFAULT_TENANT, f"run {number}") for number in range(scenario.runs)
        ]
        self.points = 0
        self.killed_in: str | None = None
        self.cancelled_in: str | None = None
        self.in_flight: set[tuple[str, int]] = set()
        self.trace: list[str] = []
        self._watch = watch
        self._numbers = 0

    # -- running it ------------------------------------------------------------------------------

    def run(self) -> None:
        """From the start of its runs until they all have ended, or patience has."""
        with (
            patch.object(store_requests, "sleep", self.scheduler.sleep),
            patch.object(store_requests, "uniform", self.random.uniform),
            patch.object(store_indexes, "sleep", self.scheduler.sleep),
        ):
            for number in range(self.scenario.runs):
                self._start(number)
            self._every(SWEEP_SECONDS, self._sweep)
            self._every(SWEEP_SECONDS, lambda: self._watch.minute(self))
            self._every(300.0, self._redrive_parked)
            if self.scenario.deploy:
                self._deploy()
            if self.scenario.cancel:
                self.scheduler.later(self.random.uniform(0, 600), self._cancel)
            self.scheduler.run(PATIENCE, self._ended)
            # What still is on its way arrives, so that it can do harm if it can.
            self.scheduler.run(self.scheduler.now + 7200.0)

    @property
    def rough(self) -> bool:
        """Whether there are faults yet."""
        return self.scheduler.now < FAULTS_END

    def truth(self, run_id: str) -> Loaded | None:
        """A run as it really stands."""
        with self.quiet():
            try:
                return self._runs(None).load(run_id)
            except NotFound:
                return None

    def heads(self) -> list[Head]:
        """The heads of all runs, as they really stand."""
        with self.quiet():
            found = [self._store().head(run_id) for run_id in self.run_ids]
        return [head for head in found if head]

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Requests take no time and do not fail as long as the block lasts."""
        before, self.wire.quiet = self.wire.quiet, True
        try:
            yield
        finally:
            self.wire.quiet = before

    def _ended(self) -> bool:
        for run_id in self.run_ids:
            head = self.dynamodb.items.get(f"R#{run_id}", {}).get("#H")
            if head is None or head["status"]["S"] not in ("completed", "failed", "cancelled"):
                return False
        return True

    def _every(self, seconds: float, work: Callable[[], None]) -> None:
        def again() -> None:
            work()
            if not self._ended():
                self.scheduler.later(seconds, again)

        self.scheduler.later(seconds, again)

    # -- what goes wrong ---------------------------------------------------------------------------

    def _at_point(self, process: Process, label: str) -> None:
        self.points += 1
        self.trace.append(f"{self.scheduler.now:.3f} {process.name}: {label}")
        if self.points == self.faults.kill_at:
            self.killed_in = self.trace[-1]
            self.in_flight = self._unrecorded()
            process.kill()
        if self.points == self.faults.cancel_at:
            self.cancelled_in = self.trace[-1]
            self._cancel_at_once(self.run_ids[0])
        if not self.rough:
            return
        draw = self.random.random
        if draw() < self.faults.kill:
            process.kill()
        if draw() < self.faults.pause:
            process.frozen_until = self.scheduler.now + self.random.uniform(30, 1200)
        if draw() < self.faults.starve:
            self.scheduler.sleep(self.random.uniform(30, 400))

    def _unrecorded(self) -> set[tuple[str, int]]:
        """Model calls that were made, and whose reply is not on record."""
        recorded: set[tuple[str, int]] = set()
        for run_id in self.run_ids:
            loaded = self.truth(run_id)
            for event in loaded.snapshot.events() if loaded else ():
                if event.kind == "model_replied":
                    recorded.add((event.path, event.turn))
        return {call for call in self.ledger.asked if call not in recorded}

    def _process(self, name: str, work: Callable[[Process], None]) -> Process:
        skew = self.random.uniform(-1, 1) * self.faults.skew
        self._numbers += 1
        process = Process(self.scheduler, f"{name}-{self._numbers}", skew)
        process.run(lambda: work(process))
        return process

    # -- the functions -----------------------------------------------------------------------------

    def _message(self, queue: str, body: str) -> None:
        """A message has come into a queue."""
        if self.rough and self.random.random() < self.faults.lost:
            return
        copies = 1
        while self.rough and copies < 4 and self.random.random() < self.faults.repeated:
            copies += 1
        for _ in range(copies):
            delay = self.random.expovariate(1 / 0.5)
            if copies > 1 and self.random.random() < 0.2:
                delay = self.random.uniform(0, 300)
            self.scheduler.later(delay, lambda: self._receive(queue, body, 1))

    def _receive(self, queue: str, body: str, receives: int) -> None:
        """Lambda takes a message, and gives it back if it was not done with in time."""
        hint, done = json.loads(body), False

        def work(process: Process) -> None:
            nonlocal done
            try:
                if queue == "notify":
                    self._outbox(process).deliver(hint["run_id"], hint["notice_id"])
                else:
                    deadline = process.clock() + timedelta(seconds=self.scenario.lambda_seconds)
                    self._runner(process).advance(hint["run_id"], deadline=deadline)
                done = True
            except (Retryable, ClientError):
                pass

        process = self._process(queue, work)

        def time_is_up() -> None:
            process.kill()
            if not done and receives < MAX_RECEIVES:
                self._receive(queue, body, receives + 1)

        self.scheduler.later(self.scenario.lambda_seconds, time_is_up)

    def _sweep(self) -> None:
        def work(process: Process) -> None:
            try:
                sweep(self._store(), self._hints(), process.clock())
            except (Retryable, ClientError):
                return

        self._process("sweep", work)

    def _store(self) -> DynamoDBStore:
        return DynamoDBStore(dynamodb=self.dynamodb, s3=self.s3, table="table", bucket="bucket")

    def _hints(self) -> SqsHints:
        return SqsHints(
            sqs=self.sqs, advance_queue="advance", resume_queue="resume", notify_queue="notify"
        )

    def _runs(self, process: Process | None) -> Runs:
        return Runs(
            store=self._store(),
            hints=self._hints(),
            registry=lambda: self.registry,
            clock=process.clock if process else lambda: EPOCH,
        )

    def _runner(self, process: Process) -> Runner:
        return Runner(
            store=self._store(),
            model=_Model(self),
            registry=self.registry,
            hints=self._hints(),
            recipients=lambda approvers: [f"mail:{each}" for each in approvers],
            clock=process.clock,
            operators=(OPERATOR,),
            abandon=process.kill,
            pause=self.scheduler.sleep,
            crew=lambda: process,
        )

    def _outbox(self, process: Process) -> Outbox:
        return Outbox(self._store(), {"mail": _Mail(self)}, process.clock)

    # -- what tools do -----------------------------------------------------------------------------

    def _tool(self, name: str, context: ToolContext, amount: int) -> str:
        scheduler = self.scheduler
        scheduler.point(f"{name} begins")
        scheduler.sleep(self.random.choice([0.1, 1.0, 5.0, 5.0, 90.0, 400.0]))
        approved = not name.endswith("_gated") or self._is_approved(context, amount)
        self.ledger.executions.append(
            Execution(
                context.run_id,
                context.path,
                name,
                context.attempt,
                context.idempotency_key,
                amount,
                approved,
                scheduler.now,
            )
        )
        scheduler.point(f"{name} has happened")
        if amount == 13:
            raise ValueError("unlucky")
        if name.endswith("_large"):
            return self.random.randbytes(LARGE).hex()
        return f"{name} {len(self.ledger.executions)}"

    def _is_approved(self, context: ToolContext, amount: int) -> bool:
        """Whether the table holds an approval of just this."""
        loaded = self.truth(context.run_id)
        assert loaded
        for event in loaded.snapshot.events():
            if event.kind == "decided" and event.path == context.path:
                decision: Decision = event.decision
                call = loaded.continuation.call_at(parse_path(context.path))
                return decision.verdict is Verdict.APPROVE and call.arguments["amount"] == amount
        return False

    # -- people ------------------------------------------------------------------------------------

    def _start(self, number: int) -> None:
        def work(process: Process) -> None:
            self._runs(process).start("root", f"go {number}", key=f"run {number}")

        self._insist(f"start {number}", work)

    def _insist(self, name: str, work: Callable[[Process], None]) -> None:
        """Somebody tries until he is answered."""
        answered = False

        def attempt(process: Process) -> None:
            nonlocal answered
            try:
                work(process)
            except (Retryable, ClientError):
                return
            answered = True

        def again() -> None:
            if not answered:
                process = self._process(name, attempt)
                self.scheduler.later(29.0, process.kill)
                self.scheduler.later(60.0, again)

        again()

    def mail(self, notice: Notice, recipient: str) -> None:
        """A mail has come; its reader answers when he gets to it, each mail by itself."""
        self.ledger.mails.append((notice.run_id, notice.request_id, recipient))
        after = self.random.choice([5.0, 60.0, 600.0, 600.0, 2500.0])
        self.scheduler.later(
            self.random.expovariate(1 / after), lambda: self._answer(notice, recipient)
        )

    def _answer(self, notice: Notice, person: str) -> None:
        verdict = Verdict.APPROVE if self.random.random() < 0.7 else Verdict.REJECT
        arguments = None
        if notice.kind == "doubt":
            happened = any(
                (each.run_id, each.path) == (notice.run_id, notice.path)
                for each in self.ledger.executions
            )
            verdict = Verdict.APPROVE if happened else Verdict.REJECT
        elif verdict is Verdict.APPROVE and "amount" in notice.arguments:
            arguments = self.random.choice([None, {"amount": notice.arguments["amount"] + 1}])

        def work(process: Process) -> None:
            answer = Answer(
                verdict=verdict, approver=person, decided_by=person, via="link", arguments=arguments
            )
            try:
                stands = self._runs(process).decide(notice.run_id, notice.request_id, answer)
            except AlreadyDecided as other:
                told = other.decision
                self._told(notice, False, str(told["decision"]), str(told["approver"]))
            except (Conflict, Invalid):
                return  # too late, or what is deployed now does not take the edit
            else:
                self._told(notice, True, stands.verdict.value, stands.approver)

        self._insist(f"answer by {person}", work)

    def _told(self, notice: Notice, own: bool, verdict: str, approver: str) -> None:
        self.ledger.told.append(Told(notice.run_id, notice.request_id, own, verdict, approver))

    def _cancel(self) -> None:
        run_id = self.random.choice(self.run_ids)

        def work(process: Process) -> None:
            try:
                self._runs(process).cancel(run_id)
            except (Conflict, NotFound):
                return

        self._insist("cancel", work)

    def _cancel_at_once(self, run_id: str) -> None:
        with self.quiet(), suppress(Conflict, NotFound):
            self._runs(None).cancel(run_id)

    def _redrive_parked(self) -> None:
        for head in self.heads():
            if head.status is Status.PARKED:
                self.trace.append(f"{self.scheduler.now:.0f} parked: {head.note}")
                self._process("redrive", partial(self._redrive, head.run_id))

    def _redrive(self, run_id: str, process: Process) -> None:
        try:
            self._runs(process).redrive(run_id)
        except (Conflict, Retryable, ClientError):
            return

    def _deploy(self) -> None:
        """Deployments that change prompts, lose a tool, or change one; then the first again."""
        tool = self.random.choice(["pay", "note", "pay_gated", "look"])
        change = self.random.choice(["without", "changed"])
        worse = deployment(self._tool, prompt="Work better.", **{change: tool})
        better = deployment(self._tool, prompt="Work best.")
        self.scheduler.later(self.random.uniform(0, 300), lambda: self._switch(worse))
        self.scheduler.later(self.random.uniform(300, 3000), lambda: self._switch(better))

    def _switch(self, registry: Registry) -> None:
        self.registry = registry


class _Model:
    """The model service."""

    def __init__(self, world: World) -> None:
        self._world = world

    def reply(self, request: ModelRequest) -> Reply:
        world = self._world
        turn = sum(message["role"] == "assistant" for message in request.messages)
        world.ledger.asked[request.path, turn] += 1
        world.scheduler.point("the model is asked")
        world.scheduler.sleep(world.random.choice([0.5, 3.0, 20.0]))
        if world.rough and world.random.random() < world.faults.model:
            if world.random.random() < 0.1:
                raise ModelRefused("the key has expired")
            raise ModelUnavailable("busy", world.random.choice([None, 10.0, 200.0]))
        number = len(world.ledger.model_calls)
        told = json.dumps(list(request.messages), sort_keys=True)
        world.ledger.model_calls.append(ModelCall(number, request.path, turn, told))
        world.scheduler.point("the model has replied")
        return world.scenario.reply(request, number)


class _Mail:
    """The mail service: a channel of the outbox."""

    def __init__(self, world: World) -> None:
        self._world = world

    def deliver(self, notice: Notice, recipient: str) -> None:
        world = self._world
        world.scheduler.point("a mail is sent")
        if world.rough and world.random.random() < world.faults.request:
            raise Retryable("the mail service is down")
        world.mail(notice, recipient)
        world.scheduler.point("a mail was sent")


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
