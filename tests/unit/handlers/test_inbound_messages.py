"""The receiver of inbound messages: each is stored, refused, or not taken at its word."""

from datetime import timedelta

import pytest

from agent_continuations import Job, WaitFor, call, say, tool
from agent_continuations.auth.callback_tokens import CallbackTokens, OutcomeTokens
from agent_continuations.auth.event_signatures import EventSignatures
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.run import Status
from agent_continuations.handlers.inbound_messages import InboundReceiver, Receipt
from agent_continuations.ports.inbound_queue import (
    CallbackMessage,
    EventMessage,
    InboundMessage,
    OutcomeMessage,
    message_text,
)
from tests.support.engine_harness import NOW, Harness

KEYS, OTHER = ["k" * 32], ["o" * 32]
DONE = Outcome(kind="ok", content="12 rows")


@tool
def export() -> Job:
    """Export."""
    return Job("j", timeout_seconds=3600)


@tool
def wait_paid() -> WaitFor:
    """Wait."""
    return WaitFor("paid", timeout_seconds=60)


@tool
def launch() -> str:
    """Launch."""
    raise KeyboardInterrupt


class Desk(Harness):
    """A run of one call, and the receiver."""

    def __init__(self, name: str) -> None:
        super().__init__(export, wait_paid, launch, script=[call(name), say("ok")])
        self.run_id = self.start()
        if name == "launch":
            with pytest.raises(KeyboardInterrupt):
                self.worker().advance(self.run_id)
            self.later(hours=1)
        else:
            self.worker().advance(self.run_id)

    def receive(self, message: InboundMessage) -> Receipt:
        receiver = InboundReceiver(
            self.services.inbound,
            callbacks=lambda: CallbackTokens(KEYS),
            outcomes=lambda: OutcomeTokens(KEYS),
            events=lambda: EventSignatures(KEYS),
        )
        return receiver.receive(message_text(message))

    def result(self) -> str:
        assert self.worker().advance(self.run_id) is Status.COMPLETED
        return str(self.model.requests[-1].messages[-1]["content"])


def test_an_outcome_of_a_job_is_stored() -> None:
    desk = Desk("export")
    token = CallbackTokens(KEYS).token(desk.run_id, "0.0")
    stored = Receipt(fate="stored", kind="callback", run_id=desk.run_id, path="0.0")
    for _ in range(2):
        assert desk.receive(CallbackMessage(token=token, outcome=DONE)) == stored
    other = desk.receive(CallbackMessage(token=token, outcome=Outcome(kind="error", content="no")))
    assert (other.fate, str(other.error)) == (
        "refused",
        "the outcome of this call is already known",
    )
    assert desk.result() == DONE.content


def test_a_late_outcome_is_stored() -> None:
    desk = Desk("launch")
    token = OutcomeTokens(KEYS).token(desk.run_id, "0.0", 1)
    stored = Receipt(fate="stored", kind="outcome", run_id=desk.run_id, path="0.0")
    assert desk.receive(OutcomeMessage(token=token, outcome=DONE)) == stored
    assert desk.result() == DONE.content


def test_an_event_is_stored_and_counts_from_its_time() -> None:
    desk = Desk("wait_paid")
    event = EventMessage(
        run_id=desk.run_id, name="paid", payload=5, key="k", at=NOW + timedelta(seconds=50)
    )
    desk.later(seconds=90)
    stored = Receipt(fate="stored", kind="event", run_id=desk.run_id)
    for _ in range(2):
        assert desk.receive(EventSignatures(KEYS).signed(event)) == stored
    assert len(desk.loaded(desk.run_id).continuation.signals) == 1
    assert desk.result() == "5"


@pytest.mark.parametrize("name", ["export", "launch"])
def test_a_message_that_proves_nothing_stores_nothing(name: str) -> None:
    desk = Desk(name)
    before = desk.loaded(desk.run_id)
    event = EventMessage(run_id=desk.run_id, name="paid", key="k", at=NOW)
    forged: list[InboundMessage] = [
        CallbackMessage(token=CallbackTokens(OTHER).token(desk.run_id, "0.0"), outcome=DONE),
        CallbackMessage(token=OutcomeTokens(KEYS).token(desk.run_id, "0.0", 1), outcome=DONE),
        OutcomeMessage(token=OutcomeTokens(OTHER).token(desk.run_id, "0.0", 1), outcome=DONE),
        OutcomeMessage(token=CallbackTokens(KEYS).token(desk.run_id, "0.0"), outcome=DONE),
        EventSignatures(OTHER).signed(event),
        event,
    ]
    for message in forged:
        receipt = desk.receive(message)
        assert (receipt.fate, receipt.run_id, receipt.path) == ("unverified", None, None)
    assert desk.loaded(desk.run_id) == before
