"""An hour without one or two operations of AWS, in the middle of a run: it goes on by itself."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import combinations
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from agent_continuations import Approval, call, say, tool
from agent_continuations.adapters.stores.dynamodb import client
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.run import Status
from agent_continuations.engine.sweeper import sweep
from agent_continuations.errors import Retryable
from tests.simulation.aws import Direct
from tests.support.engine_harness import Harness
from tests.support.simulated_store import simulated_store

Answer = TypeVar("Answer")
READS = ("GetItem", "Query", "GetObject")
WRITES = ("PutItem", "UpdateItem", "TransactWriteItems", "PutObject")
OPERATIONS = (*READS, *WRITES)


class Outage(Direct):
    """A transport on which some operations fail."""

    def __init__(self, error: Callable[[str], Exception]) -> None:
        super().__init__()
        self.down: tuple[str, ...] = ()
        self._error = error

    def send(self, operation: str, apply: Callable[[], Answer]) -> Answer:
        if operation in self.down:
            raise self._error(operation)
        return super().send(operation, apply)


def denied(operation: str) -> Exception:
    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, operation)


def throttled(operation: str) -> Exception:
    if operation == "TransactWriteItems":
        reasons = [{"Code": "None"}, {"Code": "ThrottlingError"}]
        response: Any = {
            "Error": {"Code": "TransactionCanceledException", "Message": ""},
            "CancellationReasons": reasons,
        }
        return ClientError(response, operation)
    return ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, operation)


def silent(operation: str) -> Exception:
    return ConnectTimeoutError(endpoint_url=operation)


class Place(Harness):
    """A run that was approved, has large values, and is advanced by wake-ups and the sweeper."""

    def __init__(self, error: Callable[[str], Exception]) -> None:
        self.paid = 0

        @tool(effect="read")
        def large() -> str:
            """Give much."""
            return random.Random(1).randbytes(60_000).hex()

        @tool(effect="once", approval=Approval(["x@example.com"]))
        def pay() -> str:
            """Pay."""
            self.paid += 1
            return random.Random(2).randbytes(60_000).hex()

        self.wire: Any = Outage(error)
        store: Any = simulated_store(self.wire).store
        super().__init__(
            large, pay, script=[call("large"), call("pay"), call("large"), say("done")], store=store
        )
        self.run_id = self.start()
        self.minute()
        self.decide(self.run_id, Verdict.APPROVE)

    def minute(self) -> None:
        """A minute, in which all due work is tried once."""
        with suppress(Retryable):
            sweep(self.store, self.queue, self.now)
        worker = self.worker(pause=lambda seconds: self.later(seconds=seconds))
        with suppress(Retryable):
            worker.advance(self.run_id, deadline=self.now + timedelta(minutes=15))
        self.later(minutes=1)


@pytest.mark.parametrize("error", [denied, throttled, silent])
@pytest.mark.parametrize(
    "down",
    [*((each,) for each in OPERATIONS), READS, WRITES, OPERATIONS],
    ids=" ".join,
)
def test_a_run_survives_an_hour_without_some_operations(
    down: tuple[str, ...], error: Callable[[str], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    survive(down, error, monkeypatch)


@pytest.mark.parametrize("down", list(combinations(OPERATIONS, 2)), ids=" ".join)
def test_a_run_survives_an_hour_without_two_operations(
    down: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    survive(down, throttled, monkeypatch)


def survive(
    down: tuple[str, ...], error: Callable[[str], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "sleep", lambda _seconds: None)
    place = Place(error)
    place.wire.down = down
    start = place.now
    while place.now < start + timedelta(hours=1):
        place.minute()
    place.wire.down = ()
    for _ in range(25):
        place.minute()
    loaded = place.loaded(place.run_id)
    assert loaded.head.stalls == 0
    asked = [each.kind for each in place.waiting(place.run_id)]
    if asked == ["doubt"]:
        # The process ended before it could store that the payment was made.
        assert {"PutItem", "PutObject", "Query"} & {*down}
        place.decide(place.run_id, Verdict.APPROVE)
        place.minute()
    head = place.store.head(place.run_id)
    assert head
    assert head.status is Status.COMPLETED
    assert place.paid == 1


def test_the_run_says_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "sleep", lambda _seconds: None)
    place = Place(throttled)
    place.wire.down = ("GetObject",)
    place.minute()
    head = place.store.head(place.run_id)
    assert head
    assert (head.status, head.stalls) == (Status.READY, 0)
    assert "GetObject" in (head.note or "")
