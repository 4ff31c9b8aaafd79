"""HTTP for other systems: report the outcome of a job that a tool started."""

from typing import Annotated, Any, Literal, TypeAlias

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, RootModel

from agent_continuations.authoring.result_text import result_text
from agent_continuations.bootstrap.links import callback_tokens
from agent_continuations.bootstrap.log import function_logger
from agent_continuations.bootstrap.services import services
from agent_continuations.core.outcome import Outcome
from agent_continuations.handlers.metrics import counter
from agent_continuations.handlers.responses import json_response
from agent_continuations.handlers.routing import RequestBody, parsed_body, resolver
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
    """Store the outcome of one call. The first one stands; the same one again gets the same
    response.
    """
    run_id, path = callback_tokens().read(token)
    logger.append_keys(run_id=run_id, path=path)
    body = parsed_body(app, Callback).root
    if isinstance(body, Succeeded):
        outcome = Outcome(kind="ok", content=result_text(body.result))
    else:
        outcome = Outcome(kind="error", content=f"The job failed. {body.error}")
    services().inbound.complete(run_id, path, outcome)
    count("Callbacks")
    return json_response(CompletedView(run_id=run_id, path=path, status=body.status))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Entry point for API Gateway. The event holds the token, so it is never logged."""
    return app.resolve(event, context)
