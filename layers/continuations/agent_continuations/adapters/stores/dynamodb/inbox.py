"""The inbox of each approver, beside the notices: one partition for each approver or group."""

from datetime import datetime
from itertools import islice
from time import time
from typing import TYPE_CHECKING

from agent_continuations.adapters.stores.dynamodb.expressions import UpdateExpression
from agent_continuations.adapters.stores.dynamodb.items import FORM, Item, typed
from agent_continuations.adapters.stores.dynamodb.table import Table
from agent_continuations.core.approvals.policy import normalized
from agent_continuations.ports.inbox import InboxEntry

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoDBInbox:
    """Stores inboxes in a table, which deletes an entry some time after its `until`.

    Args:
        dynamodb: the client.
        table: the table's name.
    """

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._table = Table(dynamodb, table)

    def put(self, tenant: str, approver: str, entry: InboxEntry, *, until: datetime) -> None:
        """See `Inbox.put`."""
        key = _key(tenant, approver, entry)
        self._table.put({**key, "f": FORM, "ttl": int(until.timestamp())})

    def list(self, tenant: str, approver: str, limit: int) -> list[InboxEntry]:
        """See `Inbox.list`."""
        items = self._table.query_all(
            KeyConditionExpression="pk = :pk",
            FilterExpression="attribute_not_exists(gone)",
            ExpressionAttributeValues=typed({":pk": _partition(tenant, approver)}),
        )
        return [InboxEntry(*str(item["sk"]).split("#")) for item in islice(items, limit)]

    def drop(self, tenant: str, approver: str, entry: InboxEntry) -> None:
        """See `Inbox.drop`."""
        # The functions behind approval links have no permission to delete, so the entry is marked
        # and left to the table's expiry.
        update = UpdateExpression(
            sets=("gone = :true", "#ttl = :now"), values={":true": True, ":now": int(time())}
        )
        self._table.update(_key(tenant, approver, entry), update)


def _partition(tenant: str, approver: str) -> str:
    return f"A#{tenant}#{normalized(approver)}"


def _key(tenant: str, approver: str, entry: InboxEntry) -> Item:
    return {"pk": _partition(tenant, approver), "sk": f"{entry.run_id}#{entry.request_id}"}
