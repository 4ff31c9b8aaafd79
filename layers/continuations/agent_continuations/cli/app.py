"""The group of all commands, and what several of them share."""

from typing import Any

import click

from agent_continuations.cli.commands import decisions, messages, runs
from agent_continuations.cli.exit_codes import ExitCode
from agent_continuations.cli.options import shared_options

EXIT_CODES = """\b
Exit codes:
  0    done; for commands that wait: the run is completed
  1    refused; for commands that wait: the run failed, was cancelled or parked
  2    the command line is not right, or leaves open what is meant
  3    the run waits for somebody (start --wait, message --wait, tail)
  4    the service could not be reached, is too busy, or failed (5xx)
  130  interrupted

RUN is a run's id, or how the id of one of the newest 100 runs begins. Where REQUEST is
left out, it is the only open one. Put -- before a word that begins with a dash.
"""


class CommandGroup(click.Group):
    """Commands that end quietly when they are interrupted."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None


@click.group(
    cls=CommandGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@shared_options(top=True)
def cli() -> None:
    """Start, watch and answer runs of AI agents that wait for free."""


for command in (
    *(runs.start, runs.list_runs, runs.show, runs.tail, runs.audit),
    *(runs.cancel, runs.pause, runs.resume, runs.redrive),
    *(decisions.approve, decisions.reject, decisions.answer),
    *(messages.message, messages.event),
):
    cli.add_command(command)
