"""What the commands print, in lines. Every word of the service's is made fit to be looked at, and
is text, never markup.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from agent_continuations.cli.models import (
    HUMAN_WAIT_KINDS,
    DecisionResult,
    Run,
    RunSummary,
    Stage,
    TimelineEntry,
    Wait,
)
from agent_continuations.safe_text import escape, escape_line

MAX_SUMMARY_CHARACTERS = 100
STYLES = {
    "ready": "cyan",
    "running": "cyan",
    "suspended": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
    "parked": "red",
}

WANTED = {
    "approval": "approval",
    "question": "an answer",
    "condition": "leave to go on",
    "doubt": "word whether it happened",
    "timer": "its time",
    "event": "the event",
    "job": "its job",
    "child": "its run",
    "model": "the model",
}


def line_text(text: str, style: str = "") -> Text:
    """A text of the service's, in one line."""
    return Text(escape_line(text), style=style)


def block_text(text: str, indent: str = "  ") -> Text:
    """A text of the service's with its lines, each moved in, so that none looks like ours."""
    lines = escape(text).split("\n")
    return Text("\n".join(f"{indent}{line}" for line in lines))


def join_parts(*parts: Text | str, by: str = " ") -> Text:
    """Parts in one line; empty ones are left out. A `str` must be our own."""
    found = [Text(each) if isinstance(each, str) else each for each in parts]
    return Text(by).join([each for each in found if each.plain])


def format_time(text: str, pattern: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """A time of the service's, for people."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime(pattern)
    except (ValueError, OverflowError):
        return escape_line(text)


def arguments_text(arguments: dict[str, Any], longest: int | None = None) -> Text:
    """Arguments as one writes them: `amount=250, to="bob"`."""
    pairs = (f"{name}={json.dumps(v, ensure_ascii=False)}" for name, v in arguments.items())
    text = escape_line(", ".join(pairs))
    return Text(text if longest is None or len(text) <= longest else f"{text[:longest]}…")


def call_text(tool: str, arguments: dict[str, Any], longest: int | None = None) -> Text:
    """A call: `transfer(amount=250)`."""
    return Text.assemble(line_text(tool, "bold"), "(", arguments_text(arguments, longest), ")")


def status_text(status: str, *, paused: bool = False) -> Text:
    """A status in its colour."""
    text = line_text(status, STYLES.get(status, ""))
    return join_parts(text, Text("(paused)", "yellow")) if paused else text


def run_lines(items: Iterable[RunSummary]) -> Iterator[Text]:
    """Runs in a list, one in a line, in columns."""
    rows = [
        (
            line_text(each.run_id),
            status_text(each.status),
            line_text(each.agent, "bold"),
            Text(format_time(each.created_at)),
            line_text(" ".join(f"{name}={value}" for name, value in each.metadata.items()), "dim"),
        )
        for each in items
    ]
    widths = [max(cell_len(cell.plain) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        line = Text()
        for cell, width in zip(row, widths, strict=True):
            line.append_text(cell).append(" " * (width - cell_len(cell.plain) + 2))
        line.rstrip()
        yield line


def entry_line(entry: TimelineEntry) -> Text:
    """A line of a timeline."""
    style = {"ended": "bold", "approval": "yellow", "escalation": "yellow", "doubt": "red"}
    because = f"because: {entry.reason}" if entry.reason else ""
    return join_parts(
        Text(format_time(entry.at, "%H:%M:%S"), "dim"),
        line_text(entry.path, "dim"),
        line_text(entry.agent, "bold"),
        line_text(entry.kind, style.get(entry.kind, "cyan")),
        line_text(f"{entry.tool}:" if entry.tool else ""),
        line_text(entry.text),
        line_text(because),
    )


def wait_line(wait: Wait) -> Text:
    """What is waited for, of whom, until when."""
    asked = ", ".join(wait.approvers or ())
    nobody = "whoever may call the API" if wait.kind in HUMAN_WAIT_KINDS else ""
    until = f"until {format_time(wait.expires_at)}" if wait.expires_at else ""
    event = f"of {wait.correlation}" if wait.correlation else ""
    return join_parts(
        line_text(f"waits for {WANTED.get(wait.kind, wait.kind)}", "yellow"),
        line_text(wait.event or ""),
        line_text(event),
        line_text(f"by {asked or nobody}" if asked or nobody else ""),
        until,
        line_text(f"request {wait.request_id}" if wait.kind in HUMAN_WAIT_KINDS else "", "dim"),
    )


def wait_details(wait: Wait) -> Iterator[Text]:
    """All else that whoever must answer has to know; the arguments in full."""
    if wait.kind in ("question", "condition", "doubt", "model"):
        yield line_text(wait.message)
    if wait.preview and wait.preview not in wait.message:
        yield line_text(wait.preview)
    if wait.risk == "high":
        yield Text("high risk: whoever decides must be signed in", "red")
    yield from stage_lines(wait.stages or ())
    if wait.kind == "question" and wait.answer_schema:
        schema = json.dumps(wait.answer_schema.get("properties", {}), ensure_ascii=False)
        yield join_parts("answer:", line_text(schema))


def stage_lines(stages: Iterable[Stage]) -> Iterator[Text]:
    """The stages of an approval, where there is more to them than one name of one."""
    found = list(stages)
    if len(found) == 1 and found[0].needed == 1:
        return
    for number, stage in enumerate(found, start=1):
        agreed = f"; agreed: {', '.join(stage.approved_by)}" if stage.approved_by else ""
        names = ", ".join(stage.approvers)
        line = line_text(f"stage {number}: {stage.needed} of {names}{agreed}")
        line.stylize("" if stage.open else "dim")
        yield line


def outcome_lines(run: Run) -> Iterator[Text]:
    """How a run stands, for whoever has waited for it: its end, or what it waits for."""
    yield join_parts(line_text(run.run_id), status_text(run.status, paused=run.paused))
    if run.result is not None:
        yield block_text(run.result)
    if run.error:
        yield block_text(run.error)
    for wait in run.waiting:
        who = Text(" > ".join(escape_line(each) for each in wait.agents))
        yield join_parts(" ", who, call_text(wait.tool, wait.arguments or {}) if wait.tool else "")
        yield join_parts("   ", wait_line(wait))
        for line in wait_details(wait):
            yield join_parts("   ", line)


def decision_lines(settled: DecisionResult, asked: Wait | None) -> Iterator[Text]:
    """What stands after a decision.

    Args:
        settled: that.
        asked: the request, if it was open.
    """
    decision = settled.decision if settled.answer is None else "answer"
    yield join_parts(
        line_text(settled.request_id, "dim"),
        line_text(decision, "red" if decision == "reject" else "green"),
        line_text(f"by {settled.approver}"),
        line_text(f"because: {settled.reason}" if settled.reason else ""),
    )
    if asked and asked.tool:
        yield join_parts(" ", call_text(asked.tool, asked.arguments or {}))
    if settled.arguments is not None:
        yield join_parts("  with", arguments_text(settled.arguments))
    if settled.answer is not None:
        yield join_parts("  answer", line_text(json.dumps(settled.answer, ensure_ascii=False)))
    if settled.open:
        yield Text("  others must agree yet", "yellow")
        for line in stage_lines(settled.stages or ()):
            yield join_parts("   ", line)
