"""A scripted model for tests and demonstrations: its replies are given in advance."""

import json
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeAlias

from agent_continuations.core.replies import Reply, ToolRequest, Usage
from agent_continuations.errors import ModelRefused
from agent_continuations.ports.model import ModelRequest

Script: TypeAlias = Sequence[Reply] | Callable[[ModelRequest], Reply]

# Of the known inputs, in an error.
MAX_LISTED = 10
MAX_SHOWN = 80


def say(content: str) -> Reply:
    """A text reply, which completes the agent."""
    return Reply(content=content, usage=Usage(input_tokens=1, output_tokens=1))


def call(tool: str, **arguments: Any) -> Reply:
    """A reply that calls one tool."""
    return calls((tool, arguments))


def calls(*requests: tuple[str, Mapping[str, Any]], content: str | None = None) -> Reply:
    """A reply that calls several tools at once, with a text beside them if `content` is given."""
    return Reply(
        content=content,
        requests=tuple(
            ToolRequest(name=name, arguments=json.dumps(arguments)) for name, arguments in requests
        ),
        usage=Usage(input_tokens=1, output_tokens=1),
    )


def by_input(scripts: Mapping[str, Sequence[Reply]]) -> Script:
    """A script for an agent that is called several times in one run, each time with another input.

    Args:
        scripts: by the input of the call, the replies in order.
    """

    def reply(request: ModelRequest) -> Reply:
        given = next(each["content"] for each in request.messages if each["role"] == "user")
        if given not in scripts:
            known = ", ".join(map(_shortened, list(scripts)[:MAX_LISTED]))
            more = f" and {len(scripts) - MAX_LISTED} more" if len(scripts) > MAX_LISTED else ""
            raise ModelRefused(
                f"the script of {request.agent} has no input {_shortened(given)};"
                f" it has {known or 'none'}{more}"
            )
        return _next_reply(scripts[given], request)

    return reply


class ScriptedModel:
    """A model that follows a script for each agent; safe between threads.

    Args:
        scripts: by agent name, the replies in order (each frame of the agent begins anew), or a
            function from the request to a reply, such as `by_input` returns.

    Attributes:
        requests: every request that was made, in order.
    """

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self.scripts = scripts
        self.requests: list[ModelRequest] = []
        self._lock = Lock()

    def reply(self, request: ModelRequest) -> Reply:
        with self._lock:
            self.requests.append(request)
        script = self.scripts.get(request.agent)
        if script is None:
            raise ModelRefused(f"there is no script for the agent {request.agent}")
        if not isinstance(script, Sequence):
            return script(request)
        return _next_reply(script, request)


def _next_reply(replies: Sequence[Reply], request: ModelRequest) -> Reply:
    # The position in the script is derived from the conversation, so no process must keep it.
    turn = sum(message["role"] == "assistant" for message in request.messages)
    if turn >= len(replies):
        raise ModelRefused(f"the script of {request.agent} ends before turn {turn}")
    reply: Reply = replies[turn]
    return reply


def _shortened(input: str) -> str:
    return repr(input if len(input) <= MAX_SHOWN else f"{input[:MAX_SHOWN]}...")
