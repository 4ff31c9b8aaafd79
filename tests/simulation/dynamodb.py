"""A DynamoDB client in memory, with the semantics that the store relies on.

Conditional writes, transactions with client tokens, the items of failed conditions, paged queries,
sparse indexes that lag, and the limits on items, expressions and transactions.
"""

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from tests.simulation.aws import Requests
from tests.simulation.expressions import (
    Item,
    Place,
    Refused,
    check_used,
    holds,
    updated,
)

MAX_ITEM_BYTES = 400 * 1024
MAX_EXPRESSION_BYTES = 4096
MAX_TRANSACTION_ITEMS = 100
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
PAGE_BYTES = 1024 * 1024

INDEXES = {"due": ("due_shard", "due"), "runs": ("list_shard", "list_key")}
Key = tuple[str, str]
Watcher = Callable[[Item | None, Item], None]


class ConditionFailed(Exception):
    """A condition failed; `item` is the stored item."""

    def __init__(self, item: Item | None) -> None:
        self.item = item


class SimulatedDynamoDB:
    """One table, for any number of clients.

    Args:
        requests: the transport, with its faults and delays.
        watch: called after each write with the item before and after it.
    """

    def __init__(self, requests: Requests, watch: Watcher = lambda _before, _after: None) -> None:
        self.items: dict[str, dict[str, Item]] = {}
        self._requests = requests
        self._watch = watch
        self._tokens: dict[str, Any] = {}
        self._indexed: dict[str, dict[Key, Item]] = {name: {} for name in INDEXES}
        self._lagging: list[tuple[float, int, Key, Item | None]] = []
        self._visible_at: dict[Key, float] = {}
        self._number = 0

    # -- the client's operations -----------------------------------------------------------------

    def get_item(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            item = self._item(_key(request["Key"]))
            return {"Item": item} if item else {}

        return self._send("GetItem", apply)

    def put_item(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            self._write([self._after_put(request)])
            return {}

        return self._send("PutItem", apply)

    def update_item(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            item = self._after_update(request)
            self._write([item])
            return {"Attributes": item}

        return self._send("UpdateItem", apply)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        return self._send("TransactWriteItems", lambda: self._transact(request))

    def query(self, **request: Any) -> dict[str, Any]:
        return self._send("Query", lambda: self._query(request))

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            found: dict[str, list[Item]] = {}
            for table, wanted in request["RequestItems"].items():
                items = (self._item(_key(key)) for key in wanted["Keys"])
                found[table] = [item for item in items if item]
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

    def _item(self, key: Key) -> Item | None:
        return self.items.get(key[0], {}).get(key[1])

    def _checked(self, request: Mapping[str, Any], key: Key) -> Place:
        check_used(request)
        for kind in ("ConditionExpression", "UpdateExpression"):
            if len(request.get(kind, "")) > MAX_EXPRESSION_BYTES:
                raise Refused(f"{kind} is too long")
        before = self._item(key)
        place = Place(
            before or {},
            request.get("ExpressionAttributeNames", {}),
            request.get("ExpressionAttributeValues", {}),
        )
        if not holds(request.get("ConditionExpression"), place):
            wanted = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise ConditionFailed(before if wanted else None)
        return place

    def _after_put(self, request: Mapping[str, Any]) -> Item:
        self._checked(request, _key(request["Item"]))
        return dict(request["Item"])

    def _after_update(self, request: Mapping[str, Any]) -> Item:
        place = self._checked(request, _key(request["Key"]))
        return updated(request["UpdateExpression"], place) | dict(request["Key"])

    def _write(self, items: Sequence[Item]) -> None:
        for item in items:
            if item_bytes(item) > MAX_ITEM_BYTES:
                raise Refused("the item is too large")
        for item in items:
            key = _key(item)
            before = self._item(key)
            self.items.setdefault(key[0], {})[key[1]] = item
            self._index(key, item)
            self._watch(before, item)

    def _transact(self, request: Mapping[str, Any]) -> dict[str, Any]:
        token, writes = request["ClientRequestToken"], request["TransactItems"]
        if token in self._tokens:
            if self._tokens[token] != writes:
                raise _error("TransactWriteItems", "IdempotentParameterMismatchException", "")
            return {}
        if len(writes) > MAX_TRANSACTION_ITEMS:
            raise Refused("too many items in a transaction")
        items: list[Item] = []
        reasons: list[dict[str, Any]] = []
        for write in writes:
            ((kind, one),) = write.items()
            try:
                item = self._after_put(one) if kind == "Put" else self._after_update(one)
            except ConditionFailed as failed:
                reasons.append(
                    {"Code": "ConditionalCheckFailed"}
                    | ({"Item": failed.item} if failed.item else {})
                )
            else:
                reasons.append({"Code": "None"})
                items.append(item)
        if len(items) < len(writes):
            more = {"CancellationReasons": reasons}
            raise _error("TransactWriteItems", "TransactionCanceledException", "", more)
        if len({_key(item) for item in items}) < len(items):
            raise Refused("one item twice in a transaction")
        if sum(map(item_bytes, items)) > MAX_TRANSACTION_BYTES:
            raise Refused("the transaction is too large")
        self._write(items)
        self._tokens[token] = writes
        return {}

    # -- indexes, which lag ------------------------------------------------------------------------

    def _index(self, key: Key, item: Item) -> None:
        names = {name for pair in INDEXES.values() for name in pair} | {"pk", "sk"}
        projected = {name: item[name] for name in names if name in item}
        # The visible versions of one item never go back in time.
        at = max(self._requests.index_visible_at(), self._visible_at.get(key, 0.0))
        self._visible_at[key] = at
        self._number += 1
        insort(self._lagging, (at, self._number, key, projected), key=lambda each: each[:2])

    def _catch_up(self) -> None:
        now = self._requests.now()
        while self._lagging and self._lagging[0][0] <= now:
            _, _, key, projected = self._lagging.pop(0)
            for name, (shard, sort) in INDEXES.items():
                if projected and shard in projected and sort in projected:
                    self._indexed[name][key] = projected
                else:
                    self._indexed[name].pop(key, None)

    # -- queries -----------------------------------------------------------------------------------

    def _query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        check_used(request)
        index = request.get("IndexName")
        values = request["ExpressionAttributeValues"]
        if index:
            self._catch_up()
            items, sort = list(self._indexed[index].values()), INDEXES[index][1]
        else:
            items, sort = list(self.items.get(values[":pk"]["S"], {}).values()), "sk"
        names = request.get("ExpressionAttributeNames", {})
        wanted = [
            item
            for item in items
            if holds(request["KeyConditionExpression"], Place(item, names, values))
        ]

        def place(item: Item) -> tuple[Any, ...]:
            ((kind, content),) = item[sort].items()
            return (int(content) if kind == "N" else content, *_key(item))

        wanted.sort(key=place, reverse=not request.get("ScanIndexForward", True))
        start = request.get("ExclusiveStartKey")
        if start:
            wanted = [item for item in wanted if place(item) > place(start)]
        page: list[Item] = []
        size = 0
        limit = min(request.get("Limit", len(wanted) + 1), self._requests.page_items())
        for item in wanted:
            size += item_bytes(item)
            if page and (len(page) >= limit or size > PAGE_BYTES):
                break
            page.append(item)
        more = {"LastEvaluatedKey": dict(page[-1])} if len(page) < len(wanted) else {}
        return {"Items": [dict(item) for item in page], **more}


def _key(item: Mapping[str, Any]) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item by DynamoDB's rules: names and values, without the storage overhead."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, inner),) = value.items()
    match kind:
        case "S":
            return len(inner.encode())
        case "B":
            return len(getattr(inner, "value", inner))
        case "N":
            return (len(inner.strip("-").strip("0")) + 1) // 2 + 1
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + sum(1 + len(k.encode()) + _value_bytes(v) for k, v in inner.items())
        case "L":
            return 3 + sum(1 + _value_bytes(each) for each in inner)
    raise ValueError(f"no size is known for {kind}")


def _error(
    operation: str, code: str, message: str, more: Mapping[str, Any] | None = None
) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, **(more or {})}
    return ClientError(response, operation)
