"""`agent-continuations`, the command line client of the HTTP API."""

import sys

REQUIRED_MODULES = ("click", "httpx2", "rich")


def main() -> None:
    """Runs the command line client; `--help` lists the exit codes."""
    try:
        from agent_continuations.cli.app import cli

        for stream in (sys.stdout, sys.stderr):
            # Characters that the terminal's encoding lacks are escaped instead of raising an error.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        cli(prog_name="agent-continuations")
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in REQUIRED_MODULES:
            raise
        sys.exit(
            "agent-continuations: missing dependencies; run pip install 'agent-continuations[cli]'"
        )
