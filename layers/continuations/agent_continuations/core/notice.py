"""Notice."""

from datetime import datetime
from typing import Any, Literal

from agent_continuations.core.approvals.policy import Preview, Risk
from agent_continuations.core.awaiting import RequestKind
from agent_continuations.core.base import FrozenModel


class Notice(FrozenModel):
    """A message in the outbox: what is asked, of whom, and who has not been reached yet.

    All that a channel needs is in it, so that sending reads one item and not the run.

    Attributes:
        approvers: who is asked now.
        undelivered: whom it has not reached yet; see `recipients.Recipient`.
        due: when to try next; None once there is nobody left to reach.
        occasion: whether people are asked for the first time, or reminded.
    """

    notice_id: str
    run_id: str
    tenant: str
    kind: RequestKind
    request_id: str
    path: str
    agents: tuple[str, ...]
    goal: str
    tool: str
    arguments: dict[str, Any]
    arguments_hash: str
    expires_at: datetime | None
    created_at: datetime
    approvers: tuple[str, ...]
    undelivered: tuple[str, ...]
    due: datetime | None
    attempts: int = 0
    failure: str | None = None
    occasion: Literal["asked", "reminder"] = "asked"
    risk: Risk = Risk.LOW
    preview: Preview | None = None

    def facts(self) -> dict[str, Any]:
        """What may be told where others listen: ids, names and times, as JSON values.

        There are no arguments, no goal and no link among them.
        """
        return self.model_dump(mode="json", include=_FACTS)


_FACTS = {
    "notice_id",
    "run_id",
    "kind",
    "request_id",
    "path",
    "agents",
    "tool",
    "arguments_hash",
    "approvers",
    "expires_at",
    "created_at",
    "occasion",
    "risk",
}
