"""External services of a run: the model service, the e-mail service, and the effects of tools."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from agent_continuations import Job, Pending, Question, Sleep, WaitFor
from agent_continuations.authoring.context import ToolContext
from agent_continuations.core.notice import Notice
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import parse_path
from agent_continuations.core.replies import Reply
from agent_continuations.errors import ModelRefused, ModelUnavailable, Retryable
from agent_continuations.notifications.routes import Recipient
from agent_continuations.ports.model import ModelRequest
from tests.crash.approval_oracle import was_approved
from tests.simulation.ground_truth import Execution, ReturnedTool
from tests.simulation.scenario import ANN, BOB, LARGE, WAITING
from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class Tools:
    """The body of every tool: it takes time, and its effect is recorded as ground truth."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def tool(self, name: str, context: ToolContext, amount: int) -> Any:
        world = self._world
        scheduler = world.scheduler
        scheduler.point(f"{name} begins")
        scheduler.sleep(world.random.choice([0.1, 1.0, 5.0, 5.0, 90.0, 400.0]))
        approved = self._is_approved(name, context, amount)
        world.ground_truth.executions.append(
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
        world.ground_truth.returned.append(
            ReturnedTool(
                context.run_id, context.path, context.attempt, scheduler.process, scheduler.now
            )
        )
        if amount == 13:
            raise ValueError("unlucky")
        if name.endswith("_large"):
            return world.random.randbytes(LARGE).hex()
        if name in WAITING:
            return world.external.start_wait(name, context, amount)
        return f"{name} {len(world.ground_truth.executions)}"

    def _is_approved(self, name: str, context: ToolContext, amount: int) -> bool:
        """Whether this call and all agents above it are approved, according to the table."""
        path = parse_path(context.path)
        if len(path) == 1 and not name.endswith("_gated"):
            return True  # no approval is needed; skip the costly load
        loaded = self._world.stored_run(context.run_id)
        assert loaded
        return was_approved(loaded, path, {"amount": amount}) and all(
            was_approved(loaded, above, {"input": loaded.continuation.frame_at(above).input})
            for above in (path[:depth] for depth in range(1, len(path)))
        )


class ExternalSystems:
    """The systems that end waits: events that arrive, and jobs that complete."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._random = Random(f"elsewhere {world.scenario.seed}")
        self._late = Random(f"late {world.scenario.seed}")

    def start_wait(self, name: str, context: ToolContext, amount: int) -> Any:
        """The wait that a tool returns; its end is scheduled, or never comes."""
        seconds = self._random.choice([0.5, 30.0, 400.0])
        match name:
            case "nap":
                return Sleep(seconds=self._random.choice([1.0, 90.0, 700.0]))
            case "inquire":
                return Question(f"How much is {amount}?", [ANN, BOB], timeout_seconds=1800)
            case "hear":
                if self._random.random() < 0.8:
                    self._schedule(seconds, partial(self._signal_call, context, context.path))
                timeout = self._late.choice([80, 1200, 1200])
                if self._late.random() < 0.5:
                    at = timeout + self._late.uniform(-40, 5)
                    work = partial(self._signal_call, context, context.path, "late news")
                    self._world.scheduler.later(at, work)
                return WaitFor("news", correlation=context.path, timeout_seconds=timeout)
            case "job":
                if self._random.random() < 0.8:
                    self._schedule(seconds, partial(self._complete, context))
                return Job(context.path, timeout_seconds=1200)
            case _:
                return Job(context.path, timeout_seconds=1200, poll_seconds=20)

    def poll(self, handle: Any, context: ToolContext) -> Any:
        """The state of a polled job."""
        self._world.scheduler.point("a job is polled")
        self._world.scheduler.sleep(self._random.choice([0.1, 5.0]))
        assert handle == context.path
        draw = self._random.random()
        if draw < 0.1:
            raise OSError("the other side is down")
        return Pending() if draw < 0.5 else f"polled {context.attempt}"

    def send_early_events(self, run_id: str) -> None:
        """Send an event that no call waits for, and one that a call may wait for later."""
        for correlation in ("nobody", "0.0"):
            seconds = self._random.uniform(0, 300)
            work = partial(self._send_signal, run_id, "news", correlation, f"early {correlation}")
            self._schedule(seconds, work)

    def _schedule(self, seconds: float, work: Callable[[], None]) -> None:
        for _ in range(self._random.choice([1, 1, 2])):
            self._world.scheduler.later(seconds * self._random.uniform(0.5, 1.5), work)

    def _signal_call(self, context: ToolContext, correlation: str, what: str = "news") -> None:
        self._send_signal(context.run_id, "news", correlation, f"{what} for {correlation}")

    def _send_signal(self, run_id: str, name: str, correlation: str, key: str) -> None:
        def work(process: Process) -> None:
            self._world.inbound.signal(process, run_id, name, correlation, key)

        self._world.users.retry_until_answered(f"event {key}", work)

    def _complete(self, context: ToolContext) -> None:
        outcome = Outcome(kind="ok", content=f"done {context.idempotency_key[:6]}")

        def work(process: Process) -> None:
            self._world.inbound.complete(process, context.run_id, context.path, outcome)

        self._world.users.retry_until_answered(f"callback {context.path}", work)


class ModelService:
    """The model service."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def reply(self, request: ModelRequest) -> Reply:
        world = self._world
        turn = sum(message["role"] == "assistant" for message in request.messages)
        world.ground_truth.model_calls[request.path, turn] += 1
        world.scheduler.point("the model is asked")
        world.scheduler.sleep(world.random.choice([0.5, 3.0, 20.0]))
        if world.transport.outage("key"):
            raise ModelRefused("the key is not valid")
        if world.transport.outage("model"):
            raise ModelUnavailable("the model service is down")
        if world.faults_active and world.random.random() < world.faults.model:
            if world.random.random() < 0.1:
                raise ModelRefused("the key has expired")
            raise ModelUnavailable("busy", world.random.choice([None, 10.0, 200.0]))
        number = len(world.ground_truth.transcripts)
        transcript = json.dumps(list(request.messages), sort_keys=True)
        world.ground_truth.transcripts.append(transcript)
        world.scheduler.point("the model has replied")
        return world.scenario.reply(request, number)


def by_mail(approvers: Sequence[str]) -> list[Recipient]:
    """The routes of every world: an approver's name is their address."""
    return [Recipient("mail", each, each) for each in approvers]


class MailService:
    """The e-mail service: a channel of the outbox."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        del approver
        world = self._world
        world.scheduler.point("a mail is sent")
        down = world.transport.outage("mail")
        if down or (world.faults_active and world.random.random() < world.faults.request):
            raise Retryable("the mail service is down")
        world.users.receive_mail(notice, address)
        world.scheduler.point("a mail was sent")
