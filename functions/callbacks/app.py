"""HTTP for other systems: report the outcome of a job that a tool started.

It verifies and answers, and writes nothing: the function behind the inbound queue does.
"""

from typing import Annotated, Any, Literal, TypeAlias

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, RootModel

from agent_continuations.authoring.result_text import result_text
from agent_continuations.bootstrap.links import callback_tokens
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.services import inbound_queue, services
from agent_continuations.core.outcome import Outcome
from agent_continuations.handlers.metrics import counter
from agent_continuations.handlers.responses import json_response
from agent_continuations.handlers.routing import RequestBody, parsed_body, resolver
from agent_continuations.ports.inbound_queue import CallbackMessage, returnable
from agent_continuations.views.run import CompletedView

logger = function_logger("callbacks")
count = counter("callbacks")
app = resolver(logger)


class Succeeded(RequestBody):
    """The job succeeded."""

    status: Literal["ok"]
    result: Any = None


class Failed(RequestBody):
    """The job failed; the model sees the error."""

    status: Literal["error"]
    error: Annotated[str, Field(min_length=1, max_length=4000)]


Ended: TypeAlias = Annotated[Succeeded | Failed, Field(discriminator="status")]


class Callback(RootModel[Ended]):
    """The outcome of a job."""


@app.post("/callbacks/<token>")
def ended(token: str) -> Response[str]:
    """Accept the outcome of one call. The first one stands; the same one again gets the same
    response. Another one gets 409 once the first is on record, usually within a second; before, it
    is accepted and then dropped with a log line.
    """
    run_id, path = callback_tokens().read(token)
    logger.append_keys(run_id=run_id, path=path)
    body = parsed_body(app, Callback).root
    if isinstance(body, Succeeded):
        outcome = Outcome(kind="ok", content=result_text(body.result))
    else:
        outcome = Outcome(kind="error", content=f"The job failed. {body.error}")
    outcome = returnable(outcome)
    if not services().inbound.check_complete(run_id, path, outcome):
        inbound_queue().send(CallbackMessage(token=token, outcome=outcome))
    count("Callbacks")
    return json_response(CompletedView(run_id=run_id, path=path, status=body.status))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point for API Gateway. The event holds the token, so it is never logged."""
    return app.resolve(event, context)
