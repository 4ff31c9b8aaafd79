"""Requests to AWS, with AWS's errors converted to the library's."""

from collections.abc import Callable, Mapping
from random import uniform
from time import sleep
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.adapters.stores.dynamodb.items import Item, plain
from agent_continuations.errors import Fatal, Retryable


class ConditionFailed(Exception):
    """A write's condition did not hold.

    Attributes:
        item: the stored item, if the request asked for it; otherwise empty.
    """

    def __init__(self, item: Item) -> None:
        self.item = item


class Cancelled(Exception):
    """A condition of a transaction did not hold.

    Attributes:
        items: for each write the stored item that made its condition fail, or None.
    """

    def __init__(self, items: list[Item | None]) -> None:
        self.items = items


class Missing(Exception):
    """The bucket has no such object."""


# Two transactions on one item at the same time, or too many requests: DynamoDB cancels one, which
# must be sent again. The client repeats throttled requests, but no cancelled transactions.
_CONTENDED = {
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
}
CONTENDED_TRIES = 10


def call(operation: Callable[..., Any], **parameters: Any) -> Any:
    """Make a request, and repeat it if another transaction was writing the same item, or if a
    transaction was throttled.

    Raises:
        ConditionFailed: the condition of the write did not hold.
        Cancelled: a condition of the transaction did not hold.
        Missing: the bucket has no such object.
        Retryable: AWS did not respond in time, after all retries, or denies access: that passes,
            too, and is no fault of one run.
        Fatal: AWS refuses the request itself.
    """
    for tries in range(CONTENDED_TRIES):
        try:
            return operation(**parameters)
        except ClientError as error:
            reason = _reason_to_repeat(error)
        except BotoCoreError as error:
            raise Retryable(str(error)) from error
        sleep(uniform(0, 0.01 * 2**tries))
    raise Retryable(f"a transaction was cancelled {CONTENDED_TRIES} times: {reason}")


def _reason_to_repeat(error: ClientError) -> str:
    """Why the request should be made again; raise the library's error if it should not be."""
    response: Any = error.response
    code = response["Error"]["Code"]
    reasons = response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons}
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed(plain(response.get("Item", {}))) from None
    if code == "TransactionCanceledException" and "ConditionalCheckFailed" in codes:
        raise Cancelled([_stored_item(reason) for reason in reasons]) from None
    if code == "ValidationException" or "ValidationError" in codes:
        raise Fatal(f"a request that is not valid: {error}") from error
    if code in _CONTENDED or codes & _CONTENDED:
        return ", ".join(sorted(codes & _CONTENDED)) or code
    if code in ("NoSuchKey", "404"):
        raise Missing from None
    raise Retryable(str(error)) from error


def _stored_item(reason: Mapping[str, Any]) -> Item | None:
    return plain(reason["Item"]) if "Item" in reason else None
