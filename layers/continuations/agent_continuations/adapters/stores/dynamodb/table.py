"""One table: requests to it, and the writes of a transaction."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from agent_continuations.adapters.stores.dynamodb.client import Cancelled, call
from agent_continuations.adapters.stores.dynamodb.expressions import UpdateExpression
from agent_continuations.adapters.stores.dynamodb.items import (
    FORM,
    Item,
    item_bytes,
    plain,
    typed,
)
from agent_continuations.errors import Fatal
from agent_continuations.ports.limits import MAX_ITEMS_AT_ONCE, MAX_TRANSACTION_BYTES

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

# One write of a transaction, in the form that DynamoDB expects.
Write: TypeAlias = dict[str, Any]

NEW = "attribute_not_exists(pk)"


class Table:
    """A DynamoDB table with the keys `pk` and `sk`. Items go in and come out as plain values.

    All methods may raise `Retryable`.

    Args:
        dynamodb: the client.
        name: the table's name.
        form: the newest form of items that is read and written.
    """

    def __init__(self, dynamodb: "DynamoDBClient", name: str, form: int = FORM) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self.form = form

    def get(self, key: Item) -> Item | None:
        """An item, read consistently."""
        response = call(
            self._dynamodb.get_item, TableName=self._name, Key=typed(key), ConsistentRead=True
        )
        return plain(response["Item"]) if "Item" in response else None

    def get_batch(self, keys: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        """Up to 100 items, possibly stale, and the keys of those that must be read again."""
        wanted = {self._name: {"Keys": [typed(each) for each in keys]}}
        response = call(self._dynamodb.batch_get_item, RequestItems=wanted)
        unread = response.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
        found = response["Responses"].get(self._name, [])
        return [plain(each) for each in found], [plain(each) for each in unread]

    def put(self, item: Item) -> None:
        """Store an item, in place of an earlier one."""
        call(self._dynamodb.put_item, TableName=self._name, Item=typed(item))

    def put_new(self, item: Item) -> None:
        """Store an item that must not exist yet.

        Raises:
            ConditionFailed: the item exists.
        """
        call(self._dynamodb.put_item, **self.put_write(item)["Put"])

    def put_if(self, item: Item, condition: UpdateExpression) -> None:
        """Store an item, in place of an earlier one, if the condition holds.

        Raises:
            ConditionFailed: it does not hold; the error carries the stored item.
        """
        put = self.put_write(item)["Put"]
        call(self._dynamodb.put_item, **{**put, **condition.render()})

    def update(self, key: Item, update: UpdateExpression, *, return_stored: bool = False) -> Item:
        """Update an item. Returns the updated item.

        Args:
            return_stored: whether `ConditionFailed` carries the stored item.

        Raises:
            ConditionFailed: the conditions do not hold.
        """
        more = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if return_stored else {}
        response = call(
            self._dynamodb.update_item,
            TableName=self._name,
            Key=typed(key),
            ReturnValues="ALL_NEW",
            **update.render(),
            **more,
        )
        return plain(response["Attributes"])

    def query(self, partition: str, low: str, high: str) -> Iterator[Item]:
        """The items of a partition from sort key `low` to `high`, each page read consistently."""
        return self.query_all(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
            ExpressionAttributeValues=typed({":pk": partition, ":low": low, ":high": high}),
            ConsistentRead=True,
        )

    def query_all(self, **query: Any) -> Iterator[Item]:
        """All items of a query; the next page is read only when its first item is taken."""
        page: Item = {}
        while True:
            response = call(self._dynamodb.query, TableName=self._name, **query, **page)
            yield from map(plain, response["Items"])
            if "LastEvaluatedKey" not in response:
                return
            page = {"ExclusiveStartKey": response["LastEvaluatedKey"]}

    def query_page(self, **query: Any) -> list[Item]:
        """The items of a query's first page."""
        response = call(self._dynamodb.query, TableName=self._name, **query)
        return [plain(each) for each in response["Items"]]

    def put_write(self, item: Item) -> Write:
        """The write of an item that must not exist yet."""
        condition = {
            "ConditionExpression": NEW,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return {"Put": {**self.replace_write(item)["Put"], **condition}}

    def replace_write(self, item: Item) -> Write:
        """The write of an item, in place of an earlier one."""
        return {"Put": {"TableName": self._name, "Item": typed(item)}}

    def update_write(
        self, key: Item, update: UpdateExpression, *, return_stored: bool = False
    ) -> Write:
        """The write of an update; with `return_stored`, its refusal carries the stored item."""
        more = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if return_stored else {}
        return {"Update": {"TableName": self._name, "Key": typed(key), **update.render(), **more}}

    def transact(self, writes: Sequence[Write], *, token: str) -> list[Item | None] | None:
        """Make all writes or none.

        Args:
            writes: at most 100.
            token: the same for the same writes, so that a repeated request changes nothing.

        Returns:
            None if written; otherwise, for each write, the stored item that made its condition
            fail, or None.

        Raises:
            Fatal: DynamoDB takes no transaction of that many items or bytes.
        """
        _check_size(writes)
        try:
            call(
                self._dynamodb.transact_write_items,
                TransactItems=list(writes),
                ClientRequestToken=token,
            )
        except Cancelled as cancelled:
            return cancelled.items
        return None


def _check_size(writes: Sequence[Write]) -> None:
    """Check a transaction against DynamoDB's limits, in the one place that each passes."""
    size = sum(item_bytes(each["Put"]["Item"]) for each in writes if "Put" in each)
    if len(writes) > MAX_ITEMS_AT_ONCE or size > MAX_TRANSACTION_BYTES:
        raise Fatal(
            f"a write of {len(writes)} items and {size} bytes; {MAX_ITEMS_AT_ONCE} items and"
            f" {MAX_TRANSACTION_BYTES} bytes are possible"
        )
