"""From EventBridge: verify an event on the bus, and send it on to its run.

It writes nothing to the table: the function behind the inbound queue does.
"""

from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, ValidationError

from agent_continuations.authoring.schema import field_faults
from agent_continuations.bootstrap.links import event_signatures
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.services import inbound_queue, services
from agent_continuations.core.base import storable
from agent_continuations.core.ids import is_opaque_id
from agent_continuations.errors import Conflict, Invalid, Retryable
from agent_continuations.handlers.durations import milliseconds_since
from agent_continuations.handlers.metrics import counter
from agent_continuations.ports.inbound_queue import EventMessage
from agent_continuations.services.inbound_checks import inbound_id

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
        Retryable: the queue does not answer.
    """
    started, run_id = perf_counter(), None
    try:
        detail = Detail.model_validate(event["detail"])
        run_id = detail.run_id if is_opaque_id(detail.run_id) else None
        message = EventMessage(
            **storable(dict(detail)), key=f"eventbridge {event['id']}", at=datetime.now(UTC)
        )
        if not _is_stored(message):
            inbound_queue().send(event_signatures().signed(message))
    except (Conflict, Invalid, ValidationError) as error:
        refused = {"event_id": event["id"], "run_id": run_id, "reason": _reason(error)}
        logger.warning("event refused", extra=refused)
        count("EventsRefused")
        raise
    taken = milliseconds_since(started)
    accepted = {"event_id": event["id"], "run_id": run_id, "duration_ms": taken}
    logger.info("event accepted", extra=accepted)
    count("EventsTaken")
    return {"event_id": inbound_id(message.key)}


def _is_stored(event: EventMessage) -> bool:
    """Whether an event is stored already, as far as that can be read now. An outage of the store
    must not cost it: it waits in the queue, longer than Lambda would repeat this invocation.

    Raises:
        Conflict, Invalid: its run does not take it.
    """
    try:
        return services().inbound.check_signal(
            event.run_id, event.name, event.payload, correlation=event.correlation, key=event.key
        )
    except Retryable:
        return False


def _reason(error: Exception) -> str:
    """Why an event was refused, without its content."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{field}: {fault}" for field, fault in field_faults(error))
    return str(error)
