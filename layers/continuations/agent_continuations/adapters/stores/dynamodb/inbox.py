"""What each approver was asked, in the table beside the runs: one partition for each of them."""

from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any

from agent_continuations.adapters.stores.dynamodb.client import ask
from agent_continuations.adapters.stores.dynamodb.items import FORM, Item, plain, typed
from agent_continuations.core.approvals.policy import person
from agent_continuations.ports.inbox import Asked

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoDBInbox:
    """Keeps inboxes in a table. An entry that nobody looked at is garbage after its time."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def put(self, tenant: str, approver: str, asked: Asked, *, until: datetime) -> None:
        item = {**_key(tenant, approver, asked), "f": FORM, "ttl": int(until.timestamp())}
        ask(self._dynamodb.put_item, TableName=self._table, Item=typed(item))

    def of(self, tenant: str, approver: str, limit: int) -> list[Asked]:
        found: list[Asked] = []
        page: Item = {}
        while True:
            answer: Any = ask(
                self._dynamodb.query,
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                FilterExpression="attribute_not_exists(gone)",
                ExpressionAttributeValues=typed({":pk": _partition(tenant, approver)}),
                **page,
            )
            found += [Asked(*str(item["sk"]).split("#")) for item in map(plain, answer["Items"])]
            if len(found) >= limit or "LastEvaluatedKey" not in answer:
                return found[:limit]
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def drop(self, tenant: str, approver: str, asked: Asked) -> None:
        # Garbage from now on. The functions behind the links can delete nothing, not even this.
        ask(
            self._dynamodb.update_item,
            TableName=self._table,
            Key=typed(_key(tenant, approver, asked)),
            UpdateExpression="SET gone = :true, #ttl = :now",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues=typed({":true": True, ":now": int(time())}),
        )


def _partition(tenant: str, approver: str) -> str:
    return f"A#{tenant}#{person(approver)}"


def _key(tenant: str, approver: str, asked: Asked) -> Item:
    return {"pk": _partition(tenant, approver), "sk": f"{asked.run_id}#{asked.request_id}"}
