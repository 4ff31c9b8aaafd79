"""Chat models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent_continuations.core.replies import Reply
from agent_continuations.core.request_profile import RequestProfile


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model call.

    Attributes:
        agent: the calling agent; not sent to the provider.
        path: the agent's address in the run; not sent to the provider.
        model: the model's name; None for the adapter's default.
        messages: the transcript. It is shared with later calls, so an adapter must not change it.
        tools: the tools that the model may call, as JSON schemas.
        settings: further parameters of the provider.
        output: the JSON schema of the answer, if one is required.
    """

    agent: str
    path: str
    model: str | None
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] | None = None

    @property
    def profile(self) -> RequestProfile:
        """What is stored of the request besides its messages and `output`, which the run holds."""
        return RequestProfile.of(self.model, self.tools, self.settings)


class Model(Protocol):
    """A chat model."""

    def reply(self, request: ModelRequest) -> Reply:
        """Return one reply.

        Raises:
            ModelUnavailable: try again later.
            ModelRefused: the provider rejects this request; trying again is useless.
        """
