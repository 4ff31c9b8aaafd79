"""The base of every kind of wait.

A new kind is a class in a file of its own here, a line in the union in `__init__`, its name in
`core.awaiting.Reason` and its labels in `views.labels`; and the engine must be able to end it.
"""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, Self

from agent_continuations.core.awaiting import Await
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path


class BaseWait(FrozenModel, ABC):
    """The source of an outcome that comes after the tool has returned.

    Instances are stored: the fields and the `kind` literal of a class never change.
    """

    @abstractmethod
    def awaits(self, path: Path) -> Await | None:
        """The effect of the wait of the call at `path`.

        None if people are asked: the effect is that of their request then.
        """

    @property
    @abstractmethod
    def deadline(self) -> datetime | None:
        """When the wait times out; None if it never does."""

    def timed_out(self, now: datetime) -> Outcome | None:
        """The outcome of the call once the deadline has passed; None before that."""
        if self.deadline is None or self.deadline > now:
            return None
        return self._outcome_at_deadline(now)

    def started(self, at: datetime) -> Self:  # noqa: ARG002
        """The wait as it is stored at the time `at`."""
        return self

    def takes(self, name: str, correlation: str | None) -> bool:  # noqa: ARG002
        """Whether an event of this name and correlation ends the wait."""
        return False

    def details(self) -> dict[str, Any]:
        """Details of the wait for `views.waiting.Waiting`, by the names of its fields."""
        return {}

    def _outcome_at_deadline(self, now: datetime) -> Outcome:
        """The outcome of the call at the deadline. A kind that has a deadline overrides it."""
        raise NotImplementedError
