"""The log of a function: JSON lines by Powertools, also for the library's and the agents' lines."""

import json
import os
from logging import WARNING, getLogger
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

# CloudWatch splits a longer event, and then its parts are no JSON.
MAX_TRACEBACK_CHARACTERS = 30_000
_OURS = ("agent_continuations", "agents")


def function_logger(service: str) -> Logger:
    """The logger of a function, to which the library and the agents write, too.

    Everything else, such as AWS's and the model's clients, is logged from WARNING on only: their
    lines contain requests.
    """
    logger = Logger(service=service, logger_formatter=_Formatter())
    # Powertools prefers Lambda's own level, which lets everything through; see the template.
    getLogger(service).setLevel(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))
    getLogger(service).propagate = False  # the runtime has a handler of its own at the root
    getLogger().setLevel(max(WARNING, logger.log_level))
    write_through(logger)
    return logger


def write_through(logger: Logger) -> None:
    """Let the library and the agents write to a function's log, at its level."""
    for name in _OURS:
        ours = getLogger(name)
        ours.handlers = [logger.registered_handler]
        ours.setLevel(logger.log_level)
        ours.propagate = False


class _Formatter(LambdaPowertoolsFormatter):
    """One line of ASCII for each record, with a time that Lambda can read (RFC 3339)."""

    def __init__(self) -> None:
        super().__init__(
            json_serializer=json.JSONEncoder(separators=(",", ":"), default=_text).encode,
            utc=True,
            use_rfc3339=True,
            serialize_stacktrace=False,  # the traceback is in `exception`
        )

    def formatException(self, ei: Any) -> str:  # noqa: N802
        text = super().formatException(ei)
        if len(text) <= MAX_TRACEBACK_CHARACTERS:
            return text
        half = MAX_TRACEBACK_CHARACTERS // 2
        return f"{text[:half]}\n…\n{text[-half:]}"


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a value's own `__str__` fails
        return type(value).__name__
