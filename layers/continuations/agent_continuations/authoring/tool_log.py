"""Log lines about the code of tools, in the threads that run it; see `engine.log`."""

import json
from collections.abc import Mapping
from contextlib import suppress
from logging import DEBUG, getLogger
from typing import Any

from agent_continuations.authoring.context import ToolContext

MAX_TEXT_CHARACTERS = 2000

_log = getLogger(__name__)


def tool_called(context: ToolContext, agent: str, tool: str, arguments: Mapping[str, Any]) -> None:
    """A tool starts, with these arguments."""
    if _log.isEnabledFor(DEBUG):
        text = json.dumps(arguments, ensure_ascii=False, default=str)
        extra = {**_place(context, agent, tool), "arguments": shortened(text)}
        _log.debug("tool called", extra=extra)


def tool_raised(context: ToolContext, agent: str, tool: str) -> None:
    """A tool raised an exception, of which the model sees the message only."""
    with suppress(Exception):  # to format the author's exception may raise another one
        _log.warning("tool raised", extra=_place(context, agent, tool), exc_info=True)


def poll_raised(context: ToolContext, agent: str, tool: str) -> None:
    """A poll raised an exception, which the model does not see."""
    with suppress(Exception):
        _log.warning("poll raised", extra=_place(context, agent, tool), exc_info=True)


def _place(context: ToolContext, agent: str, tool: str) -> dict[str, Any]:
    place = {"run_id": context.run_id, "agent": agent, "path": context.path}
    return {**place, "tool": tool, "attempt": context.attempt}


def shortened(text: str) -> str:
    """The text of models and people, as a log line has it."""
    return text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS]}…"
