"""What comes to a run from outside: messages, signals, and the restore of the table."""

from datetime import datetime
from typing import Any

from agent_continuations.core.base import FrozenModel


class Message(FrozenModel):
    """A message to a run after its start."""

    message_id: str
    text: str
    sender: str | None = None
    at: datetime


class Signal(FrozenModel):
    """An event from outside that is kept until a call takes it."""

    event_id: str
    name: str
    correlation: str | None = None
    payload: Any = None
    at: datetime


class Restore(FrozenModel):
    """The table was restored to an earlier time, so records of what the run did since are lost.

    Attributes:
        since: the time to which the table was restored.
        until: the time at which the last process that could run a tool had ended.
        at: when this was recorded in the run.
    """

    since: datetime
    until: datetime
    at: datetime
