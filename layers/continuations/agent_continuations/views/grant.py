"""API views of grants."""

from datetime import datetime
from typing import Any

from agent_continuations.core.approvals.grant import ArgumentRule, Grant
from agent_continuations.core.approvals.policy import DecisionSource
from agent_continuations.views.base import ApiModel, Rfc3339


class GrantView(ApiModel):
    """A standing approval. `lives` is true while it may still be used."""

    grant_id: str
    approver: str
    member_of: str | None = None
    agent: str
    tool: str
    schema_version: str
    conditions: dict[str, ArgumentRule]
    made_at: Rfc3339
    expires_at: Rfc3339
    via: DecisionSource
    authentication: str | None = None
    run_id: str
    request_id: str
    max_uses: int | None = None
    uses: int
    revoked_at: Rfc3339 | None = None
    revoked_by: str | None = None
    lives: bool


class GrantPage(ApiModel):
    """All grants, including ended ones, on one page."""

    items: tuple[GrantView, ...]
    next: None = None


def grant_view(grant: Grant, now: datetime) -> dict[str, Any]:
    """The view of a grant. Fields that are None are omitted."""
    view = GrantView(**dict(grant), lives=grant.is_active(now))
    return view.model_dump(mode="json", exclude_none=True)
