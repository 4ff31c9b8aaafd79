"""How a call ended."""

from typing import Literal

from agent_continuations.core.base import FrozenModel


class Outcome(FrozenModel):
    """How a call ended, in the words that the model sees."""

    kind: Literal["ok", "error", "rejected"]
    content: str
