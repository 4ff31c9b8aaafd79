"""From a queue: deliver notices of the outbox."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.bootstrap.channels import notice_dispatcher
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.handlers.metrics import counter
from agent_continuations.handlers.sqs_batch import BatchResponse, process_batch

logger = function_logger("notify")
count = counter("notify")


def deliver(message: dict[str, Any]) -> str:
    """Deliver the notice that a message names."""
    notice = notice_dispatcher().deliver(message["run_id"], message["notice_id"])
    if notice is None:
        return "not needed"
    count("NoticesUndelivered" if notice.failure else "NoticesDelivered")
    return "undelivered" if notice.failure else "delivered"


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Entry point for SQS."""
    del context
    return process_batch(event, deliver, logger)
