"""A wait for an event from outside."""

from datetime import datetime
from typing import Any, Literal

from typing_extensions import override

from agent_continuations.core.awaiting import Await
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path
from agent_continuations.core.waits.base import BaseWait


class EventWait(BaseWait):
    """A wait for an event of this name, and of this correlation where one is given."""

    kind: Literal["event"] = "event"
    name: str
    correlation: str | None = None
    until: datetime | None = None

    @override
    def awaits(self, path: Path) -> Await:
        """The event, or the deadline."""
        return Await(path=path, reason=self.kind, until=self.until)

    @property
    @override
    def deadline(self) -> datetime | None:
        """When the event is too late, if ever."""
        return self.until

    @override
    def takes(self, name: str, correlation: str | None) -> bool:
        """Whether the names are the same, and the correlations where one is given."""
        return name == self.name and self.correlation in (None, correlation)

    @override
    def details(self) -> dict[str, Any]:
        """The event's name and correlation."""
        return {"event": self.name, "correlation": self.correlation}

    @override
    def _outcome_at_deadline(self, now: datetime) -> Outcome:
        return Outcome(kind="error", content=f"The event {self.name} has not come in time.")
