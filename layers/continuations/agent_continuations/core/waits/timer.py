"""A wait until a time."""

from datetime import datetime
from typing import Literal

from typing_extensions import override

from agent_continuations.core.awaiting import Await
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path
from agent_continuations.core.waits.base import BaseWait


class TimerWait(BaseWait):
    """A wait until a time, at which the call succeeds."""

    kind: Literal["timer"] = "timer"
    until: datetime

    @override
    def awaits(self, path: Path) -> Await:
        """The time."""
        return Await(path=path, reason=self.kind, until=self.until)

    @property
    @override
    def deadline(self) -> datetime:
        """The time."""
        return self.until

    @override
    def _outcome_at_deadline(self, now: datetime) -> Outcome:
        return Outcome(kind="ok", content=f"It is {now.isoformat(timespec='seconds')} now.")
