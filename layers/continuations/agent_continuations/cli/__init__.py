"""`agent-continuations`, the command line client of the HTTP API."""

import sys

REQUIRED_MODULES = ("click", "httpx2", "rich")


def main() -> None:
    """Entry point. The exit codes stand in `--help`."""
    try:
        from agent_continuations.cli.app import cli

        for stream in (sys.stdout, sys.stderr):
            # What a terminal's alphabet does not have is told as an escape, and no reason to fail.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        cli(prog_name="agent-continuations")
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in REQUIRED_MODULES:
            raise
        sys.exit("agent-continuations: needs pip install 'agent-continuations[cli]'")
