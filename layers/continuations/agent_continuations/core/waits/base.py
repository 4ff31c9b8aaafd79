"""What every wait can say of itself. A new kind of wait is a class in a file of its own here, and a
line in the union in `__init__`.
"""

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, Self

from agent_continuations.core.awaiting import Await
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path


class BaseWait(FrozenModel, ABC):
    """Where the outcome of a call comes from, once its tool has said that it comes later.

    Instances are stored: the fields and the `kind` literal of a class never change.
    """

    @abstractmethod
    def awaits(self, path: Path) -> Await | None:
        """What must happen outside before the call at `path` can continue.

        None where people are asked: their request is awaited then, not the wait.
        """

    @property
    @abstractmethod
    def deadline(self) -> datetime | None:
        """When the wait ends although nothing has happened; None where it never does."""

    def timed_out(self, now: datetime) -> Outcome | None:
        """The outcome of the call once the deadline has passed; None before that."""
        if self.deadline is None or self.deadline > now:
            return None
        return self._outcome_at_deadline(now)

    def started(self, at: datetime) -> Self:  # noqa: ARG002
        """The wait as it stands once it is on record, which is at `at`."""
        return self

    def takes(self, name: str, correlation: str | None) -> bool:  # noqa: ARG002
        """Whether an event of this name and correlation ends the wait."""
        return False

    def details(self) -> dict[str, Any]:
        """What is shown of the wait besides its deadline, by the fields of `views.Waiting`."""
        return {}

    def _outcome_at_deadline(self, now: datetime) -> Outcome:
        """The outcome of the call at the deadline; every wait that has a deadline defines it."""
        raise NotImplementedError
