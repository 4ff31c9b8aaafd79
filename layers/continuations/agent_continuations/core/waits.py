"""What a call waits for whose tool has said that the outcome comes later, and from where."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.base import FrozenModel


class TimerWait(FrozenModel):
    """Until a time."""

    kind: Literal["timer"] = "timer"
    until: datetime


class QuestionWait(FrozenModel):
    """For a person's answer. `answer` is the JSON schema, of an object, that it must fit."""

    kind: Literal["question"] = "question"
    text: str
    answer: dict[str, Any]
    gate: ApprovalPolicy


class EventWait(FrozenModel):
    """For an event of this name, and of this correlation where one is given."""

    kind: Literal["event"] = "event"
    name: str
    correlation: str | None = None
    until: datetime | None = None


class Poll(FrozenModel):
    """How often the other side is asked: after so many seconds, doubled up to the longest."""

    first_seconds: float = Field(gt=0)
    longest_seconds: float = Field(gt=0)

    def after(self, polls: int) -> timedelta:
        """How long to wait after so many polls."""
        # The exponent is bounded: a float has no 2 ** 2000.
        doubled = self.first_seconds * 2.0 ** min(polls, 64)
        return timedelta(seconds=min(doubled, self.longest_seconds))


class JobWait(FrozenModel):
    """For something that was started elsewhere, and is named there by `handle`.

    Attributes:
        poll: None where the other side calls back.
        polls: how often it was asked already.
        poll_at: when to ask it next.
    """

    kind: Literal["job"] = "job"
    handle: Any
    until: datetime
    poll: Poll | None = None
    polls: int = 0
    poll_at: datetime | None = None


class ChildWait(FrozenModel):
    """For a run of its own that the call has started."""

    kind: Literal["child"] = "child"
    run_id: str


Wait: TypeAlias = Annotated[
    TimerWait | QuestionWait | EventWait | JobWait | ChildWait, Field(discriminator="kind")
]
