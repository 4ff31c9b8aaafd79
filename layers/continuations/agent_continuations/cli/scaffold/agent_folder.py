"""The folder of a user's agents, and the changes that add an agent to it."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent_continuations.cli.exit_codes import InvalidUsage
from agent_continuations.cli.scaffold import templates
from agent_continuations.cli.scaffold.changes import Change
from agent_continuations.cli.scaffold.names import agent_names, importable, name_problem
from agent_continuations.cli.scaffold.source_edits import (
    CannotEdit,
    add_import,
    add_to_dict,
    add_to_list,
    bound_names,
    find_dict,
    module_of,
    parsed,
)
from agent_continuations.cli.scaffold.source_file import SourceFile

LIBRARY = "agent_continuations"
DEPLOYED_PACKAGE = "agents"


@dataclass(frozen=True)
class AgentFolder:
    """A folder of agents.

    It has the form of a layer, with the package `agents` in it, or is itself the package, which
    is deployed under the name `agents`.
    """

    root: Path

    @property
    def is_package(self) -> bool:
        """Whether the folder is itself the package."""
        inner = self.root / DEPLOYED_PACKAGE / "__init__.py"
        return (self.root / "__init__.py").exists() and not inner.exists()

    @property
    def package(self) -> Path:
        """The folder of the package."""
        return self.root if self.is_package else self.root / DEPLOYED_PACKAGE

    @property
    def package_name(self) -> str:
        """The name under which tests import the package."""
        return self.root.resolve().name if self.is_package else DEPLOYED_PACKAGE

    def test_file(self, name: str) -> Path:
        """The file of an agent's test."""
        return self.root / "tests" / f"test_{name}.py"

    def with_agent(self, name: str) -> list[Change]:
        """The changes that add an agent.

        Raises:
            InvalidUsage: the name cannot be used or is taken, or a file cannot be edited safely.
            OSError: a file cannot be read.
        """
        problem = name_problem(name)
        if problem:
            raise InvalidUsage(f"NAME {name!r} {problem}; choose another one")
        if self.root.exists() and not self.root.is_dir():
            raise InvalidUsage(f"{self.root} is not a folder")
        if not importable(self.package_name):
            hint = "rename it, for example to agents"
            raise InvalidUsage(
                f"the package's folder {self.package_name!r} cannot be imported; {hint}"
            )
        init = SourceFile.read(self.package / "__init__.py")
        script = SourceFile.read(self.root / "script.py")
        self._check_free(name)
        with _located(init.path):
            init_text = self._with_import(init.text(templates.AGENTS), name)
        with _located(script.path):
            script_text = _with_script(script.text(templates.SCRIPT), name)
        agent = templates.AGENT.substitute(NAME=name)
        return [
            Change(self.package / f"{name}.py", None, agent.encode()),
            Change(self.test_file(name), None, self._test(name).encode()),
            init.changed_to(init_text),
            script.changed_to(script_text),
        ]

    def _check_free(self, name: str) -> None:
        files = (self.package / f"{name}.py", self.package / name, self.test_file(name))
        for path in files:
            if path.exists() or path.is_symlink():
                raise InvalidUsage(f"the name {name!r} is taken: {path} exists")
        for taken, path in agent_names(self.package):
            if taken == name:
                raise InvalidUsage(f"the name {name!r} is taken by an agent in {path}")

    def _with_import(self, source: str, name: str) -> str:
        tree = parsed(source)
        if name in bound_names(tree):
            raise CannotEdit(f"{name!r} has a meaning there already; choose another NAME")
        prefix = self._prefix(tree)
        source = add_import(source, f"{prefix}{name}", name, prefix)
        return add_to_list(source, "AGENTS", name)

    def _prefix(self, tree: ast.Module) -> str:
        """The start of the modules that the package imports from itself: as it does already."""
        modules = [module_of(each) for each in tree.body if isinstance(each, ast.ImportFrom)]
        if any(each.startswith(".") for each in modules):
            return "."
        own = f"{self.package_name}."
        if self.package_name == DEPLOYED_PACKAGE or any(each.startswith(own) for each in modules):
            return own
        if any(each.startswith(f"{DEPLOYED_PACKAGE}.") for each in modules):
            raise CannotEdit(
                f"it imports from {DEPLOYED_PACKAGE!r}, but its folder is {self.package_name!r};"
                f" rename the folder, or write `from .module import ...`"
            )
        return "."

    def _test(self, name: str) -> str:
        script = f"{self.package_name}.script" if self.is_package else "script"
        agent = f"from {self.package_name}.{name} import {name}"
        return templates.TEST.substitute(
            NAME=name,
            INPUT=templates.INPUT,
            IMPORTS="\n".join(sorted([agent, f"from {script} import SCRIPT"])),
            LEVELS=2 if self.is_package else 1,
        )


def _with_script(source: str, name: str) -> str:
    tree = parsed(source)
    keys = [each.value for each in find_dict(tree, "SCRIPT").keys if isinstance(each, ast.Constant)]
    if name in keys:
        raise CannotEdit(f"SCRIPT has an entry {name!r} already; choose another NAME")
    imported = {
        alias.asname or alias.name
        for each in tree.body
        if isinstance(each, ast.ImportFrom) and module_of(each) == LIBRARY
        for alias in each.names
    }
    missing = [each for each in templates.SCRIPT_WORDS if each not in imported]
    clashes = bound_names(tree) & {*missing}
    if clashes:
        raise CannotEdit(f"{min(clashes)!r} is not the one of {LIBRARY} there")
    if missing:
        source = add_import(source, LIBRARY, ", ".join(missing), LIBRARY)
    return add_to_dict(source, "SCRIPT", name, templates.SCRIPT_VALUE)


@contextmanager
def _located(path: Path) -> Iterator[None]:
    """Names the file in the errors of its edits.

    Raises:
        InvalidUsage: the file cannot be edited safely.
    """
    try:
        yield
    except CannotEdit as error:
        raise InvalidUsage(f"{path} cannot be extended: {error}") from None
