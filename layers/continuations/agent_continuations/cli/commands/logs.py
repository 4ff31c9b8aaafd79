"""The command that prints log lines."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from agent_continuations.cli.exit_codes import InvalidUsage
from agent_continuations.cli.log_lines import log_line, parsed_line, time_of
from agent_continuations.cli.log_sources import LogGroup, file_lines
from agent_continuations.cli.options import LOCAL_LOG_FILE, Settings, shared_options

DEFAULT_GROUP_PERIOD = timedelta(hours=1)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Period(click.ParamType[timedelta]):
    """Parameter type of a period of time, such as `30m`."""

    name = "period"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Parses a number with a unit."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"([0-9]{1,5})([smhd])", value)
        if not found:
            self.fail("must be a number with s, m, h or d, such as 30m", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@click.command()
@click.argument("run", required=False)
@click.option("--follow", "-f", is_flag=True, help="Wait for further lines, until Ctrl-C.")
@click.option(
    "--since",
    type=Period(),
    help="Only lines of the last 30m, 2h or 7d. Default: 1h with --group, otherwise all.",
)
@click.option(
    "--group",
    envvar="AGENT_CONTINUATIONS_LOG_GROUP",
    help="Log group in CloudWatch Logs, the stack's output LogGroup."
    " Default: AGENT_CONTINUATIONS_LOG_GROUP.",
)
@shared_options()
@click.pass_obj
def logs(
    settings: Settings, run: str | None, follow: bool, since: timedelta | None, group: str | None
) -> None:
    """Print log lines of the local stack, or of a log group.

    RUN is a run id or a prefix: only lines of such runs. Without --group, the lines are those in
    .run/log.jsonl. With --json, each line is one JSON object.
    """
    if run is not None and not re.fullmatch(r"[A-Za-z0-9]+", run):
        raise InvalidUsage("RUN must be a run id or a prefix of one")
    for text in _lines(settings, run or "", since, follow, group):
        if not _is_of_run(text, run or ""):
            continue
        if settings.as_json:
            fields = parsed_line(text)
            click.echo(json.dumps({"message": text} if fields is None else fields))
        else:
            settings.print_line(log_line(text))


def _lines(
    settings: Settings, run: str, since: timedelta | None, follow: bool, group: str | None
) -> Iterator[str]:
    now = datetime.now(UTC)
    if group:
        source = LogGroup(group, profile=settings.profile, region=settings.region)
        return source.lines(run=run, since=now - (since or DEFAULT_GROUP_PERIOD), follow=follow)
    lines = file_lines(LOCAL_LOG_FILE, follow=follow)
    return _lines_since(now - since, lines) if since else lines


def _lines_since(start: datetime, lines: Iterator[str]) -> Iterator[str]:
    """Yields the lines since a time. A line without a time belongs to the one before it."""
    recent = False
    for text in lines:
        at = time_of(parsed_line(text) or {})
        recent = at >= start if at else recent
        if recent:
            yield text


def _is_of_run(text: str, run: str) -> bool:
    """Whether a line belongs to a run with this prefix, or names it.

    Blank lines and measurements, which are for machines, belong to none.
    """
    fields = parsed_line(text)
    if fields is None:
        return bool(text.strip()) and run in text
    return "_aws" not in fields and str(fields.get("run_id", "")).startswith(run)
