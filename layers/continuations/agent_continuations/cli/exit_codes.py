"""How a command ends: the exit codes that scripts go by, and the one line that says why."""

from enum import IntEnum
from typing import IO, Any

import click

from agent_continuations.safe_text import escape_line


class ExitCode(IntEnum):
    """An exit code."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    WAITING = 3
    UNREACHABLE = 4
    INTERRUPTED = 130


class CliError(click.ClickException):
    """A command cannot go on. What it says is shown in one line, whosoever the words are."""

    exit_code = ExitCode.REFUSED.value

    def __init__(self, message: str) -> None:
        super().__init__(escape_line(message))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line, on stderr where nothing else is said."""
        click.echo(f"agent-continuations: {self.message}", file=file, err=file is None)


class Refused(CliError):
    """The service says no."""


class InvalidUsage(CliError):
    """It is not clear what is meant, or where."""

    exit_code = ExitCode.USAGE.value


class ServiceUnavailable(CliError):
    """The service says nothing, or nothing that can be used."""

    exit_code = ExitCode.UNREACHABLE.value
