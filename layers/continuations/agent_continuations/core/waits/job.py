"""A wait for a job that was started in another system."""

from datetime import datetime, timedelta
from typing import Any, Literal, Self

from pydantic import Field
from typing_extensions import override

from agent_continuations.core.awaiting import Await
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path
from agent_continuations.core.waits.base import BaseWait


class Poll(FrozenModel):
    """How often the other system is polled: after so many seconds, doubled up to the longest."""

    first_seconds: float = Field(gt=0)
    longest_seconds: float = Field(gt=0)

    def after(self, polls: int) -> timedelta:
        """How long to wait after so many polls."""
        # The exponent is bounded: a float has no 2 ** 2000.
        doubled = self.first_seconds * 2.0 ** min(polls, 64)
        return timedelta(seconds=min(doubled, self.longest_seconds))


class JobWait(BaseWait):
    """A wait for a job that was started in another system, and is named there by `handle`.

    Attributes:
        poll: None where the other system calls back.
        polls: how often it was polled already.
        poll_at: when to poll it next.
    """

    kind: Literal["job"] = "job"
    handle: Any
    until: datetime
    poll: Poll | None = None
    polls: int = 0
    poll_at: datetime | None = None

    @override
    def awaits(self, path: Path) -> Await:
        """The job's outcome, the next poll or the deadline."""
        return Await(path=path, reason=self.kind, until=min(self.until, self.poll_at or self.until))

    @property
    @override
    def deadline(self) -> datetime:
        """When the job is too late."""
        return self.until

    @override
    def started(self, at: datetime) -> Self:
        """The wait with the time of its first poll, where it is polled."""
        return self.model_copy(update={"poll_at": at + self.poll.after(0)}) if self.poll else self

    def polled(self, poll: Poll, number: int, at: datetime) -> Self:
        """The wait after its poll of this number, which came to nothing yet."""
        return self.model_copy(update={"polls": number, "poll_at": at + poll.after(number)})

    @override
    def _outcome_at_deadline(self, now: datetime) -> Outcome:
        return Outcome(kind="error", content="The job has not finished in time.")
