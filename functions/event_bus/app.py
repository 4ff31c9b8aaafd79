"""From EventBridge: deliver an event on the bus to its run."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, ValidationError

from agent_continuations.bootstrap.services import services
from agent_continuations.errors import Conflict, Invalid
from agent_continuations.handlers.metrics import counter

logger = Logger(service="eventbridge")
count = counter("eventbridge")


class Detail(BaseModel):
    """The `detail` of an event of the type `Agent Run Event`."""

    model_config = ConfigDict(extra="forbid")

    run_id: str
    name: str
    payload: Any = None
    correlation: str | None = None


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str | None]:
    """Entry point for EventBridge, which resends the event under the same id if this raises.

    An error that a retry cannot fix, such as a run that has ended, is logged and counted.
    """
    try:
        detail = Detail.model_validate(event["detail"])
        signal = services().inbound.signal(
            detail.run_id,
            detail.name,
            detail.payload,
            correlation=detail.correlation,
            key=f"eventbridge {event['id']}",
        )
    except (Conflict, Invalid, ValidationError) as error:
        logger.warning("the event was refused", extra={"event_id": event["id"], "why": str(error)})
        count("EventsRefused")
        return {"event_id": None}
    count("EventsTaken")
    return {"event_id": signal.event_id}
