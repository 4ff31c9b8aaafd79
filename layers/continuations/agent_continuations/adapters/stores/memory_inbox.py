"""Memory inbox."""

from datetime import datetime

from agent_continuations.core.approvals.policy import person
from agent_continuations.ports.inbox import Asked


class InMemoryInbox:
    """Keeps what approvers were asked in a dictionary."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], dict[Asked, datetime]] = {}

    def put(self, tenant: str, approver: str, asked: Asked, *, until: datetime) -> None:
        self._asked.setdefault((tenant, person(approver)), {})[asked] = until

    def of(self, tenant: str, approver: str, limit: int) -> list[Asked]:
        entries = self._asked.get((tenant, person(approver)), {})
        return sorted(entries, key=lambda each: (each.run_id, each.request_id))[:limit]

    def drop(self, tenant: str, approver: str, asked: Asked) -> None:
        self._asked.get((tenant, person(approver)), {}).pop(asked, None)
