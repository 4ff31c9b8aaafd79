"""Exit codes, which scripts rely on, and the errors that map to them."""

from enum import IntEnum
from typing import IO, Any

import click

from agent_continuations.safe_text import escape_line


class ExitCode(IntEnum):
    """Exit code of a command."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    WAITING = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


class CliError(click.ClickException):
    """Base of the errors that end a command; the message is printed as one escaped line."""

    exit_code = ExitCode.REFUSED.value

    def __init__(self, message: str) -> None:
        super().__init__(escape_line(message))

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints the message to `file`, or to stderr by default."""
        click.echo(f"agent-continuations: {self.message}", file=file, err=file is None)


class Refused(CliError):
    """The service refuses the request."""


class InvalidUsage(CliError):
    """The command line is invalid or ambiguous, or the configuration is incomplete."""

    exit_code = ExitCode.USAGE.value


class ServiceUnavailable(CliError):
    """The service is unreachable, overloaded, or returns an unusable response."""

    exit_code = ExitCode.UNREACHABLE.value
