"""The command line client, and the API that it calls, on loopback."""

from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent_continuations.cli import client as client_module
from agent_continuations.cli.app import cli
from tests.support.cli_agents import AGENTS, SCRIPTS
from tests.support.cli_commands import Run
from tests.support.cli_server import Server, serve_api
from tests.support.local_harness import LocalHarness


@pytest.fixture
def harness() -> LocalHarness:
    return LocalHarness(agents=AGENTS, scripts=SCRIPTS)


@pytest.fixture
def server(harness: LocalHarness, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(client_module, "RETRY_PAUSES_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("AWS_PROFILE", "AGENT_CONTINUATIONS_URL", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    with serve_api(harness.runner) as found:
        yield found


@pytest.fixture
def run(server: Server) -> Run:
    """Runs a command and checks its exit code."""

    def invoke(*arguments: str, code: int = 0, **more: Any) -> Result:
        result = CliRunner().invoke(cli, ["--url", server.url, *arguments], **more)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        if code in (1, 4) and not result.stdout:
            error = result.stderr.rpartition("Approve? [y/N] ")[2].lstrip("\n")
            assert error.startswith("agent-continuations: ")
            assert error.count("\n") == 1
        return result

    return invoke
