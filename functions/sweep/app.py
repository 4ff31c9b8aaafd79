"""Every minute: resend the wake-up messages of due runs and notices."""

from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.services import queue, store
from agent_continuations.engine.sweeper import sweep
from agent_continuations.handlers.durations import milliseconds_since
from agent_continuations.handlers.metrics import counter

logger = function_logger("sweep")
count = counter("sweep")


@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Entry point for the schedule."""
    started = perf_counter()
    found = sweep(store(), queue(), datetime.now(UTC))
    logger.info("swept", extra={"due": found, "duration_ms": milliseconds_since(started)})
    count("Due", found)
    return {"due": found}
