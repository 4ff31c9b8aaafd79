"""The log of real effects: a file that worker processes append to, intact after any kill."""

import json
import os
from pathlib import Path
from typing import NamedTuple

# A kill may end a write at the border of two memory pages. Lines of one length that divides a
# page never lie across such a border, so a line is there as a whole or not at all.
LINE_BYTES = 512


class Record(NamedTuple):
    """The effect of a tool, or the start of a model call.

    Attributes:
        tool: the tool's name; empty for a model call.
        number: the attempt of a tool call, or the turn of a model call.
        key: the idempotency key of a tool call, or the digest of a model call's transcript.
        amount: the argument that the tool ran with.
        at: seconds since 1970.
    """

    run_id: str
    path: str
    tool: str
    number: int
    key: str
    amount: int
    at: float


class EffectLog:
    """The log file; each process has its own handle."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, entry: Record) -> None:
        """Append one line with one write."""
        line = json.dumps(entry).ljust(LINE_BYTES - 1) + "\n"
        assert len(line) == LINE_BYTES
        os.write(self._file, line.encode())

    def records(self) -> list[Record]:
        """All records so far."""
        return [Record(*json.loads(line)) for line in self._place.read_text().splitlines()]
