"""The simulator's DynamoDB answers every request as AWS's DynamoDB Local does.

Random requests from fixed seeds go to both. Answers, errors, and at intervals the whole table with
its indexes are compared. The last tests cover what AWS documents and DynamoDB Local does not do.
"""

import os
from dataclasses import dataclass, field
from pprint import pformat
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from tests.contract.dynamodb_requests.expressions import Typed
from tests.contract.dynamodb_requests.limits import MAX_ITEM_BYTES, SIZED, AtTheLimits
from tests.contract.dynamodb_requests.valid import KEYS, Request, ValidRequests
from tests.contract.dynamodb_requests.wrong import WrongRequests
from tests.local.ministack import client
from tests.local.template import create_table
from tests.simulation.aws import Direct
from tests.simulation.dynamodb import INDEXES, SimulatedDynamoDB

# More than in CI: DYNAMODB_SEEDS=500
SEEDS = int(os.environ.get("DYNAMODB_SEEDS", "10"))
REQUESTS = 260
WRONG = 0.35
COMPARE_TABLE_EVERY = 60


@dataclass(frozen=True)
class Answer:
    """What a client got: the content, or an error's code, stored item and cancellation reasons."""

    code: str
    content: Any = None
    item: Any = None
    reasons: tuple[tuple[str, Any], ...] = ()
    message: str = field(default="", compare=False)


def answer(dynamodb: Any, request: Request) -> Answer:
    """Send a request."""
    try:
        response = getattr(dynamodb, request.operation)(**request.parameters)
    except ClientError as error:
        failed: Any = error.response
        reasons = failed.get("CancellationReasons", [])
        return Answer(
            failed["Error"]["Code"],
            item=failed.get("Item"),
            reasons=tuple((each["Code"], each.get("Item")) for each in reasons),
            message=failed["Error"]["Message"],
        )
    ignored = {"ResponseMetadata", "Count", "ScannedCount"}
    content = {name: each for name, each in response.items() if name not in ignored}
    for items in content.get("Responses", {}).values():
        items.sort(key=_sorted_by)  # DynamoDB returns them in no order
    return Answer("", content)


class Pair:
    """The same tables in the simulator and in DynamoDB Local."""

    def __init__(self, local: Any, table: str, outbox: str = "outbox") -> None:
        self.simulated = SimulatedDynamoDB(Direct(), outbox=outbox)
        self.local = local
        self.table = table

    def difference(self, request: Request) -> str | None:
        """What differs in the answers to a request, if it is not known and harmless."""
        simulated, real = answer(self.simulated, request), answer(self.local, request)
        if simulated == real or any(known(request, simulated, real) for known in HARMLESS):
            return None
        return f"{pformat(request)}\nsimulated {pformat(simulated)}\nreal {pformat(real)}"

    def assert_same_items(self) -> None:
        """Compare everything in the table and, in their order, in each shard of the indexes."""
        simulated = [item for items in self.simulated.items.values() for item in items.values()]
        real = self._scan()
        assert sorted(simulated, key=_sorted_by) == sorted(real, key=_sorted_by)
        for name, (shard, sort) in INDEXES.items():
            shards = {item[shard]["S"] for item in real if shard in item and sort in item}
            for each in sorted(shards):
                query = {
                    "TableName": self.table,
                    "IndexName": name,
                    "KeyConditionExpression": f"{shard} = :shard",
                    "ExpressionAttributeValues": {":shard": {"S": each}},
                }
                different = self.difference(Request("query", query))
                assert different is None, different
            assert len(self._scan(IndexName=name)) == sum(
                shard in item and sort in item for item in simulated
            )

    def _scan(self, **more: Any) -> list[Any]:
        pages = self.local.get_paginator("scan").paginate(TableName=self.table, **more)
        return [item for page in pages for item in page["Items"]]


def _sorted_by(item: Any) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


# -- differences that are known, and why they are harmless -----------------------------------------


def refused_for_itself(_request: Request, simulated: Answer, real: Answer) -> bool:
    """A write of a transaction is refused for itself, and not for its condition.

    AWS documents it as the reason ValidationError of a cancelled transaction. DynamoDB Local, for
    some faults, and the simulator, for others, refuse the whole request instead.
    """
    codes = [_codes(simulated), _codes(real)]
    return {"ValidationException"} in codes and any("ValidationError" in each for each in codes)


def cut_reasons(_request: Request, simulated: Answer, real: Answer) -> bool:
    """Both refuse a write for itself, where DynamoDB Local's list of reasons may end."""
    given = len(real.reasons)
    return (
        simulated.code == real.code == "TransactionCanceledException"
        and simulated.reasons[:given] == real.reasons
        and real.reasons[-1][0] == "ValidationError"
    )


def conditions_first(_request: Request, simulated: Answer, real: Answer) -> bool:
    """Both refuse a transaction; DynamoDB Local finds these faults after conditions that fail."""
    faults = ("paths overlap", "one item twice")
    return (
        simulated.code == "ValidationException"
        and any(each in simulated.message for each in faults)
        and "ConditionalCheckFailed" in _codes(real)
    )


def full_page(request: Request, simulated: Answer, real: Answer) -> bool:
    """A full page may have a last key although nothing follows; AWS leaves open when.

    The simulator always gives one; DynamoDB Local does not if it is at the end of the range.
    """
    items: list[Any] = (simulated.content or {}).get("Items", [])
    return (
        bool(items)
        and len(items) == request.parameters.get("Limit")
        and real.content == {"Items": items}
        and _is_at_the_end(request, items[-1])
    )


def start_at_the_end(request: Request, simulated: Answer, real: Answer) -> bool:
    """DynamoDB Local gives no last key at the end of a range, and refuses one as a start."""
    start = request.parameters.get("ExclusiveStartKey")
    return (
        start is not None
        and simulated.content == {"Items": []}
        and real.code == "ValidationException"
        and _is_at_the_end(request, start)
    )


HARMLESS = (refused_for_itself, cut_reasons, conditions_first, full_page, start_at_the_end)


def _codes(found: Answer) -> set[str]:
    return {code for code, _ in found.reasons} or {found.code}


def _is_at_the_end(request: Request, key: dict[str, Any]) -> bool:
    """Whether a query whose condition has the bounds of its range as values ends at this key."""
    _, sort = INDEXES.get(request.parameters.get("IndexName", ""), ("pk", "sk"))
    _partition, *bounds = request.parameters["ExpressionAttributeValues"].values()
    forward = request.parameters.get("ScanIndexForward", True)
    return bool(bounds) and key[sort] == bounds[-1 if forward else 0]


@pytest.fixture(scope="module")
def local(dynamodb_local_url: str) -> Any:
    return client(
        "dynamodb",
        dynamodb_local_url,
        retries={"total_max_attempts": 1},
        parameter_validation=False,
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_simulator_answers_as_dynamodb_does(local: Any, seed: int) -> None:
    pair = Pair(local, create_table(local))
    valid = ValidRequests(Random(f"requests {seed}"), pair.table)
    wrong = WrongRequests(valid)
    for number in range(REQUESTS):
        chance = valid.random.random()
        request = wrong.request() if chance < WRONG and number > len(KEYS) else valid.request()
        different = pair.difference(request)
        assert different is None, f"seed {seed}, request {number}: {different}"
        if number % COMPARE_TABLE_EVERY == 0 or number == REQUESTS - 1:
            pair.assert_same_items()


def test_a_transaction_writes_two_tables_or_none(local: Any) -> None:
    table, outbox = create_table(local), create_table(local, "OutboxTable")
    pair = Pair(local, table, outbox)
    key = {"pk": {"S": "R#a"}, "sk": {"S": "N#b"}}
    due = {"due_shard": {"S": "D#1"}, "due": {"N": "5"}}
    new = {"ConditionExpression": "attribute_not_exists(pk)"}

    def write(name: str, value: str, **more: Any) -> dict[str, Any]:
        return {"Put": {"TableName": name, "Item": {**key, **due, "v": {"S": value}}, **more}}

    def transact(*writes: dict[str, Any]) -> Request:
        token = {"ClientRequestToken": uuid4().hex}
        return Request("transact_write_items", {"TransactItems": [*writes], **token})

    def query(name: str, index: str, shard: str) -> Request:
        values = {":shard": {"S": "D#1"}}
        condition = {"KeyConditionExpression": f"{shard} = :shard"}
        index_of = {"TableName": name, "IndexName": index, **condition}
        return Request("query", {**index_of, "ExpressionAttributeValues": values})

    for request in (
        transact(write(table, "1"), write(outbox, "1")),  # the same key in both
        transact(write(table, "2"), write(outbox, "2", **new)),
        transact(write(table, "3", **new), write(outbox, "3")),
        Request("get_item", {"TableName": table, "Key": key}),
        Request("get_item", {"TableName": outbox, "Key": key}),
        transact(write(outbox, "4"), write(outbox, "5")),
        query(table, "due", "due_shard"),
        query(outbox, "due", "due_shard"),
        query(outbox, "runs", "list_shard"),
    ):
        different = pair.difference(request)
        assert different is None, different
    assert answer(pair.simulated, query(outbox, "runs", "list_shard")).code == "ValidationException"
    assert pair.simulated.outbox["R#a"]["N#b"]["v"] == {"S": "1"}


@pytest.mark.parametrize(("value", "size"), SIZED)
def test_a_value_of_each_type_has_the_size_that_dynamodb_counts(
    local: Any, value: Typed, size: int
) -> None:
    pair = Pair(local, create_table(local))
    limits = AtTheLimits(ValidRequests(Random(0), pair.table))
    for item_size, code in ((MAX_ITEM_BYTES, ""), (MAX_ITEM_BYTES + 1, "ValidationException")):
        request = limits.item_with(value, size, item_size)
        assert answer(pair.simulated, request).code == code
        assert answer(local, request).code == code


class Clock(Direct):
    """A transport whose time a test sets."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds


def put(sort: str, **attributes: Any) -> dict[str, Any]:
    return {"Put": {"Item": {"pk": {"S": "R#a"}, "sk": {"S": sort}, **attributes}}}


def code_of(dynamodb: SimulatedDynamoDB, operation: str, **parameters: Any) -> str:
    return answer(dynamodb, Request(operation, parameters)).code


def test_a_client_request_token_is_forgotten_after_ten_minutes() -> None:
    clock = Clock()
    dynamodb = SimulatedDynamoDB(clock)

    def transact(sort: str) -> str:
        writes = [put(sort)]
        return code_of(
            dynamodb, "transact_write_items", TransactItems=writes, ClientRequestToken="token"
        )

    assert transact("#H") == ""
    clock.seconds = 599.9
    assert transact("#H") == ""
    assert transact("J#0") == "IdempotentParameterMismatchException"
    clock.seconds = 600.0
    assert transact("J#0") == ""
    clock.seconds = 1199.9
    assert transact("#H") == "IdempotentParameterMismatchException"


def test_an_update_does_not_change_the_type_of_an_index_key() -> None:
    dynamodb = SimulatedDynamoDB(Direct())
    update = {
        "Key": {"pk": {"S": "R#a"}, "sk": {"S": "#H"}},
        "UpdateExpression": "SET due = :due",
    }
    for value, code in (({"N": "1"}, ""), ({"S": "1"}, "ValidationException")):
        values = {":due": value}
        assert code_of(dynamodb, "update_item", **update, ExpressionAttributeValues=values) == code


def test_the_items_that_a_transaction_changes_are_at_most_4_mb_however_small_the_changes() -> None:
    dynamodb = SimulatedDynamoDB(Direct())
    for number in range(11):
        large = {"x": {"S": "x" * 390_000}}
        assert code_of(dynamodb, "put_item", **put(str(number), **large)["Put"]) == ""
    keys = [{"pk": {"S": "R#a"}, "sk": {"S": str(number)}} for number in range(11)]
    updates = [{"Update": {"Key": key, "UpdateExpression": "REMOVE y"}} for key in keys]
    for count, code in ((10, ""), (11, "ValidationException")):
        writes, token = updates[:count], f"token {count}"
        assert code == code_of(
            dynamodb, "transact_write_items", TransactItems=writes, ClientRequestToken=token
        )
