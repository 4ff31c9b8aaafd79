"""From EventBridge: deliver an event on the bus to its run."""

from time import perf_counter
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, ValidationError

from agent_continuations.authoring.schema import field_faults
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.services import services
from agent_continuations.core.ids import is_opaque_id
from agent_continuations.errors import Conflict, Invalid
from agent_continuations.handlers.durations import milliseconds_since
from agent_continuations.handlers.metrics import counter

logger = function_logger("eventbridge")
count = counter("eventbridge")


class Detail(BaseModel):
    """The `detail` of an event of the type `Agent Run Event`."""

    model_config = ConfigDict(extra="forbid")

    run_id: str
    name: str
    payload: Any = None
    correlation: str | None = None


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    """Entry point for EventBridge. Lambda repeats the event under the same id if this raises, and
    then puts it into the queue of dead letters, also an event that no retry can deliver.

    Raises:
        Conflict, Invalid, ValidationError: the event is refused for good, for example because its
            run has ended.
        Retryable: the store did not answer.
    """
    started, run_id = perf_counter(), None
    try:
        detail = Detail.model_validate(event["detail"])
        run_id = detail.run_id if is_opaque_id(detail.run_id) else None
        signal = services().inbound.signal(
            detail.run_id,
            detail.name,
            detail.payload,
            correlation=detail.correlation,
            key=f"eventbridge {event['id']}",
        )
    except (Conflict, Invalid, ValidationError) as error:
        refused = {"event_id": event["id"], "run_id": run_id, "reason": _reason(error)}
        logger.warning("event refused", extra=refused)
        count("EventsRefused")
        raise
    taken = milliseconds_since(started)
    accepted = {"event_id": event["id"], "run_id": run_id, "duration_ms": taken}
    logger.info("event accepted", extra=accepted)
    count("EventsTaken")
    return {"event_id": signal.event_id}


def _reason(error: Exception) -> str:
    """Why an event was refused, without its content."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{field}: {fault}" for field, fault in field_faults(error))
    return str(error)
