"""Model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent_continuations.core.replies import Reply


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model call. `agent` and `path` name the asker; they do not go over the wire.

    The messages are shared with later calls: an adapter that wants others makes its own. `output`
    is the JSON schema that the answer must fit.
    """

    agent: str
    path: str
    model: str | None
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] | None = None


class Model(Protocol):
    """A chat model."""

    def reply(self, request: ModelRequest) -> Reply:
        """Ask for one reply.

        Raises:
            ModelUnavailable: try again after a while.
            ModelRefused: trying again is useless.
        """
