"""The folder of the agents: `layers/agents`, or the user's own folder in its place."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.local.ministack import PROGRAM
from tests.local.template import ROOT

UV = ROOT / ".cache" / "uv" / "bin" / "uv"
# The functions run under MiniStack's Python: byte code must be that one's.
PYTHON = PROGRAM.with_name("python")
EXAMPLES = ROOT / "layers" / "agents"
_NOT_DEPLOYED = ("script.py", "tests", "README.md")


class AgentsFault(RuntimeError):
    """The agents cannot be used; the message is for the developer."""


@dataclass(frozen=True)
class BuiltAgents:
    """The agents as their layer's own Makefile builds them.

    Attributes:
        python: the folder that goes on the functions' path; it never changes.
        folder: where it was made from.
    """

    python: Path
    folder: "AgentsFolder"

    def with_own_paths(self, text: str) -> str:
        """A text, such as a traceback, with the developer's files in place of their copies."""
        return text.replace(str(self.python / "agents"), str(self.folder.package))


@dataclass(frozen=True)
class AgentsFolder:
    """A folder with agents: a layer's folder, with a package `agents`, or only that package."""

    path: Path

    @property
    def package(self) -> Path:
        """The folder that is imported as `agents`.

        Raises:
            AgentsFault: there is none.
        """
        for package in (self.path / "agents", self.path):
            if (package / "__init__.py").exists():
                return package
        raise AgentsFault(f"{self.path} has no agents/__init__.py that defines the list AGENTS")

    @property
    def script(self) -> Path:
        """The file with the replies of the scripted model, beside the agents."""
        return self.path / "script.py"

    def digest(self) -> str:
        """The digest of all its files; empty as long as it cannot be read."""
        try:
            return _digest(self.path)
        except OSError:  # a file has gone meanwhile
            return ""

    def place(self, layer: Path) -> None:
        """Makes a layer's folder of this one. The layer's Makefile is ours, unless it has its own.

        Raises:
            AgentsFault: there is no package.
        """
        is_package = self.package == self.path
        layer.mkdir(parents=True)
        shutil.copy2(EXAMPLES / "Makefile", layer)
        place = layer / "agents" if is_package else layer
        shutil.copytree(self.path, place, dirs_exist_ok=True, ignore=self._not_deployed)
        if is_package and (place / "requirements.txt").exists():
            (place / "requirements.txt").rename(layer / "requirements.txt")

    def _not_deployed(self, folder: str, names: list[str]) -> set[str]:
        """What stays on this machine: the script, the tests, and what tools leave."""
        junk = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")(folder, names)
        return junk | (set(_NOT_DEPLOYED) if Path(folder) == self.path else set())

    def build(self, home: Path) -> BuiltAgents:
        """Builds the layer into a folder of its own in `home`, named by its content.

        Raises:
            AgentsFault: there is no package, or the build failed.
        """
        source = home / "source"
        shutil.rmtree(source, ignore_errors=True)
        self.place(source)
        built = home / _digest(source)
        if not built.exists():
            unfinished = home / "unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            _make("AgentsLayer", source, unfinished, UV_PYTHON_DOWNLOADS="never")
            unfinished.rename(built)
        return BuiltAgents(built / "python", self)


def chosen_folder() -> AgentsFolder:
    """The folder that `AGENTS_DIR` names, or the examples."""
    named = os.environ.get("AGENTS_DIR")
    return AgentsFolder(Path(named).resolve() if named else EXAMPLES)


def python_version() -> str:
    """The functions' version of Python, such as `3.13`."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _make(layer: str, source: Path, artifacts: Path, **more: str) -> None:
    environment = {
        **os.environ,
        **more,
        "ARTIFACTS_DIR": str(artifacts),
        "UV": str(UV),
        "PYTHON_VERSION": python_version(),
        "PLATFORM": "",
        "PYTHON": str(PYTHON),
    }
    done = subprocess.run(
        ["make", "-s", "-C", str(source), f"build-{layer}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AgentsFault(f"the layer of the agents cannot be built:\n{done.stderr[-3000:]}")


def _digest(folder: Path) -> str:
    digest = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            name = str(path.relative_to(folder)).encode("utf-8", "surrogateescape")
            digest.update(name + b"\0" + sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
