"""The agents of a running system: a change of their folder is deployed at once.

Each change is built as the agents' layer is, and imported in a process as a function would. If
that works, the functions get it; if not, they keep the code that they have.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

import pydantic
from watchfiles import watch

from tests.local.agents_folder import PYTHON, AgentsFault, AgentsFolder, BuiltAgents
from tests.local.model_server import Fault, Json, Reply
from tests.local.script import reply_of
from tests.local.template import ROOT

IMPORT_SECONDS = 60.0
RETIRE_SECONDS = 60.0
# An editor saves several files, or one in several steps.
DEBOUNCE_MS, STEP_MS, LOOK_MS = 150, 50, 500


class AgentsProcess:
    """A process with built agents, which plays their script.

    Args:
        built: the agents.
        library: folders of the library and its packages.

    Attributes:
        agents: the agents' description.

    Raises:
        AgentsFault: they cannot be imported; the message holds the traceback.
    """

    def __init__(self, built: BuiltAgents, library: list[Path]) -> None:
        path = os.pathsep.join(map(str, [built.python, *library]))
        script = built.folder.script
        self._process = subprocess.Popen(
            # Without the packages of this Python: a function does not have them.
            [PYTHON, "-S", "-P", ROOT / "tests/local/agents_process.py", script, ROOT],
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent, which ends this process
        )
        self._lock = Lock()
        try:
            first = self._first_line()
            if "fault" in first:
                raise AgentsFault(built.with_own_paths(first["fault"]))
        except BaseException:
            self.close()
            raise
        self.agents: list[Json] = first["agents"]

    def reply(self, request: Json) -> Reply | Fault:
        """The script's reply to a request of the protocol."""
        assert self._process.stdin and self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return reply_of(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """Ends the process, in whatever it is busy with."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()

    def retire(self) -> None:
        """Ends the process once it has given the reply that it is busy with."""
        if self._lock.acquire(timeout=RETIRE_SECONDS):
            self._lock.release()
        self.close()

    def _first_line(self) -> Any:
        lines: SimpleQueue[str] = SimpleQueue()
        output = self._process.stdout
        assert output
        Thread(target=lambda: lines.put(output.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=IMPORT_SECONDS)
        except Empty:
            seconds = f"{IMPORT_SECONDS:.0f} s"
            raise AgentsFault(f"the import of the agents did not end within {seconds}") from None
        if not line:
            raise AgentsFault(f"the process that imports the agents ended ({self._process.wait()})")
        return json.loads(line)


@dataclass(frozen=True)
class Broken:
    """A change that could not be deployed: when, and why."""

    at: float
    text: str


class LiveAgents:
    """The agents that the functions have.

    Args:
        folder: the developer's.
        home: folder for what is built.
        library: folder of the built library and its packages.
        release: gives built agents to the functions.
        say: prints a line of progress.
        hold: holds requests back as long as the functions change.

    Attributes:
        agents: the description of the agents that are live.
        broken: the latest change, if it could not be deployed.
    """

    def __init__(
        self,
        folder: AgentsFolder,
        home: Path,
        library: Path,
        release: Callable[[BuiltAgents], None],
        say: Callable[[str], None],
        hold: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.folder = folder
        self.agents: list[Json] = []
        self.broken: Broken | None = None
        self._home = home
        self._library = library
        self._release = release
        self._say = say
        self._hold = hold
        self._live: BuiltAgents | None = None
        self._process: AgentsProcess | None = None
        self._tried: str | None = None  # the digest of the folder that was deployed, or failed

    def load(self) -> None:
        """Imports the agents and plays their script, before there is anything to deploy them to.

        Raises:
            AgentsFault: they cannot be imported.
        """
        # The library that is built is of the last start; this one will be built.
        packages = Path(pydantic.__file__).parents[1]
        library = [ROOT / "layers" / "continuations", packages]
        self._serve(AgentsProcess(self.folder.build(self._home), library))

    def deploy(self) -> None:
        """Deploys the folder as it is now.

        Raises:
            AgentsFault: it cannot be imported; the functions keep what they have.
        """
        self._tried = self.folder.digest()
        built = self.folder.build(self._home)
        process = AgentsProcess(built, [self._library])
        try:
            if built != self._live:
                with self._hold():
                    self._release(built)
        except BaseException:
            process.close()
            raise
        self._serve(process)
        self._live, self.broken = built, None

    def respond(self, request: Json) -> Reply | Fault:
        """The script's reply to a model request."""
        process = self._process
        if process is None:
            return Fault(status=503)
        try:
            return process.reply(request)
        except (OSError, ValueError):
            if process is not self._process:
                return self.respond(request)  # it was replaced meanwhile
            return Fault(status=503)

    def watch(self, stop: Event) -> None:
        """Deploys each change until `stop` is set."""
        while not stop.is_set():
            watched = self._inode()
            if watched is None:
                stop.wait(LOOK_MS / 1000)
                continue
            fresh = True  # something may have changed before the watch began
            for changes in watch(
                self.folder.path,
                debounce=DEBOUNCE_MS,
                step=STEP_MS,
                rust_timeout=LOOK_MS,
                yield_on_timeout=True,
                stop_event=stop,
                raise_interrupt=False,
            ):
                if (changes or fresh) and self.folder.digest() != self._tried:
                    self._try_to_deploy()
                fresh = False
                if self._inode() != watched:  # another folder has this name now: watch that one
                    break

    def _inode(self) -> int | None:
        try:
            return self.folder.path.stat().st_ino
        except OSError:
            return None

    def close(self) -> None:
        """Ends the agents' process."""
        if self._process:
            self._process.close()

    def with_own_paths(self, text: str) -> str:
        """A text with the developer's files in place of the copies that are live."""
        return self._live.with_own_paths(text) if self._live else text

    def _serve(self, process: AgentsProcess) -> None:
        before, self._process = self._process, process
        if before:
            Thread(target=before.retire, daemon=True).start()
        self.agents = process.agents

    def _try_to_deploy(self) -> None:
        started = time.monotonic()
        try:
            self.deploy()
        except Exception as error:  # noqa: BLE001 - a copy or the emulator may fail; watch on
            kind = "" if isinstance(error, AgentsFault) else f"{type(error).__name__}: "
            self.broken = Broken(time.time(), f"{kind}{error}")
            text = self.broken.text
            self._say(f"the agents were not deployed; the code before goes on serving\n{text}")
            return
        names = ", ".join(each["name"] for each in self.agents if each["startable"])
        self._say(f"live in {time.monotonic() - started:.1f} s: {names}")
