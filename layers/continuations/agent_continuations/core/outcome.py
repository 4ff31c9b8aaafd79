"""How a call ended."""

from typing import Literal

from agent_continuations.core.base import FrozenModel

MAX_LATE_RESULT_BYTES = 1_000_000
"""The longest text of an outcome, in bytes of its JSON, that comes through a queue."""


class Outcome(FrozenModel):
    """The end of a call, with the text that the model sees."""

    kind: Literal["ok", "error", "rejected"]
    content: str


def too_large(size: int) -> str:
    """The text of an outcome whose own text, of so many bytes, is too large to return."""
    return f"The call is done. Its result of {size:,} bytes is too large to return."
