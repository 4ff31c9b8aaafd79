"""Sessions that people have ended, though the tokens that they were begun with are still valid."""

from datetime import datetime
from typing import Protocol


class EndedSessions(Protocol):
    """The ended sessions. All methods may raise `Retryable`."""

    def end(self, session: str, *, until: datetime) -> None:
        """End a session; kept until its token has expired. A second call changes nothing."""

    def has_ended(self, session: str) -> bool:
        """Whether a session was ended."""
