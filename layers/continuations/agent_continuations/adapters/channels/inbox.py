"""The inbox channel: requests stay in the approver's inbox until they are answered."""

from datetime import timedelta

from agent_continuations.core.notice import Notice
from agent_continuations.ports.inbox import Inbox, InboxEntry

# The time for which an entry is kept after its deadline; requests about calls in doubt have none.
KEPT = timedelta(days=30)
DOUBT_KEPT = timedelta(days=365)


class InboxNotifier:
    """Puts a notice into one approver's inbox; the address is the approver's name."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        """Store one entry.

        Raises:
            Retryable: the entry could not be stored.
        """
        del address
        until = notice.expires_at + KEPT if notice.expires_at else notice.created_at + DOUBT_KEPT
        entry = InboxEntry(notice.run_id, notice.request_id)
        self._inbox.put(notice.tenant, approver, entry, until=until)
