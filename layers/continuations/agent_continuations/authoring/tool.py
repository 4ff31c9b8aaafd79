"""Tools: a Python function, the schema that its signature gives, and how it may be run."""

import asyncio
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal, TypeAlias, overload

from pydantic import BaseModel

from agent_continuations.authoring.approval import Approval, ToolCall
from agent_continuations.authoring.context import ToolContext
from agent_continuations.authoring.result_text import result_text
from agent_continuations.authoring.schema import AnswerSchema, validate_arguments
from agent_continuations.authoring.signature import arguments_model, parse_docstring
from agent_continuations.authoring.waits import Job, Pending, Question, Sleep, WaitFor
from agent_continuations.core.approvals.policy import ApprovalPolicy, Preview
from agent_continuations.core.ids import canonical_json
from agent_continuations.core.plans import Effect
from agent_continuations.core.waits import Wait

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_EFFECT_CHARACTERS = 2000

EffectName: TypeAlias = Literal["read", "idempotent", "once"]
PreviewFunction: TypeAlias = Callable[[Mapping[str, Any]], Preview | str]
Clock: TypeAlias = Callable[[], datetime]
PollFunction: TypeAlias = Callable[[Any, ToolContext], Any]


_TEXT = AnswerSchema(str)


def utc_now_() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Tool:
    """A function that a model may call. Made by `@tool`; calling it calls the function."""

    function: Callable[..., Any]
    name: str
    description: str
    effect: Effect = Effect.ONCE
    approval: Approval | None = None
    context_parameter: str | None = None
    model: type[BaseModel] = field(default=BaseModel, repr=False)
    preview: PreviewFunction | None = None
    poll: PollFunction | None = None
    answer: AnswerSchema = field(default=_TEXT, repr=False)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        schema = self.model.model_json_schema()
        del schema["title"]
        for described in schema.get("properties", {}).values():
            described.pop("title", None)
        return schema

    @cached_property
    def schema_version(self) -> str:
        """Changes whenever the schema does; part of what an approval covers."""
        return sha256(canonical_json(self.schema).encode()).hexdigest()[:12]

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the schema understands them, as plain JSON values.

        Raises:
            ArgumentsRefused: they do not fit.
        """
        checked = validate_arguments(self.model, arguments)
        return checked.model_dump(mode="json", by_alias=True)

    def policy_for(self, call: ToolCall) -> ApprovalPolicy | None:
        """The approval that a call needs, or None where nobody needs to be asked."""
        return (
            self.approval.policy_for(call, self.preview_call(call.arguments))
            if self.approval
            else None
        )

    def preview_call(self, arguments: Mapping[str, Any]) -> Preview | None:
        """What the author says that a call with these arguments would do."""
        if self.preview is None:
            return None
        try:
            told = self.preview(arguments)
            return Preview(effect=told[:MAX_EFFECT_CHARACTERS]) if isinstance(told, str) else told
        except Exception:  # noqa: BLE001 - an author's words may fail; people see the arguments then
            return None

    def run(
        self, arguments: Mapping[str, Any], context: ToolContext, now: Clock = utc_now_
    ) -> str | Wait:
        """Run the function, sync or async, and give its result as the text a model reads, or what
        it waits for.

        Raises:
            Exception: whatever the function raises; or it waits for what it cannot wait for.
        """
        checked = validate_arguments(self.model, arguments)
        given = {
            about.alias or name: getattr(checked, name)
            for name, about in type(checked).model_fields.items()
        }
        if self.context_parameter:
            given[self.context_parameter] = context
        result = _resolve(self.function(**given))
        match result:
            case Sleep() | WaitFor():
                return result.wait(now())
            case Question():
                if self.approval:
                    raise TypeError("a tool that needs approval cannot ask a question, too")
                return result.wait(self.answer.schema)
            case Job():
                if result.poll_seconds is not None and self.poll is None:
                    raise TypeError("this job is polled, but its tool has no poll function")
                return result.wait(now())
            case _:
                return result_text(result)

    def poll_job(self, handle: Any, context: ToolContext) -> str | None:
        """Ask how a job stands: its result as the text a model reads, or None as long as there is
        none.

        Raises:
            Exception: whatever the poll function raises.
        """
        if self.poll is None:
            raise TypeError(f"{self.name} has no poll function")
        result = _resolve(self.poll(handle, context))
        return None if isinstance(result, Pending) else result_text(result)


def _resolve(result: Any) -> Any:
    return asyncio.run(_await(result)) if inspect.isawaitable(result) else result


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
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a function; its schema comes from the signature and the docstring.

    Args:
        function: the function, where the decorator stands without parentheses.
        effect: `"read"` changes nothing and may run again at will; `"idempotent"` may run again
            with the same idempotency key; `"once"`, the default, never runs again by itself: after
            a crash in the middle a person is asked whether it happened.
        approval: who must agree first.
        name: what the model calls it; the function's name where not given.
        description: what the model is told; the docstring's first part where not given.
        preview: from validated arguments to what the call would do, in words for whoever must
            approve it; a text or a `Preview`.
        poll: where the tool returns a `Job` that is polled: from its handle and a `ToolContext` to
            the result, or `Pending()`. It is asked again and again, so it must change nothing.
        answer: where the tool returns a `Question`: what the answer must be, a pydantic model or
            another type.

    Raises:
        TypeError: a parameter is variadic or has no type.
        ValueError: the name is not one that model services accept.
    """

    def make(decorated: Callable[..., Any]) -> Tool:
        if not hasattr(decorated, "__name__"):
            raise TypeError(f"a tool is made of a function, not of {decorated!r}")
        called = name or decorated.__name__
        if not NAME.fullmatch(called):
            raise ValueError(f"a tool's name is 1 to 64 letters, digits, _ or -: {called!r}")
        summary, described = parse_docstring(decorated)
        model, context_parameter = arguments_model(decorated, called, described)
        return Tool(
            function=decorated,
            name=called,
            description=description or summary,
            effect=Effect(effect),
            approval=approval,
            context_parameter=context_parameter,
            model=model,
            preview=preview,
            poll=poll,
            answer=_TEXT if answer is str else AnswerSchema(answer),
        )

    return make if function is None else make(function)


async def _await(result: Any) -> Any:
    return await result
