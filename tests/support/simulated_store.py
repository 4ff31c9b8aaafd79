"""A store on the simulator's DynamoDB and S3, in this process."""

from typing import Any, NamedTuple

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from tests.simulation.aws import Direct, Requests, SimulatedS3
from tests.simulation.dynamodb import OUTBOX, SimulatedDynamoDB


class SimulatedStore(NamedTuple):
    """A store, and the simulated services below it."""

    store: DynamoDBStore
    dynamodb: SimulatedDynamoDB
    s3: SimulatedS3


def simulated_store(wire: Requests | None = None, *, one_table: bool = False) -> SimulatedStore:
    """A store without runs.

    Args:
        wire: the transport of its requests; None for one without faults.
        one_table: whether the notices are in the table of the runs.
    """
    transport: Any = wire or Direct()
    dynamodb: Any = SimulatedDynamoDB(transport)
    s3: Any = SimulatedS3(transport)
    store = DynamoDBStore(
        dynamodb=dynamodb,
        s3=s3,
        table="table",
        bucket="bucket",
        outbox_table=None if one_table else OUTBOX,
    )
    return SimulatedStore(store, dynamodb, s3)
