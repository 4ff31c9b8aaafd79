"""Requests to AWS, with AWS's errors converted to the library's."""

from collections.abc import Callable, Mapping
from random import uniform
from time import sleep
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.adapters.stores.dynamodb.items import Item, plain
from agent_continuations.errors import Retryable


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


# Two transactions on one item at the same time: DynamoDB cancels one, which must be sent again.
_CONTENDED = {
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
CONTENDED_TRIES = 10
# Errors of the program or of its permissions, which are raised unchanged.
_MISTAKES = {"AccessDeniedException", "AccessDenied", "ValidationException"}


def call(operation: Callable[..., Any], **parameters: Any) -> Any:
    """Make a request, and repeat it if another transaction was writing the same item.

    Raises:
        ConditionFailed: the condition of the write did not hold.
        Cancelled: a condition of the transaction did not hold.
        Missing: the bucket has no such object.
        Retryable: AWS did not respond in time, after all retries.
    """
    for tries in range(CONTENDED_TRIES):
        try:
            return operation(**parameters)
        except ClientError as error:
            _raise_unless_contended(error)
        except BotoCoreError as error:
            raise Retryable(str(error)) from error
        sleep(uniform(0, 0.01 * 2**tries))
    raise Retryable(f"other transactions wrote the same item {CONTENDED_TRIES} times")


def _raise_unless_contended(error: ClientError) -> None:
    """Raise the library's error; return if the request should be made again."""
    response: Any = error.response
    code = response["Error"]["Code"]
    reasons = response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons}
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed(plain(response.get("Item", {}))) from None
    if code == "TransactionCanceledException" and "ConditionalCheckFailed" in codes:
        raise Cancelled([_stored_item(reason) for reason in reasons]) from None
    if "ValidationError" in codes:
        raise error
    if code in _CONTENDED or codes & _CONTENDED:
        return
    if code in ("NoSuchKey", "404"):
        raise Missing from None
    if code in _MISTAKES:
        raise error
    raise Retryable(str(error)) from error


def _stored_item(reason: Mapping[str, Any]) -> Item | None:
    return plain(reason["Item"]) if "Item" in reason else None
