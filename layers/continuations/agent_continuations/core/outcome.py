"""How a call ended."""

from typing import Literal

from agent_continuations.core.base import FrozenModel


class Outcome(FrozenModel):
    """The end of a call, with the text that the model sees."""

    kind: Literal["ok", "error", "rejected"]
    content: str
