"""Tools of a JSON schema and a function: those of servers, of other frameworks, of catalogs."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent_continuations.authoring.approval import Approval
from agent_continuations.authoring.context import ToolContext
from agent_continuations.authoring.json_schema import JsonSchema
from agent_continuations.authoring.running import run_function
from agent_continuations.authoring.tool import (
    EffectName,
    PollFunction,
    PreviewFunction,
    Tool,
    answer_schema,
    check_options,
)
from agent_continuations.core.plans import Effect
from agent_continuations.ports.tool_host import DEFAULT_HOST


@dataclass(frozen=True)
class SchemaTool(Tool):
    """A tool created by `schema_tool`: its function gets all arguments as one mapping."""

    def _call(self, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        values = (arguments, context) if self.context_parameter else (arguments,)
        return run_function(self.function, *values)


def schema_tool(
    function: Callable[..., Any],
    /,
    *,
    name: str,
    description: str,
    schema: Mapping[str, Any],
    effect: EffectName = "once",
    approval: Approval | None = None,
    preview: PreviewFunction | None = None,
    poll: PollFunction | None = None,
    answer: Any = str,
    context: bool = False,
    host: str = DEFAULT_HOST,
) -> Tool:
    """Creates a tool from a JSON schema and a function.

    The arguments of a call are validated by the schema alone, and people are shown them as the
    model wrote them: defaults of the schema are not filled in. `format` is not checked.

    Args:
        function: the function, sync or async. It gets one mapping, as `json.loads` returns it, and
            with `context` a `ToolContext` after it.
        name: name of the tool for the model.
        description: description for the model.
        schema: JSON schema of the arguments, draft 2020-12 or draft-07, with `"type": "object"`.
            References stay within it.
        effect: as in `tool`.
        approval: approval policy of the calls. A call that waits for approval runs under the same
            schema only.
        preview: as in `tool`.
        poll: as in `tool`.
        answer: as in `tool`.
        context: whether the function takes a `ToolContext`.

    Raises:
        TypeError: an option is not of the type that is needed, or the function does not take the
            arguments.
        ValueError: the schema is invalid, not of an object, refers to another document, or is too
            large to be used safely; or model services do not accept the name.
    """
    if not isinstance(name, str) or not isinstance(description, str):
        raise TypeError(f"{name!r}: the name and the description of a tool are texts")
    check_options(name, approval, preview, poll, host)
    _check_function(name, function, context)
    try:
        arguments = JsonSchema(schema)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: the schema of this tool does not work: {error}") from None
    return SchemaTool(
        function=function,
        name=name,
        description=description,
        effect=Effect(effect),
        approval=approval,
        context_parameter="context" if context else None,
        arguments=arguments,
        preview=preview,
        poll=poll,
        answer=answer_schema(name, answer),
        host=host,
    )


def _check_function(tool: str, function: Any, context: bool) -> None:
    if not callable(function):
        raise TypeError(f"{tool}: a tool is made of a function, not of {function!r}")
    try:
        signature = inspect.signature(function)
    except ValueError:
        return  # a builtin that does not tell
    try:
        signature.bind({}, *((None,) if context else ()))
    except TypeError as error:
        takes = (
            "the arguments as one mapping, and the ToolContext"
            if context
            else ("the arguments as one mapping (and a ToolContext with context=True)")
        )
        raise TypeError(f"{tool}: the function is called with {takes}: {error}") from None
