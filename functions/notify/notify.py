"""From a queue: deliver a notice that stands in the outbox."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations import bootstrap
from agent_continuations.telemetry import counter

logger = Logger(service="notify")
count = counter("notify")
processor = BatchProcessor(event_type=EventType.SQS)


def record_handler(record: SQSRecord) -> None:
    """Deliver the notice that a hint names."""
    hint = record.json_body
    notice = bootstrap.outbox().deliver(hint["run_id"], hint["notice_id"])
    if notice is None:
        return
    logger.info(
        "notified",
        extra={"run_id": notice.run_id, "notice_id": notice.notice_id, "failure": notice.failure},
    )
    name = "NoticesUndelivered" if notice.undelivered else "NoticesDelivered"
    count(name)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Entry point for SQS."""
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )
