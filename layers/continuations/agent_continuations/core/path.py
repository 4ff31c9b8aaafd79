"""Paths of calls and frames in the tree of a run.

A path is the list of `turn.index` steps from the root to a call, such as `0.1/2.0`. The frame of a
sub-agent has the path of the call that started it; the root frame has the empty path.
"""

import re
from typing import NamedTuple, TypeAlias


class Step(NamedTuple):
    """One call of a frame: the number of its turn, and its index in that turn."""

    turn: int
    call: int


Path: TypeAlias = tuple[Step, ...]
ROOT: Path = ()
_TEXT = re.compile(r"(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,2})(/(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,2}))*")


def parse_path(text: str) -> Path:
    """Parse a path such as `0.1/2.0`; the empty text is the root.

    Raises:
        ValueError: the text is not a path.
    """
    if not text:
        return ROOT
    if not _TEXT.fullmatch(text):
        raise ValueError(f"not a path: {text!r}")
    return tuple(Step(*map(int, step.split("."))) for step in text.split("/"))


def path_text(path: Path) -> str:
    """Format a path as it appears in the API and in the journal's events."""
    return "/".join(f"{turn}.{call}" for turn, call in path)
