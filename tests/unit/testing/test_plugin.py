"""The fixture `replay`, in a folder of a user with pytest as a process of its own."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent_continuations import LocalRunner, ScriptedModel, call, say
from tests.local.template import ROOT
from tests.unit.test_public_names import loaded_by

PLUGIN = "agent_continuations.testing.plugin"
PAYMENT = "tests/test_payment.py::test_payment"
AGENTS = """
from agent_continuations import Agent, Approval, tool

LIMIT = 100


@tool(effect="read")
def balance(account: str) -> int:
    return 12_000


@tool(approval=Approval(["cfo@example.com"], when=lambda call: call.arguments["amount"] > LIMIT))
def transfer(amount: int) -> str:
    return f"sent {amount}"


AGENTS = [Agent("clerk", "You pay.", tools=[balance, transfer])]
"""
TESTS = """
from my_agents import AGENTS


def test_payment(replay):
    replay("recordings/payment.json", AGENTS, run=["balance"])


def test_missing(replay):
    replay("recordings/missing.json", AGENTS)


def test_no_json(replay):
    replay("test_payment.py", AGENTS)


def test_no_recording(replay, tmp_path):
    file = tmp_path / "other.json"
    file.write_text("{}")
    replay(file, AGENTS)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with agents, a recording of today, and tests in a folder inside."""
    names: dict[str, object] = {}
    exec(AGENTS, names)
    script = [call("balance", account="a"), call("transfer", amount=250), say("Done.")]
    runner = LocalRunner(names["AGENTS"], ScriptedModel({"clerk": script}))  # type: ignore[arg-type]
    recording = runner.record(runner.start("clerk", "Pay.").run_id)
    (tmp_path / "my_agents.py").write_text(AGENTS)
    (tmp_path / "tests" / "recordings").mkdir(parents=True)
    (tmp_path / "tests" / "recordings" / "payment.json").write_text(recording.model_dump_json())
    (tmp_path / "tests" / "test_payment.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(f'pytest_plugins = ["{PLUGIN}"]\n')
    return tmp_path


def run_pytest(
    folder: Path, *arguments: str, installed: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run pytest, with the plugins of installed packages or without."""
    library = ROOT / "layers" / "continuations"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": f"{folder}:{library}",
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "" if installed else "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unchanged_agent_passes_and_what_is_no_recording_fails(folder: Path) -> None:
    done = run_pytest(folder)
    assert "3 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    path = folder / "tests" / "recordings" / "missing.json"
    assert f"there is no recording {path}; make one with: agent-continuations record" in done.stdout
    assert "test_payment.py is not JSON: Expecting value" in done.stdout
    assert "other.json: not a recording: it has no field 'recording'" in done.stdout
    assert "Traceback" not in done.stdout
    assert "plugin.py" not in done.stdout


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "LIMIT = 100",
            "LIMIT = 300",
            "payment.json: approval is no longer asked for transfer (turn 1 of clerk, path 1.0",
        ),
        ("12_000", "9_000", "payment.json: the result of balance differs (turn 0 of clerk"),
    ],
)
def test_a_changed_agent_fails_with_the_difference(
    folder: Path, before: str, after: str, expected: str
) -> None:
    (folder / "my_agents.py").write_text(AGENTS.replace(before, after))
    done = run_pytest(folder, PAYMENT)
    assert done.returncode == 1
    assert expected in done.stdout
    assert "--- recorded\n+++ now\n@@" in done.stdout
    assert "plugin.py" not in done.stdout


def test_an_installed_library_needs_no_conftest_and_permits_one(folder: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = folder / "agent_continuations-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: agent-continuations\nVersion: 1\n")
    entries = "".join(
        f"{name} = {target}\n" for name, target in project["entry-points"]["pytest11"].items()
    )
    (info / "entry_points.txt").write_text(f"[pytest11]\n{entries}")
    assert run_pytest(folder, PAYMENT, installed=True).returncode == 0
    (folder / "conftest.py").unlink()
    assert run_pytest(folder, PAYMENT, installed=True).returncode == 0
    assert "fixture 'replay' not found" in run_pytest(folder, PAYMENT).stdout


def test_the_plugin_alone_imports_nothing_of_the_library() -> None:
    loaded = loaded_by(f"import {PLUGIN}") - loaded_by("import pytest, json")
    assert {each for each in loaded if each.startswith("agent_continuations")} == {
        "agent_continuations",
        "agent_continuations.testing",
        PLUGIN,
    }
    assert not loaded & {"pydantic", "openai", "boto3", "click"}


def test_the_fixture_is_described(folder: Path) -> None:
    done = run_pytest(folder, "--fixtures")
    _, _, text = done.stdout.partition("replay --")
    assert "A function that fails the test if changed agents differ" in " ".join(text.split())


def test_the_public_names_of_the_package() -> None:
    import agent_continuations.testing as package

    assert package.__all__ == ["Difference", "check_recording"]
    assert package.check_recording.__name__ == "check_recording"
    with pytest.raises(AttributeError, match="has no attribute 'check'"):
        package.check  # noqa: B018
