"""The names that a new agent may have: its module's, its variable's and its own are the same."""

import ast
import builtins
import keyword
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from agent_continuations.cli.scaffold.source_edits import CannotEdit, parsed
from agent_continuations.cli.scaffold.source_file import SourceFile
from agent_continuations.cli.scaffold.templates import RESERVED

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


def name_problem(name: str) -> str:
    """The reason why no agent can have a name; empty if one can."""
    if not _NAME.fullmatch(name):
        return "must be a letter followed by at most 39 letters, digits and underscores, in ASCII"
    if keyword.iskeyword(name) or hasattr(builtins, name):
        return "has a meaning in Python"
    if name in sys.stdlib_module_names:
        return "is a module of Python's standard library"
    if name in RESERVED:
        return "is a name that the generated files use"
    return ""


def importable(name: str) -> bool:
    """Whether a package of this name can be imported without hiding another one."""
    reserved = {*sys.stdlib_module_names, "agent_continuations", "tests"}
    return name.isidentifier() and not keyword.iskeyword(name) and name not in reserved


def agent_names(package: Path) -> Iterator[tuple[str, Path]]:
    """The names of the agents that a package defines, with the file of each.

    Found without running anything: names that are computed are not found.
    """
    for path in sorted(package.rglob("*.py")):
        try:
            tree = parsed(SourceFile.read(path).text())
        except (CannotEdit, OSError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called_name(node).lower().endswith("agent"):
                named = [each.value for each in node.keywords if each.arg == "name"]
                for value in (*named, *node.args[:1]):
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield value.value, path


def _called_name(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
