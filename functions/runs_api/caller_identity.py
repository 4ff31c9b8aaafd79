"""The identity of the caller, and the people it may act for."""

import os

from aws_lambda_powertools.event_handler import APIGatewayRestResolver

from agent_continuations.errors import Forbidden


def caller(app: APIGatewayRestResolver) -> str:
    """The ARN of the caller."""
    return app.current_event.request_context.identity.user_arn or "unknown caller"


def principal(caller: str) -> str:
    """The ARN of the caller without the name of its session, which whoever assumes a role chooses.

    Args:
        caller: an ARN, such as `arn:aws:sts::123456789012:assumed-role/portal/session`.
    """
    head, is_role, rest = caller.partition(":assumed-role/")
    return f"{head}{is_role}{rest.partition('/')[0]}"


def may_act_for_others() -> bool:
    """Whether this deployment lets callers act for others."""
    return os.environ.get("CALLERS_MAY_ACT_FOR_APPROVERS") == "yes"


def acting_for(named: str | None, caller: str, field: str) -> str | None:
    """The person that the caller acts for: itself, unless callers may act for others.

    Raises:
        Forbidden: the caller may not act for the person it names.
    """
    if may_act_for_others():
        return named
    if named not in (None, caller):
        raise Forbidden("callers can act only as themselves", [(field, "must be the caller")])
    return caller
