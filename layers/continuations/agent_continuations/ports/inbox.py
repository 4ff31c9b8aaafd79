"""Inbox."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A request of which somebody was asked."""

    run_id: str
    request_id: str


class Inbox(Protocol):
    """What each approver was asked. An entry is a hint: the run says what is open yet.

    All methods may raise `Retryable`.
    """

    def put(self, tenant: str, approver: str, asked: InboxEntry, *, until: datetime) -> None:
        """Keep an entry, at least until then; again, if it is there already."""

    def list(self, tenant: str, approver: str, limit: int) -> list[InboxEntry]:
        """The entries of one approver, or of one group, at most so many."""

    def drop(self, tenant: str, approver: str, asked: InboxEntry) -> None:
        """Remove an entry, if it is there yet."""
