"""The command group, with the help text that all commands share."""

from typing import Any

import click

from agent_continuations.cli.commands import decisions, inbound, model_requests, runs
from agent_continuations.cli.exit_codes import ExitCode
from agent_continuations.cli.options import shared_options

EXIT_CODES = """\b
Exit codes:
  0    success; for commands that wait: the run completed
  1    refused; for commands that wait: the run failed, was cancelled or parked
  2    usage error or ambiguous request
  3    the run is waiting for input (start --wait, message --wait, tail)
  4    the service is unreachable, overloaded, or failed (5xx)
  130  interrupted

RUN is a run id, or a unique prefix of the id of one of the newest 100 runs. REQUEST is
a request id or a unique prefix; it may be omitted if only one request is open. Put --
before an argument that starts with a dash.
"""


class CommandGroup(click.Group):
    """A command group that exits with code 130, without a traceback, on Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the selected command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None


@click.group(
    cls=CommandGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@shared_options(top=True)
def cli() -> None:
    """Start, monitor and answer runs of AI agents."""


for command in (
    *(runs.start, runs.list_runs, runs.show, runs.tail, runs.audit),
    *(runs.cancel, runs.pause, runs.resume, runs.redrive),
    *(decisions.approve, decisions.reject, decisions.answer),
    *(inbound.message, inbound.event),
    model_requests.messages,
):
    cli.add_command(command)
