"""Queue."""

from typing import Protocol


class WorkQueue(Protocol):
    """Queues that make something happen soon. A lost hint costs a minute, never a run."""

    def advance(self, run_id: str) -> None:
        """New work."""

    def resume(self, run_id: str) -> None:
        """A run that something has happened to."""

    def notify(self, run_id: str, notice_id: str) -> None:
        """A notice is in the outbox."""
