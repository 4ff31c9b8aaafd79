"""The effect of waiting, and the kinds of requests and waits.

A module of its own: the waits create the effect, and `core.effects` imports the waits.
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
    """Wait at `path` for an external event, or until a time.

    Attributes:
        request_id: the id of the request to people, or of the child run, if there is one.
        until: when something is due without an event: a reminder, a deadline or a poll.
    """

    kind: Literal["await"] = "await"
    path: Path
    reason: Reason
    request_id: str | None = None
    until: datetime | None = None

    @property
    def asks_people(self) -> bool:
        """Whether it waits for people to answer a request."""
        return self.reason in REQUEST_KINDS
