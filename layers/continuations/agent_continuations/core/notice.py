"""Notices: messages of the outbox that ask people for an answer."""

from datetime import datetime
from typing import Any, Literal

from agent_continuations.core.approvals.policy import Preview, Risk
from agent_continuations.core.awaiting import RequestKind
from agent_continuations.core.base import FrozenModel


class Notice(FrozenModel):
    """An outbox message: the request, the approvers, and the state of its delivery.

    It holds all that a channel needs, so that delivery reads one item instead of the run. The
    engine names approvers only; the dispatcher computes their addresses at each attempt.

    Attributes:
        approvers: the approvers that this notice asks.
        answerers: those of them who may answer, and so are notified; None in notices of the forms
            before 6, which list their recipients in `undelivered` from the start.
        obstacle: why those who are asked cannot approve the request, if they cannot.
        delivered: recipients that it has reached, as `channel:address`.
        undelivered: recipients that the last attempt has not reached.
        due: when to try next; None if no recipient is left.
        occasion: whether it is the first notice to these approvers, or a reminder.
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
    answerers: tuple[str, ...] | None = None
    obstacle: str | None = None
    delivered: tuple[str, ...] = ()
    undelivered: tuple[str, ...] = ()
    due: datetime | None
    attempts: int = 0
    failure: str | None = None
    occasion: Literal["asked", "reminder"] = "asked"
    risk: Risk = Risk.LOW
    preview: Preview | None = None

    def facts(self) -> dict[str, Any]:
        """The fields that a shared channel may show: ids, names and times, as JSON values.

        Arguments, the goal and links are not among them.
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
