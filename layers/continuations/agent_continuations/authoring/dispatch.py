"""The rule of dispatch: the call that people decided on is the call that runs.

The engine applies it before it stores an intent, and the host right before the body.
"""

from hashlib import sha256
from typing import Any

from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.schema import Arguments, ArgumentsRefused
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.ids import canonical_json
from agent_continuations.ports.tool_host import DecidedContent


class DispatchRefused(Exception):
    """The tool, as it is deployed here, does not take the call.

    Attributes:
        shown: the arguments as people would be shown them now, if they can be read.
    """

    def __init__(self, reason: str, shown: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.shown = shown


def shown_hash(shown: dict[str, Any]) -> str:
    """The hash of arguments as they are shown."""
    return sha256(canonical_json(shown).encode("utf-8", "surrogatepass")).hexdigest()


def deployed_tool(registry: Registry, agent: str, name: str) -> Tool:
    """The tool of an agent, as it is deployed here.

    Raises:
        DispatchRefused: there is none.
    """
    found = registry.find(agent)
    tool = found.tool(name) if found else None
    if not isinstance(tool, Tool):
        raise DispatchRefused(f"the tool {name} of the agent {agent} is gone")
    return tool


def dispatched(tool: Tool, raw: str, decided: DecidedContent | None) -> Arguments:
    """The arguments of a call that may run, read from its text.

    Args:
        tool: the tool as it is deployed here.
        raw: the text.
        decided: what people decided on; None if the call needed nobody.

    Raises:
        DispatchRefused: the tool does not take the text, or what people were shown has changed.
    """
    try:
        arguments = tool.arguments.read(raw)
    except ArgumentsRefused as error:
        raise DispatchRefused(
            f"the tool {tool.name} no longer admits its arguments: {error}"
        ) from None
    if decided is None:
        return arguments
    if tool.arguments.is_pinned and tool.schema_version != decided.schema_version:
        raise DispatchRefused(
            f"the schema of the tool {tool.name} has changed since people were asked"
        )
    if shown_hash(arguments.shown) != decided.shown_hash:
        raise DispatchRefused(
            f"the tool {tool.name} would now run with other arguments than people decided on",
            arguments.shown,
        )
    return arguments
