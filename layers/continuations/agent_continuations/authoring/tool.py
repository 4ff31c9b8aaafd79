"""Tools: Python functions with a schema from their signature, an effect and a policy."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from logging import getLogger
from typing import Any, Literal, TypeAlias, overload

from pydantic import BaseModel, PydanticUserError

from agent_continuations.authoring.answer import AnswerSchema
from agent_continuations.authoring.approval import Approval, ToolCall, check_approval_type
from agent_continuations.authoring.context import ToolContext
from agent_continuations.authoring.result_text import error_text, result_text
from agent_continuations.authoring.running import attempted, run_function
from agent_continuations.authoring.schema import Arguments, ArgumentsSchema, ObjectSchema
from agent_continuations.authoring.signature import arguments_model, parse_docstring
from agent_continuations.authoring.waits import (
    Job,
    Pending,
    Question,
    Sleep,
    ToolWait,
    WaitFor,
)
from agent_continuations.core.approvals.policy import ApprovalPolicy, Preview, Risk
from agent_continuations.core.base import storable
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.plans import Effect
from agent_continuations.core.waits import Wait
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.tool_host import DEFAULT_HOST

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_EFFECT_CHARACTERS = 2000
EFFECTS = tuple(each.value for each in Effect)

EffectName: TypeAlias = Literal["read", "idempotent", "once"]
PreviewFunction: TypeAlias = Callable[[Mapping[str, Any]], Preview | str]
PollFunction: TypeAlias = Callable[[Any, ToolContext], Any]

_TEXT = AnswerSchema(str)
_NOTHING = ObjectSchema(BaseModel)
_log = getLogger(__name__)


@dataclass(frozen=True)
class Tool:
    """A function that a model can call, made by `@tool` or `schema_tool`. Calling it calls it."""

    function: Callable[..., Any]
    name: str
    description: str
    effect: Effect = Effect.ONCE
    approval: Approval | None = None
    context_parameter: str | None = None
    arguments: ArgumentsSchema = field(default=_NOTHING, repr=False)
    preview: PreviewFunction | None = None
    poll: PollFunction | None = None
    answer: AnswerSchema = field(default=_TEXT, repr=False)
    host: str = DEFAULT_HOST

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        return self.arguments.schema

    @cached_property
    def schema_version(self) -> str:
        """The hash of the schema; part of the content that an approval covers."""
        return sha256(canonical_json(self.schema).encode("utf-8", "surrogatepass")).hexdigest()[:12]

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Validates the arguments of a call, as JSON values; returns them as they are shown.

        Raises:
            ArgumentsRefused: the arguments do not match the schema.
        """
        return self.arguments.validate(arguments)

    def policy_for(self, arguments: Arguments, agent: str) -> ApprovalPolicy | None:
        """Returns the approval policy that applies to a call, or None if it needs no approval."""
        if self.approval is None:
            return None

        def call() -> ToolCall:
            return ToolCall(tool=self.name, arguments=arguments.typed(), agent=agent)

        return self.approval.policy_for(call, lambda: self.preview_call(arguments))

    def preview_call(self, arguments: Arguments) -> Preview | None:
        """Returns the author's preview of a call's effect, or None without one.

        A preview that fails is unknown: the call counts as one of high risk.
        """
        preview = self.preview
        if preview is None:
            return None
        made, error = attempted(lambda: run_function(preview, arguments.typed()))
        if isinstance(made, str):
            made, error = attempted(Preview, effect=storable(made))
        if isinstance(made, Preview):
            return storable(made)
        fault = f"it is no text, but of the type {type(made).__name__}"
        if error is not None:
            fault = error_text(error)
        _log.warning("preview failed", extra={"tool": self.name, "reason": fault})
        effect = f"The author's description of this call failed ({fault}). Read the arguments."
        return Preview(effect=effect[:MAX_EFFECT_CHARACTERS], risk=Risk.HIGH)

    def run(
        self, arguments: Mapping[str, Any], context: ToolContext, now: Clock = utc_now
    ) -> str | Wait:
        """Runs the function, sync or async.

        Args:
            arguments: the typed arguments by parameter name.
            context: context of the call.
            now: clock that waits are measured by.

        Returns:
            The result as text for the model, or the wait that the function returned.

        Raises:
            TypeError: the tool cannot wait in this way.
            BaseException: the function raised it.
        """
        result = self.returned(arguments, context)
        return result if isinstance(result, str) else self.wait(result, now())

    def returned(self, arguments: Mapping[str, Any], context: ToolContext) -> str | ToolWait:
        """Runs the function; returns its result as text for the model, or what it waits for.

        Raises:
            BaseException: the function raised it.
        """
        result = self._call(arguments, context)
        if issubclass(type(result), Sleep | WaitFor | Question | Job):
            wait: ToolWait = result
            return wait
        return result_text(result)

    def wait(self, returned: ToolWait, now: datetime) -> Wait:
        """The wait, as it is stored, of what the function has returned.

        Raises:
            TypeError: the tool cannot wait in this way.
        """
        match returned:
            case Question():
                if self.approval:
                    raise TypeError("a tool that needs approval cannot ask a question, too")
                return returned.wait(self.answer.schema)
            case Job() if returned.poll_seconds is not None and self.poll is None:
                raise TypeError("this job is polled, but its tool has no poll function")
            case _:
                return returned.wait(now)

    def _call(self, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        parameters = dict(arguments)
        if self.context_parameter:
            parameters[self.context_parameter] = context
        return run_function(self.function, **parameters)

    def poll_job(self, handle: Any, context: ToolContext) -> str | None:
        """Polls a job.

        Returns:
            The result as text for the model, or None while the job is pending.

        Raises:
            TypeError: the tool has no poll function.
            Exception: the poll function raised it.
        """
        if self.poll is None:
            raise TypeError(f"{self.name} has no poll function")
        result = run_function(self.poll, handle, context)
        return None if issubclass(type(result), Pending) else result_text(result)


def answer_schema(tool: str, answer: Any) -> AnswerSchema:
    """The schema of the answer to a tool's question.

    Raises:
        TypeError: JSON cannot give the type.
    """
    if answer is str:
        return _TEXT
    try:
        schema = AnswerSchema(answer)
        _ = schema.schema
    except (TypeError, PydanticUserError) as error:
        text = str(error).partition("\n")[0]
        raise TypeError(f"{tool}: JSON cannot give answer={answer!r} ({text})") from None
    return schema


def check_options(tool: str, approval: Any, preview: Any, poll: Any, host: Any) -> None:
    """Checks the name and the options of a tool.

    Raises:
        TypeError: an option is not of the type that is needed; the message names it.
        ValueError: model services do not accept the name.
    """
    check_approval_type(tool, approval)
    for option, function in (("preview", preview), ("poll", poll)):
        if function is not None and not callable(function):
            raise TypeError(f"{tool}: {option} is a function, and not {function!r}")
    if not isinstance(host, str) or not NAME.fullmatch(host):
        raise ValueError(f"{tool}: host is the name of a function, and not {host!r}")
    if not NAME.fullmatch(tool):
        raise ValueError(f"a tool's name is 1 to 64 letters, digits, _ or -: {tool!r}")


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    effect: EffectName = "once",
    approval: Approval | None = None,
    name: str | None = None,
    description: str | None = None,
    preview: PreviewFunction | None = None,
    poll: PollFunction | None = None,
    answer: Any = str,
    host: str = DEFAULT_HOST,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    effect: EffectName = "once",
    approval: Approval | None = None,
    name: str | None = None,
    description: str | None = None,
    preview: PreviewFunction | None = None,
    poll: PollFunction | None = None,
    answer: Any = str,
    host: str = DEFAULT_HOST,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Creates a tool from a function; its schema comes from the signature and the docstring.

    Args:
        function: the function, if the decorator is used without parentheses.
        effect: `"read"` changes nothing and may run again at any time; `"idempotent"` may run
            again with the same idempotency key; `"once"`, the default, never runs again by itself:
            after a crash during the call a person is asked whether it happened.
        approval: approval policy of the calls.
        name: name of the tool for the model; None for the function's name.
        description: description for the model; None for the docstring's description.
        preview: function from validated arguments to a text or a `Preview` of the call's effect,
            shown to approvers.
        poll: function from a job's handle and a `ToolContext` to the result, or `Pending()`; for
            tools that return a `Job`. It is called repeatedly, so it must change nothing.
        answer: type of the answer, a pydantic model or another type; for tools that return a
            `Question`.
        host: name of the function that runs the tool and its `poll` when deployed, apart from the
            engine and from the tools of other hosts. In one process it changes nothing.

    Raises:
        TypeError: a parameter is variadic, positional-only or has no type, or a default is invalid.
        ValueError: model services do not accept the name.
    """

    def make(decorated: Callable[..., Any]) -> Tool:
        if isinstance(decorated, Tool):
            raise TypeError(f"{decorated.name} is a tool already: use @tool once")
        if not callable(decorated) or not hasattr(decorated, "__name__"):
            raise TypeError(f"a tool is made of a function, not of {decorated!r}")
        tool_name = name or decorated.__name__
        if effect not in EFFECTS:
            raise ValueError(
                f"{tool_name}: effect is 'read', 'idempotent' or 'once', not {effect!r}"
            )
        check_options(tool_name, approval, preview, poll, host)
        summary, descriptions = parse_docstring(decorated)
        model, context_parameter = arguments_model(decorated, tool_name, descriptions)
        return Tool(
            function=decorated,
            name=tool_name,
            description=description or summary,
            effect=Effect(effect),
            approval=approval,
            context_parameter=context_parameter,
            arguments=ObjectSchema(model),
            preview=preview,
            poll=poll,
            answer=answer_schema(tool_name, answer),
            host=host,
        )

    return make if function is None else make(function)
