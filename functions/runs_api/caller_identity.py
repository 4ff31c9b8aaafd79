"""Who calls, and whom it may speak for."""

import os

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from agent_continuations.errors import Forbidden


def caller(app: APIGatewayRestResolver) -> str:
    """Who calls, as IAM knows it."""
    return app.current_event.request_context.identity.user_arn or "unknown caller"


def may_speak_for_others() -> bool:
    """Whether this deployment lets callers act for others."""
    return os.environ.get("CALLERS_MAY_ACT_FOR_APPROVERS") == "yes"


def speaks_for(named: str | None, caller: str, field: str) -> str | None:
    """Whom the caller speaks for: itself, unless the deployment lets callers act for others.

    Raises:
        Forbidden: it may not speak for whom it names.
    """
    if may_speak_for_others():
        return named
    if named not in (None, caller):
        raise Forbidden("callers can act only as themselves", [(field, "must be the caller")])
    return caller
