"""What each approver was asked, in the table beside the runs: one partition for each of them."""

from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any

from agent_continuations.adapters.stores.dynamodb.client import call
from agent_continuations.adapters.stores.dynamodb.items import FORM, Item, plain, typed
from agent_continuations.core.approvals.policy import normalized
from agent_continuations.ports.inbox import InboxEntry

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoDBInbox:
    """Keeps inboxes in a table. An entry that nobody looked at is garbage after its time."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def put(self, tenant: str, approver: str, asked: InboxEntry, *, until: datetime) -> None:
        item = {**_key(tenant, approver, asked), "f": FORM, "ttl": int(until.timestamp())}
        call(self._dynamodb.put_item, TableName=self._table, Item=typed(item))

    def list(self, tenant: str, approver: str, limit: int) -> list[InboxEntry]:
        found: list[InboxEntry] = []
        page: Item = {}
        while True:
            answer: Any = call(
                self._dynamodb.query,
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                FilterExpression="attribute_not_exists(gone)",
                ExpressionAttributeValues=typed({":pk": _partition(tenant, approver)}),
                **page,
            )
            found += [
                InboxEntry(*str(item["sk"]).split("#")) for item in map(plain, answer["Items"])
            ]
            if len(found) >= limit or "LastEvaluatedKey" not in answer:
                return found[:limit]
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def drop(self, tenant: str, approver: str, asked: InboxEntry) -> None:
        # Garbage from now on. The functions behind the links can delete nothing, not even this.
        call(
            self._dynamodb.update_item,
            TableName=self._table,
            Key=typed(_key(tenant, approver, asked)),
            UpdateExpression="SET gone = :true, #ttl = :now",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues=typed({":true": True, ":now": int(time())}),
        )


def _partition(tenant: str, approver: str) -> str:
    return f"A#{tenant}#{normalized(approver)}"


def _key(tenant: str, approver: str, asked: InboxEntry) -> Item:
    return {"pk": _partition(tenant, approver), "sk": f"{asked.run_id}#{asked.request_id}"}
