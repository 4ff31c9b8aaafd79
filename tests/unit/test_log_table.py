"""The table of log lines in functions/README.md: queries and alarms are built on it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.local.template import ROOT

LIBRARY = ROOT / "layers" / "continuations" / "agent_continuations"
README = (ROOT / "functions" / "README.md").read_text()
WRITE = {"debug", "info", "warning", "error", "exception", "_write", "write"}


def documented() -> set[str]:
    table = README.partition("### Log lines")[2].partition("\n- **Level.**")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {message for row in rows for message in re.findall(r"`([^`]+)`", row)}


def written(path: Path) -> Iterator[str]:
    """The messages that a module writes: the first text in each call that writes a line."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=[*arguments]) if (
                name in WRITE
            ):
                yield from texts(arguments[:2])
            case ast.Call(func=ast.Name(id="EventLine"), args=[first, *_]):
                yield from texts([first])
            case ast.Assign(targets=[ast.Name(id="message")], value=value):
                yield from texts([value, *branches(value)])
            case ast.Assign(
                targets=[ast.Tuple(elts=[ast.Name(id="message"), *_])],
                value=ast.Tuple(elts=[first, *_]),
            ):
                yield from texts([first])
            case ast.Return(value=ast.Tuple(elts=[first, *_])) if path.stem == "event_lines":
                yield from texts([first])
            case _:
                pass


def branches(value: ast.expr) -> list[ast.expr]:
    return [value.body, value.orelse] if isinstance(value, ast.IfExp) else []


def texts(found: list[ast.expr]) -> Iterator[str]:
    for each in found:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def test_the_table_has_every_message_and_no_other() -> None:
    modules = [
        *(LIBRARY / "engine").glob("*.py"),
        *(LIBRARY / "handlers").glob("*.py"),
        *(LIBRARY / "notifications").glob("*.py"),
        *(LIBRARY / "adapters" / "queues").glob("*.py"),
        *(ROOT / "functions").rglob("*.py"),
    ]
    assert {message for path in modules for message in written(path)} == documented()


def test_other_modules_write_no_lines() -> None:
    writers = {
        path.parent.relative_to(LIBRARY).parts[0]
        for path in LIBRARY.rglob("*.py")
        if "getLogger" in path.read_text() and path.parent != LIBRARY
    }
    assert writers <= {"adapters", "bootstrap", "engine", "notifications"}
