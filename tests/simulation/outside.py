"""What a run reaches besides its store: the model service, the mail service, what tools change."""

import json
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from agent_continuations import Job, Pending, Question, Sleep, WaitFor
from agent_continuations.authoring.context import ToolContext
from agent_continuations.core.notice import Notice
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import parse_path
from agent_continuations.core.replies import Reply
from agent_continuations.errors import Conflict, ModelRefused, ModelUnavailable, NotFound, Retryable
from agent_continuations.ports.model import ModelRequest
from tests.crash.agreement import agreed_to
from tests.simulation.ledger import Execution
from tests.simulation.scenario import ANN, BOB, LARGE, WAITING
from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class Tools:
    """What every tool does: it takes its time, and is noted where it happens."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def tool(self, name: str, context: ToolContext, amount: int) -> Any:
        world = self._world
        scheduler = world.scheduler
        scheduler.point(f"{name} begins")
        scheduler.sleep(world.random.choice([0.1, 1.0, 5.0, 5.0, 90.0, 400.0]))
        approved = self._is_approved(name, context, amount)
        world.ledger.executions.append(
            Execution(
                context.run_id,
                context.path,
                name,
                context.attempt,
                context.idempotency_key,
                amount,
                approved,
            )
        )
        scheduler.point(f"{name} has happened")
        if amount == 13:
            raise ValueError("unlucky")
        if name.endswith("_large"):
            return world.random.randbytes(LARGE).hex()
        if name in WAITING:
            return world.outside.waits(name, context, amount)
        return f"{name} {len(world.ledger.executions)}"

    def _is_approved(self, name: str, context: ToolContext, amount: int) -> bool:
        """Whether by what the table holds now, just this and all agents above it were agreed to."""
        path = parse_path(context.path)
        if len(path) == 1 and not name.endswith("_gated"):
            return True  # nothing here asks; it is not worth a look at the table
        loaded = self._world.truth(context.run_id)
        assert loaded
        return agreed_to(loaded, path, {"amount": amount}) and all(
            agreed_to(loaded, above, {"input": loaded.continuation.frame_at(above).input})
            for above in (path[:depth] for depth in range(1, len(path)))
        )


class Elsewhere:
    """What ends the waiting: a clock, somebody who answers, events, and jobs that are done."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"elsewhere {world.scenario.seed}")

    def waits(self, name: str, context: ToolContext, amount: int) -> Any:
        """What a tool waits for, and when it comes, if it does."""
        seconds = self._random.choice([0.5, 30.0, 400.0])
        match name:
            case "nap":
                return Sleep(seconds=self._random.choice([1.0, 90.0, 700.0]))
            case "inquire":
                return Question(f"How much is {amount}?", [ANN, BOB], timeout_seconds=1800)
            case "hear":
                if self._random.random() < 0.8:
                    self._later(seconds, partial(self._signal, context, context.path))
                return WaitFor("news", correlation=context.path, timeout_seconds=1200)
            case "job":
                if self._random.random() < 0.8:
                    self._later(seconds, partial(self._complete, context))
                return Job(context.path, timeout_seconds=1200)
            case _:
                return Job(context.path, timeout_seconds=1200, poll_seconds=20)

    def poll(self, handle: Any, context: ToolContext) -> Any:
        """How a polled job stands."""
        self._world.scheduler.point("a job is polled")
        self._world.scheduler.sleep(self._random.choice([0.1, 5.0]))
        assert handle == context.path
        draw = self._random.random()
        if draw < 0.1:
            raise OSError("the other side is down")
        return Pending() if draw < 0.5 else f"polled {context.attempt}"

    def early(self, run_id: str) -> None:
        """An event that nobody may ever wait for, and one that somebody may wait for later."""
        for correlation in ("nobody", "0.0"):
            seconds = self._random.uniform(0, 300)
            work = partial(self._say, run_id, "news", correlation, f"early {correlation}")
            self._later(seconds, work)

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        for _ in range(self._random.choice([1, 1, 2])):
            self._world.scheduler.later(seconds * self._random.uniform(0.5, 1.5), work)

    def _signal(self, context: ToolContext, correlation: str) -> None:
        self._say(context.run_id, "news", correlation, f"news for {correlation}")

    def _say(self, run_id: str, name: str, correlation: str, key: str) -> None:
        def work(process: Process) -> None:
            with suppress(Conflict, NotFound):
                services = self._world.services(process)
                signal = services.inbound.signal(
                    run_id, name, key, correlation=correlation, key=key
                )
                self._world.ledger.signals.append((run_id, signal.event_id))

        self._world.people.insist(f"event {key}", work)

    def _complete(self, context: ToolContext) -> None:
        outcome = Outcome(kind="ok", content=f"done {context.idempotency_key[:6]}")

        def work(process: Process) -> None:
            with suppress(Conflict, NotFound):
                self._world.services(process).inbound.complete(
                    context.run_id, context.path, outcome
                )
                self._world.ledger.completed.append((context.run_id, context.path, outcome))

        self._world.people.insist(f"callback {context.path}", work)


class ModelService:
    """The model service."""

    def __init__(self, world: "World") -> None:
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
        number = len(world.ledger.conversations)
        told = json.dumps(list(request.messages), sort_keys=True)
        world.ledger.conversations.append(told)
        world.scheduler.point("the model has replied")
        return world.scenario.reply(request, number)


class MailService:
    """The mail service: a channel of the outbox."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        del approver
        world = self._world
        world.scheduler.point("a mail is sent")
        if world.rough and world.random.random() < world.faults.request:
            raise Retryable("the mail service is down")
        world.people.mail(notice, address)
        world.scheduler.point("a mail was sent")
