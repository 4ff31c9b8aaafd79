"""`--version` prints the version of the installed distribution."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from agent_continuations.cli.app import cli


def test_the_version_of_the_distribution_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "agent_continuations-7.8.9.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: agent-continuations\nVersion: 7.8.9\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = CliRunner().invoke(cli, ["--version"])
    assert (result.exit_code, result.output) == (0, "agent-continuations 7.8.9\n")


def test_without_a_distribution_there_is_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    result = CliRunner().invoke(cli, ["--version"])
    assert (result.exit_code, result.output) == (
        0,
        "agent-continuations (run from its source, not installed)\n",
    )
