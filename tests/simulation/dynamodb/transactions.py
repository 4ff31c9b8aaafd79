"""What is checked of a transaction before its writes, and the tokens that make it idempotent."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from tests.simulation.aws import Requests
from tests.simulation.dynamodb.requests import check_write
from tests.simulation.dynamodb.values import Refused

MAX_TRANSACTION_ITEMS = 100
MAX_TRANSACTION_BYTES = 4 * 1024 * 1024
MAX_TOKEN_LENGTH = 36
TOKEN_SECONDS = 600.0

Request: TypeAlias = Mapping[str, Any]


def check_transaction(request: Request) -> list[tuple[str, Request]]:
    """The kind and parameters of each write of a transaction.

    Raises:
        Refused: DynamoDB would refuse the transaction whatever is stored.
    """
    asked = request["TransactItems"]
    if not 1 <= len(asked) <= MAX_TRANSACTION_ITEMS:
        raise Refused(f"{len(asked)} items in a transaction")
    if not 1 <= len(request["ClientRequestToken"]) <= MAX_TOKEN_LENGTH:
        raise Refused("the token is too short or too long")
    writes: list[tuple[str, Request]] = []
    size = 0
    for each in asked:
        if len(each) != 1:
            raise Refused("an item of a transaction is exactly one write")
        writes += each.items()
        size += check_write(*writes[-1])
    if size > MAX_TRANSACTION_BYTES:
        raise Refused("the transaction is too large")
    return writes


class ClientTokens:
    """The tokens of the transactions of the last ten minutes.

    Args:
        requests: has the time.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._writes: dict[str, tuple[float, Any]] = {}

    def writes(self, token: str) -> Any | None:
        """The writes that were made with a token; None if it is unknown or was forgotten."""
        at, writes = self._writes.get(token, (0.0, None))
        return writes if self._requests.now() < at + TOKEN_SECONDS else None

    def remember(self, token: str, writes: Any) -> None:
        """A transaction with this token was written."""
        self._writes[token] = self._requests.now(), writes
