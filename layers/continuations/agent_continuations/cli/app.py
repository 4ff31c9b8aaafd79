"""The command group, with the help text that all commands share."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from agent_continuations.cli.commands import (
    agents,
    browser,
    decisions,
    grants,
    inbound,
    logs,
    model_requests,
    recordings,
    runs,
)
from agent_continuations.cli.exit_codes import ExitCode
from agent_continuations.cli.options import shared_options

DISTRIBUTION = "agent-continuations"

EXIT_CODES = """\b
Exit codes:
  0    success; for commands that wait: the run completed
  1    refused; for commands that wait: the run failed, was cancelled, parked or
       moved
  2    usage error or ambiguous request
  3    the run is waiting for input (start --wait, message --wait, tail)
  4    the service is unreachable, overloaded, or failed (5xx)
  130  interrupted

RUN is a run id, or a unique prefix of the id of one of the newest 100 runs. REQUEST is
a request id or a unique prefix; it may be omitted if only one request is open. Put --
before an argument that starts with a dash.
"""
# The commands, as the help lists them.
SECTIONS = {
    "Runs": (
        *(runs.start, runs.list_runs, runs.show, runs.tail, browser.open_page, logs.logs),
        *(model_requests.messages, runs.audit, recordings.record),
        *(runs.cancel, runs.pause, runs.resume, runs.redrive),
    ),
    "Decisions, messages and events": (
        *(decisions.approve, decisions.reject, decisions.answer, grants.grants),
        *(inbound.message, inbound.event),
    ),
    "Agents": (agents.agents, agents.new),
}


class CommandGroup(click.Group):
    """A command group with sections in its help. Ctrl-C exits with code 130 and no traceback."""

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands, a section for each subject."""
        longest = max(map(len, self.commands))
        limit = formatter.width - longest - 6
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (f"{each.name or '':{longest}}", each.get_short_help_str(limit))
                        for each in commands
                    ]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the selected command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    try:
        number = version(DISTRIBUTION)
    except PackageNotFoundError:
        number = "(run from its source, not installed)"
    click.echo(f"{DISTRIBUTION} {number}")
    context.exit()


@click.group(
    cls=CommandGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@shared_options(top=True)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version of the installed distribution.",
)
def cli() -> None:
    """Start, monitor and answer runs of AI agents."""


for section in SECTIONS.values():
    for command in section:
        cli.add_command(command)
