"""Example events."""

from datetime import UTC, datetime

from agent_continuations.core.events import (
    ToolReturned,
)
from agent_continuations.core.outcome import Outcome

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def tool_returned(path: str, text: str = "done") -> ToolReturned:
    """The return of a tool whose result is a text."""
    outcome = Outcome(kind="ok", content=text)
    return ToolReturned(path=path, outcome=outcome, started_at=NOW, at=NOW)
