"""A mutant: the library with one mechanism taken away, and the tests that must notice."""

from dataclasses import dataclass


class Outdated(Exception):
    """The code that a mutant changes has changed: adapt the mutant, or delete it."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One exact replacement in one module.

    Attributes:
        name: what the mutant does wrong.
        module: the module's path in the library.
        before: a text that the module has exactly once.
        after: the text in its place.
        tests: node ids; on the mutant a test of each must fail.
        raises: names of errors, beyond those of assertions and of the library, by which they fail.
    """

    name: str
    module: str
    before: str
    after: str
    tests: tuple[str, ...]
    raises: tuple[str, ...] = ()

    def text(self, source: str) -> str:
        """The module's mutated source.

        Raises:
            Outdated: the module does not have `before` exactly once.
        """
        times = source.count(self.before)
        if times != 1:
            raise Outdated(f"{self.name}: {self.module} has this {times} times:\n{self.before}")
        return source.replace(self.before, self.after)


def unit(file: str, test: str) -> tuple[str, ...]:
    """A test of a file in the unit tests."""
    return (f"tests/unit/{file}::test_{test}",)


def engine(module: str, test: str) -> tuple[str, ...]:
    """A test of the engine."""
    return unit(f"engine/test_{module}.py", test)


def policies(test: str) -> tuple[str, ...]:
    """A test of approval policies."""
    return unit("services/test_policies.py", test)


def grants(test: str) -> tuple[str, ...]:
    """A test of grants."""
    return unit("services/test_grants.py", test)


def simulated(test: str, parameter: str = "") -> tuple[str, ...]:
    """A test of the stores' contract, on the simulated table."""
    return (f"tests/contract/test_store.py::test_{test}[simulated{parameter}]",)


def memory(test: str, parameter: str = "") -> tuple[str, ...]:
    """A test of the stores' contract, on the store in memory."""
    return (f"tests/contract/test_store.py::test_{test}[memory{parameter}]",)
