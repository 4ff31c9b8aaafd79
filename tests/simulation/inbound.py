"""What other systems report: accepted without a write, sent to a queue, and stored by a function.

I1 a message that was accepted is stored or refused in the end, and refused with a reason.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from agent_continuations.adapters.queues.sqs import SqsInboundQueue
from agent_continuations.auth.callback_tokens import CallbackTokens, OutcomeTokens
from agent_continuations.auth.event_signatures import EventSignatures
from agent_continuations.core.outcome import Outcome
from agent_continuations.errors import Conflict, NotFound, Retryable
from agent_continuations.handlers.inbound_messages import InboundReceiver
from agent_continuations.ports.inbound_queue import (
    CallbackMessage,
    EventMessage,
    InboundMessage,
    OutcomeMessage,
    message_text,
    parsed_message,
)
from agent_continuations.services.inbound_checks import inbound_id
from tests.simulation.refusals import note_refusal
from tests.simulation.scheduler import Process

if TYPE_CHECKING:
    from tests.simulation.world import World

KEYS = ["k" * 32]
QUEUE = "inbound"
MAX_RECEIVES = 480
VISIBILITY_SECONDS = 180.0


class Inbound:
    """The functions that accept outcomes and events, and the one that stores them."""

    def __init__(self, world: "World") -> None:
        self._accepted: set[str] = set()
        self._done: set[str] = set()
        self._world = world
        self._callbacks = CallbackTokens(KEYS)
        self._outcomes = OutcomeTokens(KEYS)
        self._events = EventSignatures(KEYS)

    def complete(self, process: Process, run_id: str, path: str, outcome: Outcome) -> None:
        """Report the outcome of a job, as its system does."""
        inbound = self._world.services(process).inbound
        try:
            stored = inbound.check_complete(run_id, path, outcome)
        except (Conflict, NotFound) as error:
            note_refusal(self._world, run_id, error, path)
            return
        if stored:
            self._world.ground_truth.completed.append((run_id, path, outcome))
        else:
            token = self._callbacks.token(run_id, path)
            self._send(CallbackMessage(token=token, outcome=outcome))

    def signal(self, process: Process, run_id: str, name: str, correlation: str, key: str) -> None:
        """Send an event to a run, as the bus does."""
        inbound = self._world.services(process).inbound
        try:
            stored = inbound.check_signal(run_id, name, key, correlation=correlation, key=key)
        except Retryable:
            stored = False  # it is accepted all the same
        except (Conflict, NotFound) as error:
            note_refusal(self._world, run_id, error)
            return
        if stored:
            self._world.ground_truth.signals.append((run_id, inbound_id(key)))
            return
        event = EventMessage(
            run_id=run_id,
            name=name,
            payload=key,
            correlation=correlation,
            key=key,
            at=process.clock(),
        )
        self._send(self._events.signed(event))

    def outcome_token(self, run_id: str, path: str, attempt: int) -> str:
        """Made by the engine for the host of an attempt."""
        return self._outcomes.token(run_id, path, attempt)

    def report(self, message: OutcomeMessage) -> None:
        """Report an outcome, as a tool host does: if the queue does not answer, it gives up."""
        with suppress(Retryable):
            self._send(message)

    def _send(self, message: InboundMessage) -> None:
        SqsInboundQueue(self._world.sqs, QUEUE).send(message)
        self._accepted.add(message_text(message))

    @property
    def is_empty(self) -> bool:
        """Whether each accepted message was stored or refused."""
        return self._accepted <= self._done

    def broken_promises(self) -> Iterator[str]:
        """Each accepted message that was neither stored nor refused."""
        for text in sorted(self._accepted - self._done):
            yield f"I1: neither stored nor refused: {text}"

    def receive(self, process: Process, text: str) -> None:
        """Store what a message brings, in the function behind the queue."""
        world = self._world
        receipt = InboundReceiver(
            world.services(process).inbound,
            callbacks=lambda: self._callbacks,
            outcomes=lambda: self._outcomes,
            events=lambda: self._events,
        ).receive(text)
        run_id, message = receipt.run_id or "", parsed_message(text)
        if receipt.fate == "stored":
            self._note(message, run_id, receipt.path or "")
        elif isinstance(receipt.error, Conflict | NotFound) and receipt.fate == "refused":
            note_refusal(world, run_id, receipt.error, receipt.path)
        else:
            world.ground_truth.refusals.append(f"I1: {receipt.fate}: {receipt.error}")
        self._done.add(text)

    def _note(self, message: InboundMessage, run_id: str, path: str) -> None:
        truth = self._world.ground_truth
        if isinstance(message, EventMessage):
            truth.signals.append((run_id, inbound_id(message.key)))
        else:
            truth.completed.append((run_id, path, message.outcome))
