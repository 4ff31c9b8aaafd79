"""Log lines of the functions for a terminal: one line each, and the traceback below.

The functions write JSON by Powertools' `Logger`; Lambda's own lines have other fields. Text from a
log is escaped and is never interpreted as markup.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from agent_continuations.cli.rendering import block_text, join_parts, line_text
from agent_continuations.safe_text import escape_line

_LEVEL_STYLES = {
    "DEBUG": "dim",
    "INFO": "green",
    "WARNING": "yellow",
    "ERROR": "bold red",
    "CRITICAL": "bold red",
}
# Fields with a place of their own in the line.
_PLACED = {
    *("timestamp", "time", "level", "service", "message", "errorMessage", "type"),
    *("run_id", "agent", "path", "duration_ms", "exception", "stackTrace"),
}
# The same in every line of a function, or said by another field.
_OMITTED = {
    *("function_arn", "function_memory_size", "cold_start", "xray_trace_id", "sampling_rate"),
    *("exception_name", "stack_trace", "_aws"),
}
# Needed to find the cause of a problem only.
_CONTEXT = {"function_name", "function_request_id", "requestId", "location", "logger"}


def parsed_line(text: str) -> Mapping[str, Any] | None:
    """The fields of a log line; None if it is not a JSON object."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def time_of(fields: Mapping[str, Any]) -> datetime | None:
    """The time of a log line, in UTC; None if it has none."""
    for name in ("timestamp", "time"):
        try:
            found = datetime.fromisoformat(fields[name])
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
    return None


def log_line(text: str) -> Text:
    """Formats a log line: time, level, service, message, run, agent, place, duration, the rest.

    A traceback follows in lines of its own, indented. A line that is no JSON object is only
    escaped.
    """
    fields = parsed_line(text)
    if fields is None:
        return line_text(text)
    at, level = time_of(fields), _text(fields.get("level"))
    line = join_parts(
        Text(f"{at:%m-%d %H:%M:%S}.{at.microsecond // 1000:03}" if at else "", "dim"),
        line_text(level, _LEVEL_STYLES.get(level, "")),
        line_text(_text(fields.get("service")), "cyan"),
        line_text(_message(fields), "bold"),
        line_text(_text(fields.get("run_id")), "dim"),
        line_text(_text(fields.get("agent")), "magenta"),
        line_text(_text(fields.get("path"))),
        line_text(_duration(fields.get("duration_ms")), "cyan"),
        Text(_other_fields(fields, problem=level not in ("DEBUG", "INFO")), "dim"),
    )
    trace = _traceback(fields)
    return Text("\n").join([line, block_text(trace, "    ")]) if trace else line


def _message(fields: Mapping[str, Any]) -> str:
    """The message; of Lambda's own lines, the error or the kind of line."""
    for name in ("message", "errorMessage", "type"):
        if fields.get(name):
            return _text(fields[name])
    return ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _duration(milliseconds: Any) -> str:
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
        return _text(milliseconds)
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.3g} ms"


def _other_fields(fields: Mapping[str, Any], *, problem: bool) -> str:
    hidden = _PLACED | _OMITTED | (set() if problem else _CONTEXT)
    pairs = (f"{name}={_text(value)}" for name, value in fields.items() if name not in hidden)
    return " ".join(map(escape_line, pairs))


def _traceback(fields: Mapping[str, Any]) -> str:
    trace = fields.get("exception") or fields.get("stackTrace") or ""
    lines = trace if isinstance(trace, list) else [trace]
    return "\n".join(_text(line).rstrip() for line in lines)
