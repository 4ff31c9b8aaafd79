"""The effect of waiting: nothing can be done at a path until something happens outside.

A module of its own, because waits make it and `core.effects`, which imports the waits, returns it.
"""

from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

from agent_continuations.core.base import FrozenModel
from agent_continuations.core.path import Path

RequestKind: TypeAlias = Literal["approval", "question", "condition", "doubt"]
REQUEST_KINDS: Final[tuple[RequestKind, ...]] = get_args(RequestKind)

Reason: TypeAlias = Literal[
    "approval", "question", "condition", "doubt", "timer", "event", "job", "child"
]


class Await(FrozenModel):
    """Nothing can be done at `path` until something happens outside, or `until` passes.

    Attributes:
        request_id: of the question to people, where there is one; of the child run, for that.
        until: when something is due although nothing has happened: a reminder, a deadline, a poll.
    """

    kind: Literal["await"] = "await"
    path: Path
    reason: Reason
    request_id: str | None = None
    until: datetime | None = None

    @property
    def asks_people(self) -> bool:
        """Whether a person's answer to a request is awaited."""
        return self.reason in REQUEST_KINDS
