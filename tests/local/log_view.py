"""The functions' log lines in the terminal, while they are written."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

from rich.console import Console
from rich.text import Text

from agent_continuations.cli.log_lines import log_line

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MAX_FILE_BYTES = 20 * 2**20
FOLDER = Path(__file__).with_name("function_log")


def wanted_level() -> str:
    """The level in the variable `LOG`, such as `debug`; INFO by default.

    Raises:
        ValueError: there is no such level.
    """
    level = (os.environ.get("LOG") or "INFO").upper()
    if level not in LEVELS:
        raise ValueError(f"LOG must be one of {', '.join(LEVELS).lower()}: {os.environ['LOG']}")
    return level


def prepare(file: Path) -> dict[str, str]:
    """Makes room for new lines; returns the variables that let the functions write them."""
    if file.exists() and file.stat().st_size > MAX_FILE_BYTES:
        file.replace(file.with_suffix(".old.jsonl"))
    file.touch(0o600)
    return {"LOCAL_FUNCTION_LOG": str(file), "PYTHONPATH": str(FOLDER)}


def show(file: Path, level: str, console: Console, stop: Event, own: Callable[[str], str]) -> None:
    """Prints each new line of a level or above, until `stop` is set.

    Args:
        file: the functions' log.
        level: the lowest level that is shown.
        console: the terminal.
        own: puts the developer's paths into a line.
    """
    for line in _new_lines(file, stop):
        if _level_of(line) >= LEVELS.index(level):
            console.print(Text("  ") + log_line(own(line)), soft_wrap=True)


def _level_of(line: str) -> int:
    """The position of a line's level; -1 for measurements, which are for machines."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return LEVELS.index("INFO")
    if not isinstance(document, dict):
        return LEVELS.index("INFO")
    if "_aws" in document:
        return -1
    level = document.get("level", "INFO")
    return LEVELS.index(level) if level in LEVELS else LEVELS.index("INFO")


def _new_lines(file: Path, stop: Event) -> Iterator[str]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        lines.seek(0, os.SEEK_END)
        rest = ""
        while True:
            read = lines.readline()
            if read.endswith("\n"):
                yield (rest + read).rstrip("\n")
                rest = ""
            elif read:
                rest += read
            elif stop.is_set():
                return
            else:
                time.sleep(0.1)
