"""Grant."""

from datetime import datetime
from typing import Any

from agent_continuations.core.approvals.grant import Condition, Grant
from agent_continuations.core.approvals.policy import Door
from agent_continuations.views.base import Moment, View


class GrantView(View):
    """An approver's yes in advance, and whether it still votes."""

    grant_id: str
    approver: str
    member_of: str | None = None
    agent: str
    tool: str
    schema_version: str
    conditions: dict[str, Condition]
    made_at: Moment
    expires_at: Moment
    via: Door
    authentication: str | None = None
    run_id: str
    request_id: str
    max_uses: int | None = None
    uses: int
    revoked_at: Moment | None = None
    revoked_by: str | None = None
    lives: bool


class GrantPage(View):
    """Grants, those that have ended included. There are no further pages."""

    items: tuple[GrantView, ...]
    next: None = None


def grant_view(grant: Grant, now: datetime) -> dict[str, Any]:
    """A grant, with whether it still votes. What is None is left out."""
    view = GrantView(**dict(grant), lives=grant.lives(now))
    return view.model_dump(mode="json", exclude_none=True)
