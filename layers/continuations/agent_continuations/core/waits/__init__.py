"""What a call waits for whose tool has said that the outcome comes later: one kind a file."""

from typing import Annotated, TypeAlias

from pydantic import Field

from agent_continuations.core.waits.base import BaseWait
from agent_continuations.core.waits.child import ChildWait
from agent_continuations.core.waits.event import EventWait
from agent_continuations.core.waits.job import JobWait, Poll
from agent_continuations.core.waits.question import QuestionWait
from agent_continuations.core.waits.timer import TimerWait

Wait: TypeAlias = Annotated[
    TimerWait | QuestionWait | EventWait | JobWait | ChildWait, Field(discriminator="kind")
]

__all__ = [
    "BaseWait",
    "ChildWait",
    "EventWait",
    "JobWait",
    "Poll",
    "QuestionWait",
    "TimerWait",
    "Wait",
]
