"""Replies."""

from typing import Literal

from agent_continuations.core.base import FrozenModel


class Usage(FrozenModel):
    """Tokens that model calls took."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


class ToolRequest(FrozenModel):
    """One tool call as the model wrote it; `arguments` is its text, which may be no JSON."""

    name: str
    arguments: str


class Reply(FrozenModel):
    """What a model said.

    Attributes:
        fault: why the text cannot be taken as an answer.
        detail: what is wrong with it, where there is more to say.
        model: which model it was, as its service calls it.
    """

    content: str | None = None
    requests: tuple[ToolRequest, ...] = ()
    fault: Literal["empty", "length", "content_filter", "output"] | None = None
    detail: str | None = None
    usage: Usage = Usage()
    model: str | None = None
