"""`make run` as a developer uses it: start, change, break, stop, start again, and twice at once."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.e2e.conftest import wait_for
from tests.local.template import ROOT

START_SECONDS = 300.0
AGENT = '''
import time

from agent_continuations import Agent, Approval, tool


@tool(approval=Approval(["boss@example.com"]))
def greet(name: str) -> str:
    """Greet somebody."""
    return f"{greeting} {{name}}"


@tool
def nap(seconds: int) -> str:
    """Sleep."""
    time.sleep(seconds)
    return f"{greeting} rested"


AGENTS = [
    Agent("greeter", "You greet people.", tools=[greet]),
    Agent("sleeper", "You sleep.", tools=[nap]),
]
'''
SCRIPT = """
from agent_continuations import call, say


def greeter(request):
    last = request.messages[-1]
    return say(last["content"]) if last["role"] == "tool" else call("greet", name="Ada")


def sleeper(request):
    last = request.messages[-1]
    return say(last["content"]) if last["role"] == "tool" else call("nap", seconds=4)


SCRIPT = {"greeter": greeter, "sleeper": sleeper}
"""


class Started:
    """A started `make run`, and what it has printed."""

    def __init__(self, home: Path, port: int, agents: Path, **variables: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "OIDC_"))}
        self.output = ""
        self.url = f"http://127.0.0.1:{port}"
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.local"],
            cwd=ROOT,
            env={
                **kept,
                "RUN_DIR": str(home),
                "PORT": str(port),
                "AGENTS_DIR": str(agents),
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                self.output += line

    def ended(self) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(120)
        self._reader.join(10)
        return code

    def shows(self, text: str) -> None:
        """Wait until a text was printed."""

        def look() -> bool:
            ended = self.process.poll() is not None
            assert text in self.output or not ended, f"ended before {text!r}:\n{self.output}"
            return text in self.output

        wait_for(f"{text!r} in the terminal", look, START_SECONDS)

    def stop(self) -> None:
        """Press Ctrl-C, and see that everything ends."""
        self.process.send_signal(signal.SIGINT)
        assert self.ended() == 0, self.output
        assert "Exception in thread" not in self.output
        assert not (self.home / "api_url").exists()
        wait_for("the end of all that was started", lambda: not self.left_behind(), 30)

    def left_behind(self) -> list[str]:
        """The commands of processes that belong to this start."""
        every = subprocess.run(
            ["ps", "-eo", "stat=,args="], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        return [line for line in every if str(self.home) in line and not line.startswith("Z")]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return str(answer.read().decode())

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def submit(self, path: str, **form: str) -> str:
        """Send a form of a page as a browser does; returns the address of the page that follows."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        data = urlencode(form).encode()
        headers = {"Accept": "text/html"}
        with opener.open(urllib.request.Request(self.url + path, data, headers)) as answer:
            assert answer.status == 200
            return str(answer.geturl())

    def started(self, agent: str = "greeter") -> str:
        return str(self.post("/runs", {"agent": agent, "input": "Go on."})["run_id"])

    def run(self, run_id: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.get(f"/runs/{run_id}"))
        return read

    def suspended(self, run_id: str) -> dict[str, Any]:
        return wait_for(
            "the request",
            lambda: ((run := self.run(run_id))["status"] == "suspended" and run) or None,
        )

    def approved(self, run_id: str) -> str:
        """The result of a run after its approval."""
        request = self.suspended(run_id)["waiting"][0]["request_id"]
        body = {"request_id": request, "decision": "approve", "approver": "boss@example.com"}
        self.post(f"/runs/{run_id}/decisions", body)
        return self.result(run_id)

    def result(self, run_id: str) -> str:
        """The result of a run, once it has completed."""

        def look() -> str | None:
            run = self.run(run_id)
            return str(run["result"]) if run["status"] == "completed" else None

        return wait_for("the end", look)


def write_agents(folder: Path, greeting: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_text(AGENT.format(greeting=greeting))
    (folder / "script.py").write_text(SCRIPT)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, Path, int]]:
    """A folder for the state, one with agents, and a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    agents = tmp_path / "agents"
    write_agents(agents, "Hello")
    yield tmp_path / "run", agents, port
    # A failed test must not leave an emulator behind.
    pid = tmp_path / "run" / "ministack" / "pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGKILL)


def test_a_day_of_a_developer(place: tuple[Path, Path, int]) -> None:
    home, agents, port = place
    first = Started(home, port, agents)
    first.shows("ready")
    assert (home / "api_url").read_text() == first.url
    assert "Start greeter" in first.get("/")

    # The start page starts an agent, and opens the inbox of whoever is asked.
    old = first.submit("/start", agent="greeter", input="Greet Ada.").rpartition("/")[2]
    first.suspended(old)
    page = first.get("/")
    assert "boss@example.com" in page and "Open inbox" in page and old in page
    assert first.submit("/sign-in-as", person="boss@example.com").endswith("/approvals")

    # A change is live for new work; what waits goes on with it, as after any deployment.
    for number in range(3):
        write_agents(agents, f"Good day {number},")
        wait_for(
            "the change",
            lambda n=number: f"Good day {n}," in _deployed(home),  # type: ignore[misc]
        )
        first.shows("live in")
    assert first.approved(first.started()) == "Good day 2, Ada"
    assert first.approved(old) == "Good day 2, Ada"

    # A tool that runs meanwhile goes on with its code, and nothing runs twice.
    napping = first.started("sleeper")
    wait_for("the nap", lambda: first.run(napping)["status"] == "running")
    time.sleep(1)
    write_agents(agents, "Good night,")
    wait_for("the change", lambda: "Good night," in _deployed(home))
    assert first.result(napping) == "Good day 2, rested"

    # A broken file: its traceback in the terminal, a page that says so, the good code serves on.
    (agents / "__init__.py").write_text("AGENTS = [\nimport this\n")
    first.shows("the agents were not deployed")
    first.shows("SyntaxError")
    assert str(agents / "__init__.py") in first.output
    assert "is not deployed" in first.get("/")
    assert first.approved(first.started()) == "Good night, Ada"
    write_agents(agents, "Hi")
    wait_for("the mended page", lambda: "is not deployed" not in first.get("/"))
    assert first.approved(first.started()) == "Hi Ada"

    # The log: structured lines in the terminal and in the file that was named at the start.
    log = home / "log.jsonl"
    assert str(log) in first.output
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(line.get("run_id") == old for line in lines)
    wait_for("the run in the terminal", lambda: old in first.output)

    # Another start on the same state ends with one line, and breaks nothing.
    second = Started(home, port + 1 if port < 65_000 else port - 1, agents)
    assert second.ended() == 1
    assert re.fullmatch(r"process \d+ runs on .*: stop it, or set RUN_DIR.*\n", second.output)
    # So does one on a port that is in use, with a state of its own.
    third = Started(home.with_name("other"), port, agents)
    assert third.ended() == 1
    assert third.output.splitlines()[-1].startswith(
        f"port {port}: address already in use; set PORT"
    )
    assert len(third.output.splitlines()) == 1
    assert (home / "api_url").read_text() == first.url
    assert first.run(old)["status"] == "completed"

    waiting = first.started()
    first.suspended(waiting)
    first.stop()

    # The second start builds and downloads nothing, and the run goes on.
    again = Started(home, port, agents)
    again.shows("ready")
    assert "sam build" not in again.output
    assert again.approved(waiting) == "Hi Ada"
    again.stop()


def _deployed(home: Path) -> str:
    """The code that is built for the functions."""
    return "".join(
        path.read_text() for path in (home / "agents").glob("*/python/agents/__init__.py")
    )


def test_ctrl_c_in_every_phase(place: tuple[Path, Path, int]) -> None:
    home, agents, port = place
    for phase in ("importing the agents", "starting MiniStack", "sam build", "sam deploy"):
        stopped = Started(home, port, agents)
        stopped.shows(phase)
        time.sleep(1.0)
        stopped.stop()
    whole = Started(home, port, agents)
    whole.shows("ready")
    assert whole.approved(whole.started()) == "Hello Ada"
    # In the middle of a deployment of a change.
    write_agents(agents, "Bye")
    whole.stop()
    last = Started(home, port, agents)
    last.shows("ready")
    assert last.approved(last.started()) == "Bye Ada"
    last.process.send_signal(signal.SIGINT)
    last.process.send_signal(signal.SIGINT)  # an impatient second Ctrl-C
    last.stop()


def test_a_broken_agents_file_fails_before_anything_is_brought_up(
    place: tuple[Path, Path, int],
) -> None:
    home, agents, port = place
    (agents / "__init__.py").write_text("import a_package_that_nobody_has\nAGENTS = []\n")
    started = Started(home, port, agents)
    assert started.ended() == 1
    assert "ModuleNotFoundError: No module named 'a_package_that_nobody_has'" in started.output
    assert "MiniStack" not in started.output
    assert not (home / "ministack").exists()


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"PORT": "http"}, "PORT must be a number from 0 to 65535: http"),
        ({"PORT": "70000"}, "PORT must be a number from 0 to 65535: 70000"),
        ({"LOG": "loud"}, "LOG must be one of debug, info, warning, error, critical: loud"),
        (
            {"AGENTS_DIR": "/nowhere"},
            "/nowhere has no agents/__init__.py that defines the list AGENTS",
        ),
        ({"PATH": "/nowhere"}, "make is missing: it builds the layers; install it and start again"),
        ({"RUN_DIR": "/dev/null/x"}, "/dev/null/x cannot be written: Not a directory"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    place: tuple[Path, Path, int], variables: dict[str, str], line: str
) -> None:
    home, agents, port = place
    started = Started(home, port, agents, **variables)
    assert started.ended() == 1
    assert started.output.splitlines()[-1] == line
    assert not (home / "ministack").exists()
