"""Tries random mutants of the core, the engine and the stores, and prints those that survive.

    make mutants
    .venv/bin/python -m tests.mutants --minutes 60 --seed 4711 engine/scheduler.py

A survivor shows a missing test, or code that changes nothing. A seed makes the same mutants again.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import unified_diff
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeAlias

from tests.mutants.trial import LIBRARY, ROOT, DidNotEnd, PrivateCopy

GENERATOR = ROOT / ".cache/mutants/bin/python"
ENGINE_TESTS = ("tests/unit/engine", "tests/unit/services")
# The tests of each folder, as pytest's arguments; those that notice most come first.
TESTS = {
    "core": ("tests/unit/core", *ENGINE_TESTS),
    "engine": (*ENGINE_TESTS, "tests/unit/operations"),
    "adapters/stores/dynamodb": (
        *("tests/unit/adapters/stores", "tests/contract/test_store.py", "tests/contract"),
        *("-k", "not ministack and not dynamodb-local and not memory"),
    ),
    "adapters/stores/memory": (
        *("tests/contract/test_store.py", "tests/contract/test_inbox.py", "-k", "memory"),
    ),
}
TRIAL_SECONDS = 300

Mutants: TypeAlias = Generator[tuple[str, str], None, None]


class Verdict(StrEnum):
    """What became of a mutant. `BROKEN` is one that cannot be imported, so it proves nothing."""

    KILLED = "killed"
    SURVIVED = "survived"
    BROKEN = "broken"


class Tried(NamedTuple):
    """A mutant that was tried, and its difference to the module."""

    verdict: Verdict
    diff: str


def modules_of(paths: Sequence[str]) -> list[str]:
    """The paths of the modules that are in these files and folders of the library."""
    found: list[Path] = []
    for path in paths or tuple(TESTS):
        given = LIBRARY / path
        found += sorted(given.rglob("*.py")) if given.is_dir() else [given]
    return [str(each.relative_to(LIBRARY)) for each in found if each.name != "__init__.py"]


def tests_of(module: str) -> tuple[str, ...]:
    """The tests of a module, as pytest's arguments."""
    return next(tests for folder, tests in TESTS.items() if module.startswith(f"{folder}/"))


def attempt(library: PrivateCopy, module: str, text: str) -> Tried:
    """Try one mutant."""
    before = library.source(module)
    changed = unified_diff(before.splitlines(), text.splitlines(), module, module, "", "", 2, "")
    try:
        outcomes = library.try_tests(
            tests_of(module), module, text, stop_early=True, seconds=TRIAL_SECONDS
        )
    except DidNotEnd:
        verdict = Verdict.KILLED
    else:
        failed = outcomes.noticed or outcomes.crashed
        verdict = Verdict.KILLED if failed else Verdict.SURVIVED
        verdict = Verdict.BROKEN if outcomes.broken and not failed else verdict
    return Tried(verdict, "\n".join(changed))


def mutants(generator: Path, seed: int, modules: Sequence[str]) -> Mutants:
    """Random mutants, each with its module and the mutated source; they are made when taken."""
    command = [str(generator), str(Path(__file__).with_name("generate.py")), str(seed), *modules]
    with subprocess.Popen(command, cwd=LIBRARY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            for line in process.stdout:
                mutant = json.loads(line)
                yield mutant["module"], mutant["text"]
        finally:
            process.kill()


def try_all(pending: Iterator[tuple[str, str]], end: float) -> Counter[Verdict]:
    """Try mutants on all processors until the time has come, and print those that survive.

    Args:
        pending: the mutants.
        end: by `time.monotonic`; trials that have begun are finished.
    """
    counts: Counter[Verdict] = Counter()
    lock, workers = Lock(), os.cpu_count() or 1

    def work(folder: str) -> None:
        library = PrivateCopy(Path(folder))
        while time.monotonic() < end:
            with lock:
                mutant = next(pending, None)
            if mutant is None:
                return
            tried = attempt(library, *mutant)
            with lock:
                counts[tried.verdict] += 1
                if tried.verdict is Verdict.SURVIVED:
                    print(f"\n{tried.diff}", flush=True)

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, [f"{folder}/{number}" for number in range(workers)]))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.mutants")
    parser.add_argument("paths", nargs="*", help="files or folders of the library")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--generator", type=Path, default=GENERATOR, help="Python with cosmic-ray")
    options = parser.parse_args()
    modules = modules_of(options.paths)
    print(f"seed {options.seed}: {len(modules)} modules, {options.minutes:g} minutes", flush=True)
    pending = mutants(options.generator, options.seed, modules)
    counts = try_all(pending, time.monotonic() + 60 * options.minutes)
    pending.close()
    print("\n" + ", ".join(f"{counts[each]} {each}" for each in Verdict))


if __name__ == "__main__":
    main()
