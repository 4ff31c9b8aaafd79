"""`new` makes an agent with a test that passes as it is, or changes nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent_continuations.cli.app import cli
from agent_continuations.cli.scaffold import changes as changes_module
from agent_continuations.cli.scaffold.agent_folder import AgentFolder
from tests.support.cli_commands import document

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTS_DIR", raising=False)
    return tmp_path


def new(name: str, *arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["new", name, *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def run_python(*arguments: str, folder: Path, passed: int | None = None) -> str:
    """Runs Python as its user would, without this repository's settings."""
    path = str(ROOT / "layers" / "continuations")
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if passed is not None:
        assert f"{passed} passed" in done.stdout
    return done.stdout


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder."""
    return {
        str(each.relative_to(folder)): each.read_bytes() if each.is_file() else None
        for each in sorted(folder.rglob("*"))
    }


# -- what is made ----------------------------------------------------------------------------------


def test_a_new_folder_gets_all_files_and_the_tests_pass(home: Path) -> None:
    output = new("refunds", "--dir", "mine").stdout
    assert output.splitlines() == [
        "created mine/agents/refunds.py",
        "created mine/tests/test_refunds.py",
        "created mine/agents/__init__.py",
        "created mine/script.py",
        "Next:",
        "  pytest mine/tests/test_refunds.py",
        "  AGENTS_DIR=mine make run",
        "Then: agent-continuations start refunds 'Refund order o-1001.'",
    ]
    assert "changed mine/script.py" in new("invoices", "--dir", "mine").stdout
    run_python("-m", "pytest", "mine/tests", folder=home, passed=2)
    run_python("-m", "pytest", "test_invoices.py", folder=home / "mine" / "tests", passed=1)


@pytest.mark.parametrize("folder", ["agents", "shop"])
@pytest.mark.parametrize("settings", [False, True], ids=["plain", "in a project"])
def test_a_package_gets_all_files_and_the_tests_pass(
    home: Path, folder: str, settings: bool
) -> None:
    """With settings, pytest imports the package on its own, too."""
    package = home / folder
    package.mkdir()
    (package / "__init__.py").write_text("AGENTS = []\n")
    if settings:
        (home / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    for name in ("refunds", "tools"):
        new(name, "--dir", folder)
    assert {each.name for each in package.iterdir()} >= {"refunds.py", "tools.py", "script.py"}
    run_python("-m", "pytest", f"{folder}/tests", folder=home, passed=2)
    code = f"import {folder} as p; print([each.name for each in p.AGENTS])"
    assert run_python("-c", code, folder=home) == "['refunds', 'tools']\n"


def test_a_package_is_found_from_inside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "shop").mkdir()
    (home / "shop" / "__init__.py").write_text("AGENTS = []\n")
    monkeypatch.chdir(home / "shop")
    new("refunds", "--dir", ".")
    run_python("-m", "pytest", "tests", folder=home / "shop", passed=1)


def test_imports_are_written_as_the_package_writes_them(home: Path) -> None:
    package = home / "shop"
    package.mkdir()
    (package / "other.py").write_text("one = two = 1\n")
    for first, added in {
        "from .other import one": "from .refunds import refunds",
        "from shop.other import one": "from shop.refunds import refunds",
        "import os": "from .refunds import refunds",
    }.items():
        (package / "__init__.py").write_text(f"{first}\n\nAGENTS = []\n")
        new("refunds", "--dir", "shop")
        assert added in (package / "__init__.py").read_text().splitlines()
        for made in ("refunds.py", "script.py", "tests/test_refunds.py"):
            (package / made).unlink()
    (package / "__init__.py").write_text("from agents.other import one\n\nAGENTS = []\n")
    assert "rename the folder" in new("refunds", "--dir", "shop", code=2).stderr


def test_this_repository_s_folder_is_extended_and_stays_clean(home: Path) -> None:
    shutil.copytree(ROOT / "layers" / "agents", home / "layers" / "agents")
    (home / "layers" / "continuations").symlink_to(ROOT / "layers" / "continuations")
    shutil.copy(ROOT / "pyproject.toml", home)
    names = ["refunds", "a" * 40]
    outputs = [new(name).stdout for name in names]
    assert "\n  make run\n" in outputs[0]
    run_python("-m", "ruff", "check", "layers/agents", folder=home)
    run_python("-m", "ruff", "format", "--check", "layers/agents", folder=home)
    output = run_python("-m", "pytest", folder=home)  # the settings name the folder of the tests
    assert "[100%]" in output
    run_python("-m", "pytest", "layers/agents/tests", "-v", folder=home, passed=2)


def test_the_form_of_the_files_is_kept(home: Path) -> None:
    """A byte order mark, the ends of lines, the mode, and a link."""
    package = home / "mine" / "agents"
    package.mkdir(parents=True)
    (home / "real.py").write_bytes(b"\xef\xbb\xbf# caf\xc3\xa9\r\nAGENTS = []\r\n")
    (home / "real.py").chmod(0o640)
    (package / "__init__.py").symlink_to(home / "real.py")
    new("refunds", "--dir", "mine")
    assert (package / "__init__.py").is_symlink()
    assert (home / "real.py").stat().st_mode & 0o777 == 0o640
    assert (home / "real.py").read_bytes() == (
        b"\xef\xbb\xbf# caf\xc3\xa9\r\nfrom agents.refunds import refunds\r\n\r\n"
        b"AGENTS = [refunds]\r\n"
    )


def test_the_words_of_the_script_are_imported_where_they_are_missing(home: Path) -> None:
    (home / "mine").mkdir()
    script = home / "mine" / "script.py"
    script.write_text('from agent_continuations import say\n\nSCRIPT = {"a": [say("hi")]}\n')
    new("refunds", "--dir", "mine")
    run_python("-m", "pytest", "mine/tests", folder=home, passed=1)
    script.write_text("call = 1\nSCRIPT = {}\n")
    assert "'call' is not the one" in new("others", "--dir", "mine", code=2).stderr


def test_the_folder_is_an_option_a_variable_or_the_default(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "give --dir" in new("one", code=2).stderr
    (home / "layers" / "agents").mkdir(parents=True)
    new("one")
    monkeypatch.setenv("AGENTS_DIR", str(home / "two"))
    new("two")
    new("three", "--dir", "three")
    for path in ("layers/agents/agents/one.py", "two/agents/two.py", "three/agents/three.py"):
        assert (home / path).exists()


def test_with_json_the_files_are_listed() -> None:
    output = document(new("refunds", "--dir", "mine", "--json"))
    assert output["agent"] == "refunds"
    assert output["files"][0] == "mine/agents/refunds.py"


# -- what is refused -------------------------------------------------------------------------------

BAD_NAMES = [
    *("", "1st", "two-words", "two words", "_hidden", "__init__", "a.b", "../a", "a/b", "größe"),
    *("class", "None", "list", "print", "email", "queue", "script", "agents", "tests", "conftest"),
    *(
        "refund",
        "tool",
        "Agent",
        "run",
        "request",
        "runner",
        "agent_continuations",
        "a" * 41,
        "a\n",
    ),
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_cannot_be_used_is_refused(home: Path, name: str) -> None:
    refused = new(name, "--dir", "mine", code=2).stderr
    assert refused.startswith("agent-continuations: NAME ")
    assert refused.count("\n") == 1
    assert contents(home) == {}


def test_a_name_that_is_taken_is_refused(home: Path) -> None:
    new("refunds", "--dir", "mine")
    package = home / "mine" / "agents"
    (package / "folder").mkdir()
    (home / "mine" / "tests" / "test_tested.py").touch()
    (package / "more.py").write_text(
        "import lib\nfrom agent_continuations import Agent\n"
        'sub = Agent("sub")\nnamed = lib.Agent(name="named")\nforeign = lib.pydantic_ai_agent(\n'
        '    object(), name="foreign")\n'
    )
    init = package / "__init__.py"
    init.write_text(init.read_text() + "\n\ndef helper():\n    pass\n")
    script = home / "mine" / "script.py"
    script.write_text(script.read_text().replace("SCRIPT = {", 'SCRIPT = {\n    "scripted": [],'))
    before = contents(home)
    for name in (
        *("refunds", "folder", "tested", "sub", "named", "foreign", "helper", "scripted"),
    ):
        refused = new(name, "--dir", "mine", code=2).stderr
        assert "taken" in refused or "choose another NAME" in refused
    assert contents(home) == before


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("agents/__init__.py", b"AGENTS = [", "line 1 is not valid Python"),
        ("agents/__init__.py", b"AGENTS = make()\n", "no list AGENTS"),
        ("agents/__init__.py", b"", "no list AGENTS"),
        ("agents/__init__.py", b"# caf\xe9\nAGENTS = []\n", "not UTF-8"),
        ("agents/__init__.py", b"# one\r\nAGENTS = []\n", "different ways"),
        ("__init__.py", b"x = 1\n", "no list AGENTS"),
        ("script.py", b"print('mine')\n", "no dict SCRIPT"),
        ("script.py", b"SCRIPT = dict(a=1)\n", "no dict SCRIPT"),
    ],
)
def test_a_file_that_cannot_be_extended_is_refused(
    home: Path, file: str, content: bytes, problem: str
) -> None:
    path = home / "mine" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    before = contents(home)
    refused = new("refunds", "--dir", "mine", code=2).stderr
    assert f"mine/{file} cannot be extended: " in refused
    assert problem in refused
    assert contents(home) == before


@pytest.mark.parametrize("folder", ["my-agents", "email", "class", "tests"])
def test_a_package_that_cannot_be_imported_is_refused(home: Path, folder: str) -> None:
    (home / folder).mkdir()
    (home / folder / "__init__.py").write_text("AGENTS = []\n")
    before = contents(home)
    assert "cannot be imported" in new("refunds", "--dir", folder, code=2).stderr
    assert contents(home) == before


def test_a_file_in_place_of_the_folder_is_refused(home: Path) -> None:
    (home / "mine").touch()
    assert "not a folder" in new("refunds", "--dir", "mine", code=2).stderr


# -- all or nothing --------------------------------------------------------------------------------


def test_a_failure_in_the_middle_leaves_nothing_behind(home: Path) -> None:
    (home / "mine").mkdir()
    (home / "mine" / "tests").touch()  # no folder
    before = contents(home)
    refused = new("refunds", "--dir", "mine", code=1).stderr
    assert refused.startswith("agent-continuations: nothing was written: ")
    assert contents(home) == before


@pytest.mark.parametrize("step", range(1, 5))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_at_any_step_leaves_nothing_behind(
    home: Path, monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException
) -> None:
    new("refunds", "--dir", "mine")
    before, steps = contents(home), 0
    make_folders, replace = changes_module._make_folders, changes_module._replace

    def failing(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == step + (step > 2):
                raise error
            return function(*arguments)

        return call

    monkeypatch.setattr(changes_module, "_make_folders", failing(make_folders))
    monkeypatch.setattr(changes_module, "_replace", failing(replace))
    new("invoices", "--dir", "mine", code=130 if isinstance(error, KeyboardInterrupt) else 1)
    assert contents(home) == before


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(home: Path) -> None:
    new("refunds", "--dir", "mine")
    planned = AgentFolder(home / "mine").with_agent("invoices")
    script = home / "mine" / "script.py"
    script.write_text("# mine\n" + script.read_text())
    (home / "mine" / "agents" / "invoices.py").write_text("# mine, too")
    before = contents(home)
    with pytest.raises(FileExistsError):
        changes_module.apply(planned)
    with pytest.raises(OSError, match="changed by another program"):
        changes_module.apply(planned[1:])
    assert contents(home) == before
