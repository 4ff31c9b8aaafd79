"""Notifiers: one for each channel."""

from typing import Protocol

from agent_continuations.core.notice import Notice


class Notifier(Protocol):
    """A channel to people or machines."""

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        """Send a notice. It may be sent twice, with the same `notice_id`.

        Args:
            address: the recipient, in the channel's own format.
            approver: the approver behind the address, for whom the link is made. Channels to
                machines ignore it.

        Raises:
            Retryable: try again later.
            Fatal: this channel cannot reach this address.
        """
