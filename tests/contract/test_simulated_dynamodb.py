"""The simulator's DynamoDB answers every request as AWS's DynamoDB Local does.

Random requests from fixed seeds go to both. Answers, errors, and at intervals the whole table with
its indexes are compared.
"""

import os
from dataclasses import dataclass, field
from pprint import pformat
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.dynamodb_requests.valid import Request, ValidRequests
from tests.local.ministack import client
from tests.local.template import create_table
from tests.simulation.aws import Direct
from tests.simulation.dynamodb import INDEXES, SimulatedDynamoDB

# More than in CI: DYNAMODB_SEEDS=500
SEEDS = int(os.environ.get("DYNAMODB_SEEDS", "10"))
REQUESTS = 260
COMPARE_TABLE_EVERY = 65


@dataclass(frozen=True)
class Answer:
    """What a client got: the content, or an error's code, stored item and cancellation reasons."""

    code: str
    content: Any = None
    item: Any = None
    reasons: tuple[tuple[str, Any], ...] = ()
    message: str = field(default="", compare=False)


def answer(dynamodb: Any, request: Request) -> Answer:
    """Send a request; a query without a limit is read to its end."""
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
        items.sort(key=lambda item: (item["pk"]["S"], item["sk"]["S"]))  # in no order
    return Answer("", content)


class Pair:
    """The same table in the simulator and in DynamoDB Local."""

    def __init__(self, local: Any, table: str) -> None:
        self.simulated = SimulatedDynamoDB(Direct())
        self.local = local
        self.table = table

    def difference(self, request: Request) -> str | None:
        """Send a request to both; what differs in their answers, unless it is known and harmless."""
        simulated, real = answer(self.simulated, request), answer(self.local, request)
        if simulated == real or any(known(request, simulated, real) for known in HARMLESS):
            return None
        return f"{pformat(request)}\nsimulated {pformat(simulated)}\nreal {pformat(real)}"


# -- differences that are known, and why they are harmless ------------------------------------------


def refused_for_itself(_request: Request, simulated: Answer, real: Answer) -> bool:
    """A write of a transaction is refused for itself, not for its condition.

    AWS documents it as the reason ValidationError of a cancelled transaction. DynamoDB Local does
    so for some faults; for the others it refuses the whole request.
    """
    if simulated.code != "TransactionCanceledException" or "ValidationError" not in _codes(
        simulated
    ):
        return False
    return real.code == "ValidationException" or "ValidationError" in _codes(real)


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
    items = (simulated.content or {}).get("Items")
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


HARMLESS = (refused_for_itself, conditions_first, full_page, start_at_the_end)


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
    requests = ValidRequests(Random(f"requests {seed}"), pair.table)
    for number in range(REQUESTS):
        different = pair.difference(requests.request())
        assert different is None, f"seed {seed}, request {number}: {different}"
