"""A DynamoDB client in memory, with the semantics that the store relies on."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.simulation.aws import Requests
from tests.simulation.dynamodb.conditions import compiled_condition
from tests.simulation.dynamodb.indexes import INDEXES, LaggingIndexes, check_index_keys
from tests.simulation.dynamodb.queries import Query
from tests.simulation.dynamodb.reader import Place
from tests.simulation.dynamodb.requests import check_batch, check_get, check_query, check_write
from tests.simulation.dynamodb.transactions import (
    MAX_TRANSACTION_BYTES,
    ClientTokens,
    check_transaction,
)
from tests.simulation.dynamodb.updates import compiled_update
from tests.simulation.dynamodb.values import (
    MAX_ITEM_BYTES,
    Item,
    Key,
    Refused,
    checked_key,
    item_bytes,
    key_of,
)

OUTBOX = "outbox"
Watcher = Callable[[Item | None, Item], None]


class ConditionFailed(Exception):
    """A condition failed; `item` is the stored item, if the request asked for it."""

    def __init__(self, item: Item | None) -> None:
        self.item = item


class Table:
    """The items of a table, by partition and sort key, and its indexes."""

    def __init__(self, requests: Requests, indexes: Collection[str]) -> None:
        self.items: dict[str, dict[str, Item]] = {}
        self.indexes = LaggingIndexes(requests, indexes)

    def item(self, key: Key) -> Item | None:
        """The item of a key."""
        return self.items.get(key[0], {}).get(key[1])


@dataclass(frozen=True, slots=True)
class _Write:
    """A write whose condition holds: its table, the item after it, and its size."""

    table: Table
    item: Item
    size: int


class SimulatedDynamoDB:
    """The two tables of the template, for any number of clients.

    Attributes:
        items: the items of the table of runs, which has any name.
        outbox: the items of the table of notices.

    Args:
        requests: the transport, with its faults and delays.
        watch: called after each write with the item before and after it.
        outbox: the name of the table of notices.
    """

    def __init__(
        self,
        requests: Requests,
        watch: Watcher = lambda _before, _after: None,
        outbox: str = OUTBOX,
    ) -> None:
        self._runs, self._outbox = Table(requests, INDEXES), Table(requests, ["due"])
        self.items, self.outbox = self._runs.items, self._outbox.items
        self._outbox_name = outbox
        self._requests = requests
        self._watch = watch
        self._tokens = ClientTokens(requests)

    # -- the client's operations -----------------------------------------------------------------

    def get_item(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            check_get(request)
            item = self._table(request).item(key_of(request["Key"]))
            return {"Item": item} if item else {}

        return self._send("GetItem", apply)

    def put_item(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            check_write("Put", request)
            self._store(self._put(request))
            return {}

        return self._send("PutItem", apply)

    def update_item(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            wanted = request.get("ReturnValues", "NONE")
            parameters = {name: each for name, each in request.items() if name != "ReturnValues"}
            check_write("Update", parameters)
            if wanted not in ("NONE", "ALL_NEW"):
                raise NotImplementedError(f"{wanted} is not simulated")
            write = self._update(parameters)
            self._store(write)
            return {"Attributes": write.item} if wanted == "ALL_NEW" else {}

        return self._send("UpdateItem", apply)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        return self._send("TransactWriteItems", lambda: self._transact(request))

    def query(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            check_query(request)
            query, table = Query(request), self._table(request)
            if query.index:
                items = table.indexes.items(query.index, query.partition)
            else:
                items = list(table.items.get(query.partition, {}).values())
            return query.page(items, self._requests.page_items())

        return self._send("Query", apply)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            check_batch(request)
            found: dict[str, list[Item]] = {}
            for name, wanted in request["RequestItems"].items():
                table = self._table({"TableName": name})
                items = (table.item(key_of(key)) for key in wanted["Keys"])
                found[name] = [item for item in items if item]
            return {"Responses": found, "UnprocessedKeys": {}}

        return self._send("BatchGetItem", apply)

    def _send(self, operation: str, apply: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        def answered() -> dict[str, Any]:
            try:
                return apply()
            except Refused as refused:
                raise _error(operation, "ValidationException", str(refused)) from refused
            except ConditionFailed as failed:
                item = {"Item": failed.item} if failed.item else {}
                raise _error(operation, "ConditionalCheckFailedException", "", item) from None

        answer: dict[str, Any] = self._requests.send(operation, answered)
        return answer

    # -- writes ----------------------------------------------------------------------------------

    def _table(self, request: Mapping[str, Any]) -> Table:
        return self._outbox if request.get("TableName") == self._outbox_name else self._runs

    def _place(self, request: Mapping[str, Any], key: Key) -> Place:
        """What a write is evaluated on, if its condition holds."""
        before = self._table(request).item(key)
        place = Place(
            before or {},
            request.get("ExpressionAttributeNames", {}),
            request.get("ExpressionAttributeValues", {}),
        )
        condition = request.get("ConditionExpression")
        if condition is not None and not compiled_condition(condition).holds(place):
            wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise ConditionFailed(before if wanted else None)
        return place

    def _put(self, request: Mapping[str, Any]) -> _Write:
        item = dict(request["Item"])
        check_index_keys(item)
        self._place(request, key_of(item))
        return _Write(self._table(request), item, item_bytes(item))

    def _update(self, request: Mapping[str, Any]) -> _Write:
        place = self._place(request, key_of(request["Key"]))
        expression = request.get("UpdateExpression")
        item = place.item if expression is None else compiled_update(expression).item_after(place)
        item = item | dict(request["Key"])
        check_index_keys(item)
        size = item_bytes(item)
        if size > MAX_ITEM_BYTES:
            raise Refused("the item is too large")
        return _Write(self._table(request), item, size)

    def _store(self, write: _Write) -> None:
        key, table = key_of(write.item), write.table
        before = table.item(key)
        table.items.setdefault(key[0], {})[key[1]] = write.item
        table.indexes.write(key, write.item)
        self._watch(before, write.item)

    def _transact(self, request: Mapping[str, Any]) -> dict[str, Any]:
        requests = check_transaction(request)
        token, asked = request["ClientRequestToken"], request["TransactItems"]
        remembered = self._tokens.writes(token)
        if remembered is not None:
            if remembered != asked:
                raise _error("TransactWriteItems", "IdempotentParameterMismatchException", "")
            return {}
        keys = {
            (one.get("TableName"), *checked_key(one.get("Key") or one["Item"]))
            for _, one in requests
        }
        if len(keys) < len(requests):
            raise Refused("one item twice in a transaction")
        writes = self._evaluate_all(requests)
        # DynamoDB Local counts the request only; the documentation, the items that it changes.
        if sum(write.size for write in writes) > MAX_TRANSACTION_BYTES:
            raise Refused("the transaction is too large")
        for write in writes:
            self._store(write)
        self._tokens.remember(token, asked)
        return {}

    def _evaluate_all(self, requests: Sequence[tuple[str, Mapping[str, Any]]]) -> list[_Write]:
        """The writes of a transaction, if none is refused."""
        writes: list[_Write] = []
        reasons: list[dict[str, Any]] = []
        for kind, one in requests:
            try:
                writes.append(self._put(one) if kind == "Put" else self._update(one))
            except ConditionFailed as failed:
                item = {"Item": failed.item} if failed.item else {}
                reasons.append({"Code": "ConditionalCheckFailed", **item})
            except Refused as refused:
                reasons.append({"Code": "ValidationError", "Message": str(refused)})
            else:
                reasons.append({"Code": "None"})
        if len(writes) < len(requests):
            more = {"CancellationReasons": reasons}
            raise _error("TransactWriteItems", "TransactionCanceledException", "", more)
        return writes


def _error(
    operation: str, code: str, message: str, more: Mapping[str, Any] | None = None
) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, **(more or {})}
    return ClientError(response, operation)
