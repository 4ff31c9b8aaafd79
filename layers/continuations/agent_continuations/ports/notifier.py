"""Notifier."""

from typing import Protocol

from agent_continuations.core.notice import Notice


class Notifier(Protocol):
    """A channel to people or machines."""

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        """Send; may send twice, with the same `notice_id`.

        Args:
            address: where to, in the channel's own terms.
            approver: whom the address stands for; a link is made for him. Machines ignore it.

        Raises:
            Retryable: try again later.
            Fatal: this address cannot be reached by this channel.
        """
