"""Lines that the commands print.

Text from the service is escaped and is never interpreted as markup.
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
from agent_continuations.views.labels import LABELS

MAX_SUMMARY_CHARACTERS = 100
STYLES = {
    "ready": "cyan",
    "running": "cyan",
    "suspended": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
    "parked": "red",
    "moved": "magenta",
}


def line_text(text: str, style: str = "") -> Text:
    """Formats text from the service as one escaped line."""
    return Text(escape_line(text), style=style)


def block_text(text: str, indent: str = "  ") -> Text:
    """Formats multi-line text from the service; the indent sets it apart from this client's."""
    lines = escape(text).split("\n")
    return Text("\n".join(f"{indent}{line}" for line in lines))


def join_parts(*parts: Text | str, by: str = " ") -> Text:
    """Joins the parts that are not empty. A `str` is not escaped: no text from the service."""
    texts = [Text(each) if isinstance(each, str) else each for each in parts]
    return Text(by).join([each for each in texts if each.plain])


def format_time(text: str, pattern: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """Formats a time from the service in UTC; a text that is no time is only escaped."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime(pattern)
    except (ValueError, OverflowError):
        return escape_line(text)


def arguments_text(arguments: dict[str, Any], max_characters: int | None = None) -> Text:
    """Formats arguments like `amount=250, to="bob"`."""
    pairs = (f"{name}={json.dumps(v, ensure_ascii=False)}" for name, v in arguments.items())
    text = escape_line(", ".join(pairs))
    if max_characters is not None and len(text) > max_characters:
        text = f"{text[:max_characters]}…"
    return Text(text)


def call_text(tool: str, arguments: dict[str, Any], max_characters: int | None = None) -> Text:
    """Formats a call like `transfer(amount=250)`."""
    shown = arguments_text(arguments, max_characters)
    return Text.assemble(line_text(tool, "bold"), "(", shown, ")")


def status_text(status: str, *, paused: bool = False) -> Text:
    """Formats a status in its colour."""
    text = line_text(status, STYLES.get(status, ""))
    return join_parts(text, Text("(paused)", "yellow")) if paused else text


def run_lines(items: Iterable[RunSummary]) -> Iterator[Text]:
    """Formats a list of runs in columns, one run a line."""
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
    """Formats an entry of a timeline."""
    style = {"ended": "bold", "approval": "yellow", "escalation": "yellow", "doubt": "red"}
    return join_parts(
        Text(format_time(entry.at, "%H:%M:%S"), "dim"),
        line_text(entry.path, "dim"),
        line_text(entry.agent, "bold"),
        line_text(entry.kind, style.get(entry.kind, "cyan")),
        line_text(f"{entry.tool}:" if entry.tool else ""),
        line_text(entry.text),
        line_text(_reason_text(entry.reason)),
    )


def wait_line(wait: Wait) -> Text:
    """Formats a wait: its kind, the approvers, the deadline and the request id."""
    anyone = "anyone with access to the API" if wait.kind in HUMAN_WAIT_KINDS else ""
    approvers = ", ".join(wait.approvers or ()) or anyone
    until = f"until {format_time(wait.expires_at)}" if wait.expires_at else ""
    correlation = f"(correlation {wait.correlation})" if wait.correlation else ""
    label = LABELS.get(wait.kind)
    return join_parts(
        line_text(label.state if label else f"awaiting {wait.kind}", "yellow"),
        line_text(wait.event or ""),
        line_text(correlation),
        line_text(f"by {approvers}" if approvers else ""),
        until,
        line_text(f"request {wait.request_id}" if wait.kind in HUMAN_WAIT_KINDS else "", "dim"),
    )


def wait_details(wait: Wait) -> Iterator[Text]:
    """Formats the details that an approver needs: message, preview, risk, stages and schema."""
    if wait.kind in ("question", "condition", "doubt", "model"):
        yield line_text(wait.message)
    if wait.preview and wait.preview not in wait.message:
        yield line_text(wait.preview)
    if wait.risk == "high":
        yield Text("high risk: approvers must be signed in", "red")
    yield from stage_lines(wait.stages or ())
    if wait.kind == "question" and wait.answer_schema:
        schema = json.dumps(wait.answer_schema.get("properties", {}), ensure_ascii=False)
        yield join_parts("answer:", line_text(schema))


def stage_lines(stages: Iterable[Stage]) -> Iterator[Text]:
    """Formats the stages of an approval; a single stage that needs one approver is omitted."""
    listed = list(stages)
    if len(listed) == 1 and listed[0].needed == 1:
        return
    for number, stage in enumerate(listed, start=1):
        approved = f"; approved by: {', '.join(stage.approved_by)}" if stage.approved_by else ""
        names = ", ".join(stage.approvers)
        line = line_text(f"stage {number}: {stage.needed} of {names}{approved}")
        line.stylize("" if stage.open else "dim")
        yield line


def outcome_lines(run: Run) -> Iterator[Text]:
    """Formats the state of a run: its result or error, or its waits."""
    yield join_parts(line_text(run.run_id), status_text(run.status, paused=run.paused))
    if run.result is not None:
        yield block_text(run.result)
    if run.error:
        yield block_text(run.error)
    for wait in run.waiting:
        agents = Text(" > ".join(escape_line(each) for each in wait.agents))
        call = call_text(wait.tool, wait.arguments or {}) if wait.tool else ""
        yield join_parts(" ", agents, call)
        yield join_parts("   ", wait_line(wait))
        for line in wait_details(wait):
            yield join_parts("   ", line)


def decision_lines(result: DecisionResult, request: Wait | None) -> Iterator[Text]:
    """Formats the state of a request after a decision.

    Args:
        result: response to the decision.
        request: the request, if it was open before the decision.
    """
    decision = result.decision if result.answer is None else "answer"
    yield join_parts(
        line_text(result.request_id, "dim"),
        line_text(decision, "red" if decision == "reject" else "green"),
        line_text(f"by {result.approver}"),
        line_text(_reason_text(result.reason)),
    )
    if request and request.tool:
        yield join_parts(" ", call_text(request.tool, request.arguments or {}))
    if result.arguments is not None:
        yield join_parts("  edited arguments:", arguments_text(result.arguments))
    if result.answer is not None:
        yield join_parts("  answer:", line_text(json.dumps(result.answer, ensure_ascii=False)))
    if result.open:
        yield Text("  waiting for the other approvers", "yellow")
        for line in stage_lines(result.stages or ()):
            yield join_parts("   ", line)


def _reason_text(reason: str | None) -> str:
    return f"reason: {reason}" if reason else ""
