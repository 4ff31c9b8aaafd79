"""The timeline and the later messages on the page of a run."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from agent_continuations.core.continuation import Continuation
from agent_continuations.core.run import LoadedRun
from agent_continuations.safe_text import escape_json
from agent_continuations.views.timeline import Entry, timeline
from dashboard.rendering import Text, text

MAX_LINES = 200
MAX_MESSAGES = 50
MAX_CHARACTERS = 1000
MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of the timeline; `arguments` are those of a tool that has returned."""

    at: datetime
    kind: str
    agent: str
    tool: str
    text: Text
    arguments: Text | None
    reason: Text | None


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message to the run after its start; `heard` if a model turn includes it."""

    at: datetime
    sender: str
    text: Text
    heard: bool


def lines(loaded: LoadedRun) -> tuple[list[Line], int]:
    """The last entries of the timeline, oldest first, and the number of earlier ones."""
    entries = timeline(loaded.snapshot, loaded.continuation)
    return [_line(each) for each in entries[-MAX_LINES:]], max(len(entries) - MAX_LINES, 0)


def _line(entry: Entry) -> Line:
    returned = entry.kind == "tool" and entry.arguments
    given = text(escape_json(entry.arguments), MAX_CHARACTERS) if returned else None
    return Line(
        at=entry.at,
        kind=entry.kind,
        agent=entry.agent[:MAX_NAME_CHARACTERS],
        tool=(entry.tool or "")[:MAX_NAME_CHARACTERS],
        text=text(entry.text, MAX_CHARACTERS),
        arguments=given,
        reason=text(entry.reason, MAX_CHARACTERS) if entry.reason else None,
    )


def message_rows(root: Continuation) -> list[MessageRow]:
    """The last messages: first those included in a model turn, then those that are not yet."""
    return list(_message_rows(root))[-MAX_MESSAGES:]


def _message_rows(root: Continuation) -> Iterator[MessageRow]:
    included = [message for turn in root.turns for message in turn.heard]
    for heard, messages in ((True, included), (False, root.messages)):
        for each in messages:
            sender = (each.sender or "")[:MAX_NAME_CHARACTERS]
            yield MessageRow(each.at, sender, text(each.text, MAX_CHARACTERS), heard)
