"""Where in the tree: paths of calls and frames, and the register keys that sort like the tree.

A path is the list of `turn.index` steps from the root to a call, `0.1/2.0`. The frame of a
sub-agent has the path of the call that called it; the root frame has the empty path.
"""

import re
from typing import Literal, NamedTuple, TypeAlias


class Step(NamedTuple):
    """One call: the frame's turn, and the call's place in that turn."""

    turn: int
    call: int


Path: TypeAlias = tuple[Step, ...]
CallRegister: TypeAlias = Literal[
    "hold", "approval", "then", "decision", "doubt", "answer", "wait", "poll", "outcome"
]

ROOT: Path = ()
START_KEY = "!start"


_TEXT = re.compile(r"(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,2})(/(0|[1-9]\d{0,4})\.(0|[1-9]\d{0,2}))*")

# '!' < '.' < '/' < digits < '~': what happens to a call before it runs sorts before its child,
# the child before the call's outcome, and all of that before the frame's next turn. One query in
# key order is therefore a legal order to fold the events in.
_RANK: dict[CallRegister, str] = {
    "hold": "!0hold",
    # Before the question to people that it may lead to.
    "wait": "!0wait",
    "approval": "!1approval",
    "then": "!1then.{attempt:06d}",
    "decision": "!2decision",
    "doubt": "!3.{attempt:03d}.1doubt",
    "answer": "!3.{attempt:03d}.2answer",
    "poll": "!4poll.{attempt:06d}",
    "outcome": "~outcome",
}


def parse_path(text: str) -> Path:
    """Read `0.1/2.0`; the empty text is the root.

    Raises:
        ValueError: the text is not a path.
    """
    if not text:
        return ROOT
    if not _TEXT.fullmatch(text):
        raise ValueError(f"not a path: {text!r}")
    return tuple(Step(*map(int, step.split("."))) for step in text.split("/"))


def path_text(path: Path) -> str:
    """Write a path the way that people and the API see it."""
    return "/".join(f"{turn}.{call}" for turn, call in path)


def _sortable(path: Path) -> str:
    return "/".join(f"{turn:05d}.{call:03d}" for turn, call in path)


def reply_key(frame: Path, turn: int) -> str:
    """The register of a frame's model reply."""
    prefix = f"{_sortable(frame)}/" if frame else ""
    return f"{prefix}{turn:05d}!reply"


def told_key(name: str) -> str:
    """The register of what came from outside without having been asked for: after the start, and
    before all else, so that it is known whenever something is made of it.
    """
    return f"!told.{name}"


def call_key(call: Path, register: CallRegister, attempt: int = 0) -> str:
    """The register of what happened to one call. Doubt can come back, so it counts attempts; what
    happens to a request between the question and the decision has its number in the run's trail;
    polls are numbered.
    """
    return _sortable(call) + _RANK[register].format(attempt=attempt)
