"""The inbox of each approver, in memory."""

from datetime import datetime

from agent_continuations.core.approvals.policy import normalized
from agent_continuations.ports.inbox import InboxEntry


class InMemoryInbox:
    """Keeps inboxes in a dictionary. Entries do not expire."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], dict[InboxEntry, datetime]] = {}

    def put(self, tenant: str, approver: str, entry: InboxEntry, *, until: datetime) -> None:
        self._entries.setdefault((tenant, normalized(approver)), {})[entry] = until

    def list(self, tenant: str, approver: str, limit: int) -> list[InboxEntry]:
        entries = self._entries.get((tenant, normalized(approver)), {})
        return sorted(entries, key=lambda each: (each.run_id, each.request_id))[:limit]

    def drop(self, tenant: str, approver: str, entry: InboxEntry) -> None:
        self._entries.get((tenant, normalized(approver)), {}).pop(entry, None)
