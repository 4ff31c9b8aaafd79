"""The group of all commands, and what several of them share."""

import sys
from typing import Any, NoReturn

import click

from agent_continuations.cli.drawn import outcome
from agent_continuations.cli.ends import End
from agent_continuations.cli.follow import end_of, settled
from agent_continuations.cli.settings import Settings, shared

CODES = """\b
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


class Commands(click.Group):
    """Commands that end quietly when they are interrupted."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(End.INTERRUPTED) from None


@click.group(cls=Commands, epilog=CODES, context_settings={"help_option_names": ["-h", "--help"]})
@shared(top=True)
def cli() -> None:
    """Start, watch and answer runs of AI agents that wait for free."""


def read_text(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """The value of an argument, or of the standard input where it is a dash."""
    return sys.stdin.read() if value == "-" else value


def _key(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    fits = value is None or (1 <= len(value) <= 255 and value.isascii() and value.isprintable())
    if not fits:
        raise click.BadParameter("must be 1 to 255 characters of ASCII")
    return value


wait_option = click.option("--wait", is_flag=True, help="Until the run ends or waits for somebody.")
key_option = click.option(
    "--key",
    callback=_key,
    help="The Idempotency-Key: the same one again does nothing more. Made up else.",
)


def finish(settings: Settings, run_id: str) -> NoReturn:
    """Wait for a run, tell how it stands, and end with the code for that."""
    document, run = settled(settings.api, run_id)
    settings.tell(document, lambda: outcome(run))
    click.get_current_context().exit(end_of(run) or End.DONE)
