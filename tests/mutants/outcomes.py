"""The process of a trial: runs tests, and sends back the outcome of each."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

# Imported before the process of a trial is forked, which then starts in half the time. None of
# them may import the library.
PRELOADED = (
    *("pytest", "_pytest.doctest", "_pytest.junitxml", "_pytest.legacypath", "_pytest.python"),
    *("anyio", "xdist.plugin", "_hypothesis_pytestplugin", "hypothesis.strategies"),
    *("aws_lambda_powertools", "boto3.dynamodb.types", "botocore.session", "pydantic"),
    *("docstring_parser", "itsdangerous", "jsonschema_rs", "pydantic.json_schema"),
)

# The errors by which a test notices a mutant: of an assertion, of `pytest.raises` or `fail`, and
# those that the library raises deliberately. A name that is not defined is no such error.
_NOTICED = {"AssertionError", "Failed", "ContinuationError"}


@dataclass(eq=False)
class Outcomes:
    """The outcomes of tests, by node id; as a pytest plugin it takes them down.

    Attributes:
        raises: names of further errors by which a test notices a mutant.
        noticed: tests that failed by an assertion, or by an error that they may expect.
        crashed: tests that failed by another error, with its name.
        broken: modules that were not collected, fixtures that failed, and errors of pytest.
        origin: the file of the mutated module; None if no test has imported it.
    """

    raises: Sequence[str] = ()
    passed: list[str] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)
    crashed: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    origin: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def pytest_exception_interact(self, node: Any, call: Any, report: Any) -> None:
        names = [each.__name__ for each in call.excinfo.type.__mro__]
        if getattr(report, "when", None) != "call":
            self.broken.append(f"{node.nodeid}: {call.excinfo.exconly()}")
        elif {*names} & {*_NOTICED, *self.raises}:
            self.noticed.append(report.nodeid)
        else:
            self.crashed[report.nodeid] = names[0]


def run_tests(
    results: Connection,
    arguments: Sequence[str],
    outcomes: Outcomes,
    *,
    module: str,
    folder: Path,
    root: Path,
    environment: Mapping[str, str],
) -> None:
    """Run pytest in this process, which ends then, and send the outcomes.

    Args:
        arguments: pytest's.
        module: the name of the mutated module.
        folder: where the library is imported from, and where the output is written to.
        root: the checkout.
        environment: all environment variables.
    """
    output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(root)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [str(folder), str(root)]
    ended = pytest.main(list(arguments), plugins=[outcomes])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        outcomes.broken.append(f"pytest ended with {ended!r}")
    mutated = sys.modules.get(module)
    outcomes.origin = mutated.__file__ if mutated else None
    results.send(outcomes)
    results.close()
    os._exit(0)  # a mutant may have left a thread that never ends
