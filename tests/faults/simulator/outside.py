"""What a run reaches besides its store: the model service, the mail service, what tools change."""

import json
from typing import TYPE_CHECKING

from agent_continuations.core.continuation import Reply
from agent_continuations.core.path import parse_path
from agent_continuations.errors import ModelRefused, ModelUnavailable, Retryable
from agent_continuations.ports import ModelRequest, Notice
from agent_continuations.signature import ToolContext
from tests.faults.agreement import agreed_to
from tests.faults.simulator.ledger import Execution
from tests.faults.simulator.scenario import LARGE

if TYPE_CHECKING:
    from tests.faults.simulator.world import World


class Tools:
    """What every tool does: it takes its time, and is noted where it happens."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def tool(self, name: str, context: ToolContext, amount: int) -> str:
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
