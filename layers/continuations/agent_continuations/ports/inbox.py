"""The inbox: the open requests of each approver, for one page over many runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A request that an approver was asked to answer."""

    run_id: str
    request_id: str


class Inbox(Protocol):
    """Requests by approver. An entry may be out of date: the run knows which requests are open.

    All methods may raise `Retryable`.
    """

    def put(self, tenant: str, approver: str, entry: InboxEntry, *, until: datetime) -> None:
        """Store an entry at least until `until`; putting it again changes only that."""

    def list(self, tenant: str, approver: str, limit: int) -> list[InboxEntry]:
        """The entries of one approver or group, at most `limit`."""

    def drop(self, tenant: str, approver: str, entry: InboxEntry) -> None:
        """Remove an entry, if it exists."""
