"""A difference between a recorded run and the same run with changed agents, as readable text."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import takewhile
from typing import Any, NamedTuple

from agent_continuations.safe_text import escape, escape_line

MAX_DIFF_LINES = 200
MAX_COMPARED_LINES = 1000
MAX_LINE_CHARACTERS = 400
CONTEXT_LINES = 3


class Change(NamedTuple):
    """A changed value: what differs, in one sentence, and both values as text or JSON."""

    what: str
    expected: Any
    actual: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference between a recorded run and the same run with changed agents.

    As text it names the place and what differs, and shows a diff of the two values.

    Attributes:
        run: id of the run, which may be a child run.
        path: path of the call that differs, else of the agent's frame; empty for the root.
        agents: names of the agents from the root to the one that differs.
        turn: number of the turn in the agent's frame, from 0.
        what: what differs, in one sentence.
        expected: value in the recording, as text or JSON; None if there is none.
        actual: value that the changed agents give.
    """

    run: str
    path: str
    agents: tuple[str, ...]
    turn: int
    what: str
    expected: Any
    actual: Any

    def __str__(self) -> str:
        path = f", path {self.path}" if self.path else ""
        place = f"turn {self.turn} of {' > '.join(self.agents)}{path}, run {self.run}"
        diff = diff_lines(_value_text(self.expected), _value_text(self.actual))
        return "\n".join([f"{escape_line(self.what)} ({escape_line(place)})", "", *diff])


def diff_lines(expected: str, actual: str) -> list[str]:
    """The lines of a unified diff, escaped for display. A long diff is cut."""
    before, after = _lines(expected), _lines(actual)
    # Equal lines at both ends are set aside, because `difflib` takes quadratic time.
    head = max(0, _equal_lines(before, after) - CONTEXT_LINES)
    before, after = before[head:], after[head:]
    tail = max(0, _equal_lines(before[::-1], after[::-1]) - CONTEXT_LINES)
    before, after = before[: len(before) - tail], after[: len(after) - tail]
    diff = unified_diff(
        before[:MAX_COMPARED_LINES],
        after[:MAX_COMPARED_LINES],
        "recorded",
        "now",
        n=CONTEXT_LINES,
        lineterm="",
    )
    lines = [_renumbered(line, head) if line.startswith("@@") else escape(line) for line in diff]
    if len(lines) > MAX_DIFF_LINES or max(len(before), len(after)) > MAX_COMPARED_LINES:
        return [*lines[:MAX_DIFF_LINES], "... (the rest of the diff is not shown)"]
    return lines


def _equal_lines(before: Sequence[str], after: Sequence[str]) -> int:
    """How many lines are equal at the beginning."""
    pairs = zip(before, after, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _renumbered(hunk: str, skipped: int) -> str:
    return re.sub(r"(?<=[-+])\d+", lambda number: str(int(number[0]) + skipped), hunk)


def _value_text(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def _lines(text: str) -> list[str]:
    """The lines of a text. A long line is split after a backslash, so that a change is in view."""
    long_part = rf".{{{MAX_LINE_CHARACTERS}}}(?=.)"
    return re.sub(long_part, lambda part: part[0] + "\\\n", text).split("\n")
