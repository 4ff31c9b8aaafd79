"""What is checked of a request before it is applied to anything."""

from collections.abc import Mapping
from typing import Any

from tests.simulation.dynamodb.conditions import compiled_condition
from tests.simulation.dynamodb.queries import compiled_key_condition
from tests.simulation.dynamodb.reader import Place
from tests.simulation.dynamodb.updates import compiled_update
from tests.simulation.dynamodb.values import (
    MAX_ITEM_BYTES,
    Refused,
    checked_key,
    item_bytes,
    key_of,
    value_bytes,
)

_COMPILERS: Mapping[str, Any] = {
    "ConditionExpression": compiled_condition,
    "UpdateExpression": compiled_update,
    "KeyConditionExpression": compiled_key_condition,
}


def check_expressions(request: Mapping[str, Any]) -> int:
    """Check the expressions of a request, and that it uses each name and value that it defines.

    Returns:
        The bytes of the expressions, names and values, as a transaction counts them.

    Raises:
        Refused: DynamoDB would refuse the request.
    """
    names, values = (request.get(f"ExpressionAttribute{kind}", {}) for kind in ("Names", "Values"))
    expressions = [
        compiled(request[kind]) for kind, compiled in _COMPILERS.items() if kind in request
    ]
    used: set[str] = set().union(*(each.used for each in expressions))
    if used != names.keys() | values.keys():
        raise Refused(f"unused or undefined: {sorted(used ^ (names.keys() | values.keys()))}")
    for kind in ("Names", "Values"):
        if request.get(f"ExpressionAttribute{kind}") == {} and expressions:
            raise Refused(f"ExpressionAttribute{kind} must not be empty")
    texts = [*names.values(), *(request[kind] for kind in _COMPILERS if kind in request)]
    size = sum(len(text.encode()) for text in texts) + sum(map(value_bytes, values.values()))
    place = Place({}, names, values)
    for expression in expressions:
        for check in expression.checks:
            check(place)
    return size


_WRITE = {
    "TableName",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValuesOnConditionCheckFailure",
}
_QUERY = {
    "TableName",
    "IndexName",
    "KeyConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ConsistentRead",
    "Limit",
    "ExclusiveStartKey",
    "ScanIndexForward",
}
_SIMULATED = {
    "Put": _WRITE | {"Item"},
    "Update": _WRITE | {"Key", "UpdateExpression"},
    "Query": _QUERY,
    "Get": {"TableName", "Key", "ConsistentRead"},
    "Keys": {"Keys", "ConsistentRead"},
}
MAX_BATCH_KEYS = 100


def check_write(kind: str, request: Mapping[str, Any]) -> int:
    """Check a put or an update, alone or in a transaction.

    Returns:
        Its bytes, as a transaction counts them.

    Raises:
        Refused: DynamoDB would refuse it whatever is stored.
    """
    _check_simulated(kind, request)
    size = check_expressions(request)
    if kind == "Update":
        return size + _check_exact_key(request["Key"])
    checked_key(request["Item"])
    stored = item_bytes(request["Item"])
    if stored > MAX_ITEM_BYTES:
        raise Refused("the item is too large")
    return size + stored


def check_get(request: Mapping[str, Any]) -> None:
    """Check the read of one item."""
    _check_simulated("Get", request)
    _check_exact_key(request["Key"])


def check_query(request: Mapping[str, Any]) -> None:
    """Check the parameters and expressions of a query."""
    _check_simulated("Query", request)
    if "KeyConditionExpression" not in request:
        raise Refused("a query needs a condition on the key")
    check_expressions(request)


def check_batch(request: Mapping[str, Any]) -> None:
    """Check the keys of a batch."""
    if not request["RequestItems"]:
        raise Refused("a batch without a table")
    for wanted in request["RequestItems"].values():
        _check_simulated("Keys", wanted)
        keys = wanted["Keys"]
        if not 1 <= len(keys) <= MAX_BATCH_KEYS:
            raise Refused(f"{len(keys)} keys in a batch")
        for key in keys:
            _check_exact_key(key)
        if len(set(map(key_of, keys))) < len(keys):
            raise Refused("one key twice in a batch")


def _check_exact_key(key: Mapping[str, Any]) -> int:
    if len(key) != len(checked_key(key)):
        raise Refused("more than a key")
    return item_bytes(key)


def _check_simulated(kind: str, request: Mapping[str, Any]) -> None:
    if kind not in _SIMULATED:
        raise NotImplementedError(f"{kind} is not simulated")
    if not request.keys() <= _SIMULATED[kind]:
        raise NotImplementedError(f"not simulated: {request.keys() - _SIMULATED[kind]}")
