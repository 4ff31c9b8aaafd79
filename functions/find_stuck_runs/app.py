"""Every hour: find the runs that nothing will wake, for the alarm."""

from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.services import store
from agent_continuations.handlers.durations import milliseconds_since
from agent_continuations.handlers.metrics import counter
from agent_continuations.operations.stuck_runs import stuck_runs

logger = function_logger("find-stuck-runs")
count = counter("find-stuck-runs")


@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Entry point for the schedule."""
    started, found = perf_counter(), 0
    for run_id, reason in stuck_runs(store(), datetime.now(UTC)):
        logger.error("run stuck", extra={"run_id": run_id, "reason": reason})
        found += 1
    duration = milliseconds_since(started)
    logger.info("stuck runs searched", extra={"stuck": found, "duration_ms": duration})
    count("RunsStuck", found)
    return {"stuck": found}
