"""Every minute: resend the wake-up messages of due runs and notices."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.bootstrap.services import queue, store
from agent_continuations.engine.sweeper import sweep
from agent_continuations.handlers.metrics import counter

logger = Logger(service="sweep")
count = counter("sweep")


@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Entry point for the schedule."""
    found = sweep(store(), queue(), datetime.now(UTC))
    logger.info("swept", extra={"due": found})
    count("Due", found)
    return {"due": found}
