"""What a run is sent after its start: messages of people, and signals, which are events."""

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
