"""Ended sessions, beside the runs: an item for each, which the table deletes in the end."""

from datetime import datetime
from typing import TYPE_CHECKING

from agent_continuations.adapters.stores.dynamodb.items import FORM, typed
from agent_continuations.adapters.stores.dynamodb.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoDBEndedSessions:
    """Stores ended sessions in a table.

    Args:
        dynamodb: the client.
        table: the table's name.
    """

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._table = Table(dynamodb, table)

    def end(self, session: str, *, until: datetime) -> None:
        """See `EndedSessions.end`."""
        item = {"pk": _partition(session), "sk": "ended", "f": FORM}
        self._table.put({**item, "ttl": int(until.timestamp())})

    def has_ended(self, session: str) -> bool:
        """See `EndedSessions.has_ended`."""
        # A query, because the functions of the pages may query their tables anyway.
        found = self._table.query_all(
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=typed({":pk": _partition(session)}),
        )
        return any(True for _ in found)


def _partition(session: str) -> str:
    return f"S#{session}"
