"""From a queue: lease a run and advance it until it ends or suspends.

Two functions share this code, one for new work and one for decided work, so that a flood of one
never starves the other.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.bootstrap.engine import runner
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.handlers.metrics import counter
from agent_continuations.handlers.sqs_batch import BatchResponse, process_batch

logger = function_logger("advance")
count = counter("advance")


def _blocked() -> None:
    count("RunsBlocked")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Entry point for SQS: advance the run that each wake-up message names."""

    def advance(message: dict[str, Any]) -> str:
        left = timedelta(milliseconds=context.get_remaining_time_in_millis())
        status = runner(_blocked).advance(message["run_id"], deadline=datetime.now(UTC) + left)
        if status is None:
            return "not advanced"  # it has ended, or another process holds or took its lease
        count(f"Runs{status.value.title()}")
        return status.value

    return process_batch(event, advance, logger)
