"""The stores that the contract suite runs on: in memory, and on three implementations of DynamoDB:
the simulator's, with one table and with two, MiniStack, and DynamoDB Local by AWS.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.ports.store import Store
from tests.local import dynamodb_local
from tests.local.ministack import MiniStack, client
from tests.local.template import create_table
from tests.support.simulated_store import simulated_store

CACHE = Path(__file__).parents[2] / ".cache"


@pytest.fixture(scope="session")
def ministack() -> Iterator[str]:
    with MiniStack.throwaway() as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb_local_url() -> Iterator[str]:
    try:
        with dynamodb_local.running(CACHE) as url:
            yield url
    except dynamodb_local.Unavailable as reason:
        pytest.skip(f"DynamoDB Local is not available: {reason}")


@pytest.fixture(params=["memory", "simulated", "one-table", "ministack", "dynamodb-local"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return InMemoryStore()
    if request.param == "simulated":
        return simulated_store().store
    if request.param == "one-table":
        return simulated_store(one_table=True).store
    objects = client("s3", request.getfixturevalue("ministack"))
    if request.param == "ministack":
        endpoint = request.getfixturevalue("ministack")
    else:
        endpoint = request.getfixturevalue("dynamodb_local_url")
    dynamodb = client("dynamodb", endpoint)
    table = create_table(dynamodb)
    objects.create_bucket(Bucket=table)
    outbox = create_table(dynamodb, "OutboxTable")
    return DynamoDBStore(
        dynamodb=dynamodb, s3=objects, table=table, bucket=table, outbox_table=outbox
    )
