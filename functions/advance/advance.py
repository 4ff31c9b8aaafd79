"""From a queue: lease a run and advance it until it ends or waits. Two functions share this code,
one for new work and one for decided work, so that a flood of one never starves the other.
"""

from datetime import UTC, datetime, timedelta
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

logger = Logger(service="advance")
count = counter("advance")
processor = BatchProcessor(event_type=EventType.SQS)


def record_handler(record: SQSRecord, lambda_context: LambdaContext) -> None:
    """Advance the run that a hint names."""
    run_id = record.json_body["run_id"]
    left = timedelta(milliseconds=lambda_context.get_remaining_time_in_millis())
    status = bootstrap.runner().advance(run_id, deadline=datetime.now(UTC) + left)
    logger.info("advanced", extra={"run_id": run_id, "status": status})
    if status:
        count(f"Runs{status.value.title()}")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Entry point for SQS."""
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )
