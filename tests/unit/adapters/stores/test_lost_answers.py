"""Writes to DynamoDB whose answer was lost: the client repeats them, and finds its own write."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

import pytest

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.core.run import RunHead, Status
from agent_continuations.errors import Fenced
from tests.contract.test_store import (
    NOW,
    at,
    claimed,
    intent,
    new_head,
    release,
    returned,
    start,
)
from tests.simulation.aws import Direct, SimulatedS3
from tests.simulation.dynamodb import SimulatedDynamoDB
from tests.simulation.dynamodb.transactions import ClientTokens

T = TypeVar("T")


class Repeating(Direct):
    """A transport that makes the next write twice, if it is told so.

    The repetition comes after the time in which DynamoDB recognizes a transaction's token.
    """

    repeats_next = False
    table: SimulatedDynamoDB

    def send(self, operation: str, apply: Callable[[], T]) -> T:
        answer = super().send(operation, apply)
        if self.repeats_next and operation in ("UpdateItem", "PutItem", "TransactWriteItems"):
            self.repeats_next = False
            self.table._tokens = ClientTokens(self)
            return super().send(operation, apply)
        return answer


@pytest.fixture
def wire() -> Repeating:
    return Repeating()


@pytest.fixture
def store(wire: Repeating) -> DynamoDBStore:
    wire.table = SimulatedDynamoDB(cast(Any, wire))
    bucket = SimulatedS3(cast(Any, wire))
    return DynamoDBStore(
        dynamodb=cast(Any, wire.table), s3=cast(Any, bucket), table="t", bucket="b"
    )


@pytest.fixture
def run(store: DynamoDBStore) -> RunHead:
    return store.create(new_head(), start())


def test_a_claim_holds_although_its_answer_was_lost(
    store: DynamoDBStore, wire: Repeating, run: RunHead
) -> None:
    wire.repeats_next = True
    mine = claimed(store, run)
    assert store.renew(run.run_id, epoch=mine.epoch, lease_until=at(200)).owner == "me"


def test_intents_are_recorded_although_the_answer_was_lost(
    store: DynamoDBStore, wire: Repeating, run: RunHead
) -> None:
    mine = claimed(store, run)
    wire.repeats_next = True
    intents = {"0.0": intent(), "0.1": intent()}
    head = store.record_intents(run.run_id, epoch=mine.epoch, intents=intents, settled=[])
    assert head.intents == intents
    other = intent().model_copy(update={"started_at": NOW - timedelta(seconds=1)})
    with pytest.raises(Fenced):
        store.record_intents(run.run_id, epoch=mine.epoch, intents={"0.0": other}, settled=[])


def test_a_run_is_released_although_the_answer_was_lost(
    store: DynamoDBStore, wire: Repeating, run: RunHead
) -> None:
    mine = claimed(store, run)
    wire.repeats_next = True
    assert store.commit(run.run_id, epoch=mine.epoch, release=release(mine), now=NOW)
    head = store.head(run.run_id)
    assert head
    assert (head.status, head.owner) == (Status.SUSPENDED, None)


def test_an_external_entry_is_the_first_although_its_answer_was_lost(
    store: DynamoDBStore, wire: Repeating, run: RunHead
) -> None:
    mine = claimed(store, run)
    assert store.commit(run.run_id, epoch=mine.epoch, release=release(mine), now=NOW)
    wire.repeats_next = True
    assert store.append_external(run.run_id, [returned("0.0")], now=at(1)) is None
    head = store.head(run.run_id)
    assert head
    assert head.wake == 1
