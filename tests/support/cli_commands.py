"""Commands of the command line client, as its tests run them, and their output."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from click.testing import Result

# Runs a command and checks its exit code; see the fixture `run`.
Run: TypeAlias = Callable[..., Result]


def start_run(run: Run, agent: str) -> str:
    """Starts a run of an agent; returns its id."""
    return run("start", agent, "go").stdout.strip()


def document(result: Result) -> Any:
    """The JSON document that a command printed."""
    return json.loads(result.stdout)
