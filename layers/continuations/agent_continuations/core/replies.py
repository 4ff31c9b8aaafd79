"""Replies of a model, in a form that no provider's SDK is needed for."""

from typing import Literal

from agent_continuations.core.base import FrozenModel


class Usage(FrozenModel):
    """Token counts of model calls."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


class ToolRequest(FrozenModel):
    """One tool call as the model wrote it; `arguments` is text that may not be valid JSON."""

    name: str
    arguments: str


class Reply(FrozenModel):
    """One reply of a model.

    Attributes:
        content: the text.
        requests: the tool calls that it asks for.
        fault: why the text is not usable as an answer.
        detail: more about the fault, for the model.
        model: the name of the model as its service reports it.
    """

    content: str | None = None
    requests: tuple[ToolRequest, ...] = ()
    fault: Literal["empty", "length", "content_filter", "output"] | None = None
    detail: str | None = None
    usage: Usage = Usage()
    model: str | None = None
