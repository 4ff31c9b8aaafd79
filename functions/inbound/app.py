"""From the inbound queue: store the outcomes and events that other functions have accepted."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.bootstrap.inbound import inbound_dead_letters, inbound_receiver
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.errors import Retryable
from agent_continuations.handlers.inbound_messages import Receipt
from agent_continuations.handlers.metrics import counter
from agent_continuations.handlers.sqs_batch import BatchResponse, process_records

logger = function_logger("inbound")
count = counter("inbound")


def take(record: Mapping[str, Any], about: dict[str, Any]) -> str:
    """Store what a record brings, or dispose of it.

    Raises:
        Retryable: SQS must deliver it again.
    """
    receipt = inbound_receiver().receive(record["body"])
    fields = {"kind": receipt.kind, "run_id": receipt.run_id, "path": receipt.path}
    about |= {name: value for name, value in fields.items() if value is not None}
    if receipt.fate == "stored":
        count("InboundStored")
        return "stored"
    if receipt.fate == "unverified" and _is_first(record):
        # The key may be newer than the one that is cached here; the next time it is not.
        raise Retryable(f"not verified: {receipt.error}")
    logger.warning("message refused", extra={**about, "reason": str(receipt.error)})
    count("InboundRefused")
    if _is_dead_letter(receipt):
        inbound_dead_letters().send_text(record["body"])
        return "dead letter"
    return "dropped"


def _is_first(record: Mapping[str, Any]) -> bool:
    return int(record["attributes"]["ApproximateReceiveCount"]) == 1


def _is_dead_letter(receipt: Receipt) -> bool:
    """Whether a person may want to see or repeat a message that is not stored: an event, which its
    sender takes for delivered, or a message that newer code can read. An outcome of a run that has
    ended is no use to anyone, and a message that is not verified is nobody's.
    """
    return receipt.fate == "unknown" or (receipt.fate == "refused" and receipt.kind == "event")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> BatchResponse:
    """Entry point for SQS."""
    return process_records(event, take, logger)
