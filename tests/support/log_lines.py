"""The log lines of the library, as an application sees them that listens to its loggers."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LIBRARY = "agent_continuations"
_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime"}


class LogLines(logging.Handler):
    """Keeps each record."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def named(self, message: str) -> list[dict[str, Any]]:
        """The details of each line with this message."""
        return [details(each) for each in self.records if each.getMessage() == message]

    def messages(self, level: int = logging.INFO) -> list[str]:
        """The messages of a level and those above it, in order."""
        return [each.getMessage() for each in self.records if each.levelno >= level]

    def texts(self, *levels: int) -> str:
        """All that the lines of these levels say, tracebacks included."""
        render = logging.Formatter().format
        found = [each for each in self.records if each.levelno in levels]
        return "\n".join(f"{render(each)} {details(each)}" for each in found)


def details(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says besides its message."""
    return {name: value for name, value in vars(record).items() if name not in _USUAL}


@contextmanager
def log_lines(level: int, *others: str) -> Iterator[LogLines]:
    """The lines that the library and other loggers write in the block, from this level on."""
    lines, loggers = LogLines(), [logging.getLogger(each) for each in (LIBRARY, *others)]
    before = [each.level for each in loggers]
    for logger in loggers:
        logger.addHandler(lines)
        logger.setLevel(level)
    try:
        yield lines
    finally:
        for logger, earlier in zip(loggers, before, strict=True):
            logger.setLevel(earlier)
            logger.removeHandler(lines)


@contextmanager
def silenced() -> Iterator[None]:
    """No line of the library in the block; by default, Python prints warnings."""
    logger = logging.getLogger(LIBRARY)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
