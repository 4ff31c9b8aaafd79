"""Every minute: send again the hint of whatever is due. Timers, deadlines, lost hints and dead
owners are all the same here: an item whose time has come.
"""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_continuations import bootstrap
from agent_continuations.telemetry import counter

LIMIT = 1000

logger = Logger(service="sweep")
count = counter("sweep")


@logger.inject_lambda_context(clear_state=True)
def handler(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Entry point for the schedule."""
    found = bootstrap.store().due(datetime.now(UTC), LIMIT)
    hints = bootstrap.hints()
    for due in found:
        if due.notice_id:
            hints.notify(due.run_id, due.notice_id)
        elif due.new:
            hints.advance(due.run_id)
        else:
            hints.resume(due.run_id)
    logger.info("swept", extra={"due": len(found)})
    count("Due", len(found))
    return {"due": len(found)}
