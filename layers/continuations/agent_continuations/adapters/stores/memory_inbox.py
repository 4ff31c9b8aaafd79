"""Memory inbox."""

from datetime import datetime

from agent_continuations.core.approvals.policy import normalized
from agent_continuations.ports.inbox import InboxEntry


class InMemoryInbox:
    """Keeps what approvers were asked in a dictionary."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], dict[InboxEntry, datetime]] = {}

    def put(self, tenant: str, approver: str, asked: InboxEntry, *, until: datetime) -> None:
        self._asked.setdefault((tenant, normalized(approver)), {})[asked] = until

    def list(self, tenant: str, approver: str, limit: int) -> list[InboxEntry]:
        entries = self._asked.get((tenant, normalized(approver)), {})
        return sorted(entries, key=lambda each: (each.run_id, each.request_id))[:limit]

    def drop(self, tenant: str, approver: str, asked: InboxEntry) -> None:
        self._asked.get((tenant, normalized(approver)), {}).pop(asked, None)
