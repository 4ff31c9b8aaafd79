"""Requests to AWS, with its errors made ours."""

from collections.abc import Callable, Mapping
from random import uniform
from time import sleep
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.adapters.stores.dynamodb.items import Item, plain
from agent_continuations.errors import Retryable


class ConditionFailed(Exception):
    """A write's condition did not hold; `item` is what stood there, if anything did."""

    def __init__(self, item: Item) -> None:
        self.item = item


class Cancelled(Exception):
    """A transaction's conditions did not hold; `reasons` stand in the order of its items."""

    def __init__(self, reasons: list[Mapping[str, Any]]) -> None:
        self.reasons = reasons


class Missing(Exception):
    """There is no such object in the bucket."""


# Two transactions on one item at once: DynamoDB cancels one, and asks for it to be sent again.
_CONTENDED = {
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
CONTENDED_TRIES = 10
_MISTAKES = {"AccessDeniedException", "AccessDenied", "ValidationException"}


def call(operation: Callable[..., Any], **parameters: Any) -> Any:
    """Make a request, again where it met another transaction on the same item.

    Raises:
        ConditionFailed, Cancelled, Missing: an answer that the caller must look at.
        Retryable: AWS did not answer in time, whatever was tried.
    """
    for tries in range(CONTENDED_TRIES):
        try:
            return operation(**parameters)
        except ClientError as error:
            _explain(error)
        except BotoCoreError as error:
            raise Retryable(str(error)) from error
        sleep(uniform(0, 0.01 * 2**tries))
    raise Retryable("other transactions on the same item did not come to an end")


def _explain(error: ClientError) -> None:
    """Raise what an error means; return where the request should be made again."""
    response: Any = error.response
    code = response["Error"]["Code"]
    reasons = response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons}
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed(plain(response.get("Item", {}))) from None
    if code == "TransactionCanceledException" and "ConditionalCheckFailed" in codes:
        raise Cancelled(reasons) from None
    if "ValidationError" in codes:
        raise error
    if code in _CONTENDED or codes & _CONTENDED:
        return
    if code in ("NoSuchKey", "404"):
        raise Missing from None
    if code in _MISTAKES:
        raise error
    raise Retryable(str(error)) from error
