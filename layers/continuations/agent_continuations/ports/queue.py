"""Work queues: wake-up messages to the workers."""

from typing import Protocol


class WorkQueue(Protocol):
    """Sends wake-up messages. A lost one delays a run until the sweeper's next pass."""

    def advance(self, run_id: str) -> None:
        """Send a wake-up message for a new run."""

    def resume(self, run_id: str) -> None:
        """Send a wake-up message for a run that waits no longer, e.g. after a decision."""

    def notify(self, run_id: str, notice_id: str) -> None:
        """Send a wake-up message for a notice in the outbox."""
