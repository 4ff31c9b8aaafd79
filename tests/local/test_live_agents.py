"""The agents of a running system: what is built, imported, released, and what is refused."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pydantic
import pytest

from tests.local import live_agents
from tests.local.agents_folder import UV, AgentsFault, AgentsFolder, BuiltAgents
from tests.local.live_agents import LiveAgents
from tests.local.model_server import Reply
from tests.local.template import ROOT

AGENT = """
from agent_continuations import Agent, tool


@tool
def greet(name: str) -> str:
    '''Greet.'''
    return "hello"


AGENTS = [Agent("greeter", "You greet.", tools=[greet])]
"""
SCRIPT = (
    'from agent_continuations import call, say\nSCRIPT = {"greeter": [call("greet", name="Ada")]}'
)
REQUEST = {
    "model": "m",
    "messages": [{"role": "system", "content": "You greet."}, {"role": "user", "content": "Go."}],
    "tools": [{"type": "function", "function": {"name": "greet"}}],
}

pytestmark = pytest.mark.skipif(not UV.exists(), reason="run `make tools`")


class Fixture:
    """A folder of agents, and what was released of it."""

    def __init__(self, home: Path, folder: Path, library: Path) -> None:
        self.folder = folder
        self.released: list[BuiltAgents] = []
        self.said: list[str] = []
        self.live = LiveAgents(
            AgentsFolder(folder),
            home,
            library,
            self.released.append,
            self.said.append,
        )

    def write(self, code: str, name: str = "__init__.py") -> None:
        package = self.folder / "agents"
        place = package if package.exists() and name != "script.py" else self.folder
        (place / name).write_text(code)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library's layer: its code, and of the packages only those that it needs to import."""
    folder = tmp_path_factory.mktemp("library")
    code = ROOT / "layers" / "continuations" / "agent_continuations"
    (folder / "agent_continuations").symlink_to(code)
    packages = Path(pydantic.__file__).parents[1]
    for name in (
        *("pydantic", "pydantic_core", "annotated_types", "typing_inspection", "docstring_parser"),
        "typing_extensions.py",
    ):
        (folder / name).symlink_to(packages / name)
    return folder


@pytest.fixture(params=["a layer's folder", "a package"])
def agents(request: pytest.FixtureRequest, tmp_path: Path, library: Path) -> Iterator[Fixture]:
    folder = tmp_path / "mine"
    package = folder / "agents" if request.param == "a layer's folder" else folder
    package.mkdir(parents=True)
    fixture = Fixture(tmp_path / "home", folder, library)
    fixture.write(AGENT)
    fixture.write(SCRIPT, "script.py")
    yield fixture
    fixture.live.close()


def refused(agents: Fixture, code: str, name: str = "__init__.py") -> str:
    agents.write(code, name)
    with pytest.raises(AgentsFault) as fault:
        agents.live.deploy()
    return str(fault.value)


def test_agents_are_built_described_released_and_their_script_is_played(agents: Fixture) -> None:
    agents.live.deploy()
    [built] = agents.released
    assert (built.python / "agents" / "__init__.py").read_text() == AGENT
    assert not list(built.python.rglob("script.py")), "the script is not deployed"
    [described] = agents.live.agents
    assert described["name"] == "greeter" and described["startable"] and described["scripted"]
    reply = agents.live.respond(REQUEST)
    assert isinstance(reply, Reply) and reply.tool_calls[0].name == "greet"


def test_a_change_of_the_script_alone_replaces_no_function(agents: Fixture) -> None:
    agents.live.deploy()
    agents.write(SCRIPT.replace("Ada", "Bob"), "script.py")
    agents.live.deploy()
    assert len(agents.released) == 1
    reply = agents.live.respond(REQUEST)
    assert isinstance(reply, Reply) and "Bob" in str(reply.tool_calls[0].arguments)


def test_what_agents_print_does_not_disturb_the_description(agents: Fixture) -> None:
    agents.write(AGENT + "\nprint('{\"agents\": []}')\n")
    agents.live.deploy()
    assert [each["name"] for each in agents.live.agents] == ["greeter"]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("AGENTS = [\n", "SyntaxError"),
        ("import nobody_has_this\n", "No module named 'nobody_has_this'"),
        ("import rich\n", "No module named 'rich'"),  # installed here, and not for functions
        ("AGENTS = None\n", "TypeError"),
        ("", "cannot import name 'AGENTS'"),
        (AGENT.replace("[greet]", "[greet, greet]"), "greeter has two tools named greet"),
        ("import sys; sys.exit(3)\n", "SystemExit: 3"),
        ("import os; os._exit(7)\n", "the process that imports the agents ended (7)"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        (AGENT + "\nraise ValueError('größe \\ud800')\n", "ValueError"),
    ],
)
def test_agents_that_cannot_be_imported_leave_the_good_ones(
    agents: Fixture, code: str, told: str
) -> None:
    agents.live.deploy()
    fault = refused(agents, code)
    assert told in fault
    assert "agents_process" not in fault and "importlib" not in fault
    assert len(agents.released) == 1
    assert isinstance(agents.live.respond(REQUEST), Reply)


def test_a_traceback_names_the_developers_own_files(agents: Fixture) -> None:
    agents.write("def broken():\n    return 1 / 0\n", "helper.py")
    fault = refused(agents, "from agents.helper import broken\nbroken()\n")
    own = agents.live.folder.package
    assert f'File "{own}/__init__.py", line 2' in fault
    assert f'File "{own}/helper.py", line 2, in broken\n    return 1 / 0' in fault


@pytest.mark.parametrize("script", ["SCRIPT = [\n", "SCRIPT = []\n", "1 / 0\n", ""])
def test_a_broken_script_is_refused_as_broken_agents_are(agents: Fixture, script: str) -> None:
    agents.live.deploy()
    fault = refused(agents, script, "script.py")
    assert "script.py" in fault
    assert isinstance(agents.live.respond(REQUEST), Reply)


def test_an_import_that_does_not_end_is_given_up(
    agents: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_agents, "IMPORT_SECONDS", 2.0)
    assert "did not end within 2 s" in refused(agents, "while True: pass\n")


def test_without_a_script_the_model_says_where_to_write_one(agents: Fixture) -> None:
    (agents.folder / "script.py").unlink()
    agents.live.deploy()
    reply = agents.live.respond(REQUEST)
    assert isinstance(reply, Reply) and reply.content
    assert str(agents.folder / "script.py") in reply.content
    assert 'SCRIPT = {"greeter": [call(' in reply.content
    assert not agents.live.agents[0]["scripted"]


def test_a_folder_without_agents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AgentsFault, match="defines the list AGENTS"):
        AgentsFolder(tmp_path).build(tmp_path / "home")


def test_requirements_are_built_into_the_layer(agents: Fixture, tmp_path: Path) -> None:
    """A package on this disk, so that the test needs no network."""
    package = tmp_path / "parcel"
    (package / "parcel").mkdir(parents=True)
    (package / "parcel" / "__init__.py").write_text("SIZE = 7\n")
    with_wheel(package)
    wheel = next(package.glob("*.whl"))
    (agents.folder / "requirements.txt").write_text(f"parcel @ {wheel.as_uri()}\n")
    agents.write("from parcel import SIZE\nassert SIZE == 7\n" + AGENT)
    agents.live.deploy()
    assert (agents.released[0].python / "parcel" / "__init__.py").exists()


def with_wheel(package: Path) -> None:
    """Packs a wheel by hand."""
    from zipfile import ZipFile

    info = "parcel-1.0.dist-info"
    with ZipFile(package / "parcel-1.0-py3-none-any.whl", "w") as wheel:
        wheel.write(package / "parcel" / "__init__.py", "parcel/__init__.py")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: parcel\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        names = ("parcel/__init__.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD")
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))


@pytest.fixture
def watched(agents: Fixture) -> Iterator[Fixture]:
    agents.live.deploy()
    stop = Event()
    watcher = Thread(target=agents.live.watch, args=(stop,))
    watcher.start()
    time.sleep(0.5)  # the watch begins a moment later
    yield agents
    stop.set()
    watcher.join(30)
    assert not watcher.is_alive()


def eventually(look: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_each_change_of_the_folder_is_deployed(watched: Fixture) -> None:
    watched.write(AGENT.replace("hello", "good day"))
    eventually(lambda: len(watched.released) == 2)
    # As editors save: a new file takes the place of the old one.
    package = watched.live.folder.package
    (package / "new~").write_text(AGENT.replace("hello", "hi"))
    (package / "new~").replace(package / "__init__.py")
    eventually(lambda: len(watched.released) == 3)
    watched.write("AGENTS = [\n")
    eventually(lambda: watched.live.broken)
    assert "SyntaxError" in watched.said[-1] and "goes on serving" in watched.said[-1]
    watched.write(AGENT)
    eventually(lambda: not watched.live.broken)
    eventually(lambda: watched.said[-1].startswith("live in "))


def test_a_failure_of_the_functions_update_ends_no_watch(watched: Fixture) -> None:
    release = watched.live._release

    def fail(_built: BuiltAgents) -> None:
        watched.live._release = release
        raise ConnectionError("the emulator is busy")

    watched.live._release = fail
    watched.write(AGENT.replace("hello", "good day"))
    eventually(lambda: watched.live.broken)
    assert "ConnectionError: the emulator is busy" in watched.said[-1]
    watched.write(AGENT.replace("hello", "hi"))
    eventually(lambda: len(watched.released) == 2)
    assert watched.live.broken is None


def test_a_folder_that_is_replaced_as_a_whole_is_watched_again(watched: Fixture) -> None:
    elsewhere = watched.folder.with_name("elsewhere")
    shutil.copytree(watched.folder, elsewhere)
    shutil.rmtree(watched.folder)
    eventually(lambda: watched.live.broken)
    elsewhere.rename(watched.folder)
    watched.write(AGENT.replace("hello", "back"))
    eventually(lambda: len(watched.released) == 2)


def test_the_examples_are_a_folder_like_any_other() -> None:
    assert AgentsFolder(ROOT / "layers" / "agents").script.exists()
