"""What wrong requests and requests at a limit have in common."""

from collections.abc import Mapping
from typing import Any

from tests.contract.dynamodb_requests.expressions import Typed
from tests.contract.dynamodb_requests.valid import Parameters, Request, ValidRequests


class RequestParts:
    """Makes requests of given parts, mostly on one item.

    Args:
        valid: makes the other parts, on the same keys and with the same chance.
    """

    def __init__(self, valid: ValidRequests) -> None:
        self.random = valid.random
        self.valid = valid
        self.key = valid.key(0)

    def transaction(self, writes: list[Parameters], **more: Any) -> Request:
        parameters = {"TransactItems": writes, "ClientRequestToken": self.valid.token(), **more}
        return Request("transact_write_items", parameters)

    def update(
        self,
        update: str | None,
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Request:
        given = {
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        parameters = {name: each for name, each in given.items() if each is not None}
        key = {"TableName": self.valid.table, "Key": self.key}
        return Request("update_item", {**key, **parameters, **more})

    def put(self, item: Mapping[str, Typed], **more: Any) -> Request:
        return Request("put_item", {"TableName": self.valid.table, "Item": item, **more})
