"""What really happened, in a file that processes append to and that no death of theirs can tear."""

import json
import os
from pathlib import Path
from typing import NamedTuple

# A kill may end a write at the border of two memory pages. Lines of one length that divides a
# page never lie across such a border, so a line is there as a whole or not at all.
LINE_BYTES = 512


class Entry(NamedTuple):
    """A tool's effect, or a model call that has begun.

    Attributes:
        tool: the tool's name; empty for a model call.
        number: the attempt of a tool's call, the turn of a model call.
        key: a call's idempotency key; of a model call, the digest of the conversation.
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


class Ledger:
    """The file; each process has its own handle to it."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, entry: Entry) -> None:
        """Append one line with one write."""
        line = json.dumps(entry).ljust(LINE_BYTES - 1) + "\n"
        assert len(line) == LINE_BYTES
        os.write(self._file, line.encode())

    def entries(self) -> list[Entry]:
        """All that was noted so far."""
        return [Entry(*json.loads(line)) for line in self._place.read_text().splitlines()]
