"""Trials: tests that run against a private copy of the library, in which one module is changed.

The checkout is never written to.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from compileall import compile_dir
from contextlib import contextmanager
from importlib.util import cache_from_source
from multiprocessing import get_context
from pathlib import Path

from tests.mutants.outcomes import PRELOADED, Outcomes, run_tests

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "layers/continuations/agent_continuations"

_processes = get_context("forkserver")
_processes.set_forkserver_preload(list(PRELOADED))


class CannotTry(Exception):
    """The tests say nothing about the mutant."""


class DidNotEnd(CannotTry):
    """The tests took too long, or ended their process."""


class PrivateCopy:
    """The library in a folder of its own.

    Args:
        folder: an empty folder, which the copy is made in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = folder / LIBRARY.name
        shutil.copytree(LIBRARY, self._library)
        # Otherwise each trial would compile it again.
        compile_dir(self._library, quiet=1)

    def source(self, module: str) -> str:
        """The source of a module, named by its path in the library."""
        return (self._library / module).read_text()

    def try_tests(
        self,
        tests: Sequence[str],
        module: str = "__init__.py",
        text: str | None = None,
        *,
        raises: Sequence[str] = (),
        stop_early: bool = False,
        seconds: float = 120,
    ) -> Outcomes:
        """Run tests in a new process.

        Args:
            tests: files, folders or node ids; further arguments of pytest may follow.
            module: the path of a module in the library.
            text: the module's mutated source; None to leave it as it is.
            raises: names of further errors by which a test notices the mutant.
            stop_early: whether the first failure ends the trial.
            seconds: how long the tests may take.

        Raises:
            DidNotEnd: the tests took longer, or ended their process.
            CannotTry: the tests did not import the copy's module.
        """
        arguments = ["-x"] if stop_early else []
        # Pytest would put the folder of the original before that of the copy.
        arguments += ["-o", "pythonpath=. layers/agents functions"]
        arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning", *tests]
        inherited = {name: os.environ[name] for name in os.environ if "PYTEST" not in name}
        environment = inherited | {
            "PYTHONPATH": str(self._folder),
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self._folder / "hypothesis"),
        }
        receiver, sender = _processes.Pipe(duplex=False)
        process = _processes.Process(
            target=run_tests,
            args=(sender, arguments, Outcomes(raises)),
            kwargs={
                "module": _qualified(module),
                "folder": self._folder,
                "root": ROOT,
                "environment": environment,
            },
        )
        with self._changed(module, text):
            process.start()
            sender.close()
            try:
                outcomes = receiver.recv() if receiver.poll(seconds) else None
            except EOFError:
                outcomes = None
            process.kill()
            process.join()
        output = (self._folder / "output.txt").read_text(errors="replace")
        if not isinstance(outcomes, Outcomes):
            raise DidNotEnd(f"the tests did not end in {seconds:.0f} seconds:\n{output}")
        if outcomes.origin != str(self._library / module) and not outcomes.broken:
            raise CannotTry(f"the tests import {module} from {outcomes.origin}:\n{output}")
        return outcomes

    @contextmanager
    def _changed(self, module: str, text: str | None) -> Iterator[None]:
        if text is None:
            yield
            return
        path = self._library / module
        before = path.read_text()
        # Compiled files are told apart by whole seconds and sizes, so none may stay.
        compiled = Path(cache_from_source(str(path)))
        path.write_text(text)
        compiled.unlink(missing_ok=True)
        try:
            yield
        finally:
            path.write_text(before)
            compiled.unlink(missing_ok=True)


def _qualified(module: str) -> str:
    """The name by which a module of the library is imported."""
    parts = [LIBRARY.name, *Path(module).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
