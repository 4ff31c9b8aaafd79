"""Tools: a Python function, the schema that its signature gives, and how it may be run."""

import asyncio
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal, TypeAlias, get_args, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from agent_continuations.approval import Approval, ToolCall
from agent_continuations.core.approval import Gate, Preview
from agent_continuations.core.continuation import Effect
from agent_continuations.core.identity import canonical_json

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_ARGUMENT_DEPTH = 32
MAX_EFFECT_CHARACTERS = 2000

EffectName: TypeAlias = Literal["read", "idempotent", "once"]
PreviewOf: TypeAlias = Callable[[Mapping[str, Any]], Preview | str]


class ArgumentsRefused(ValueError):
    """Arguments that a tool's schema does not admit; `fields` pairs each field with its fault."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in fields))
        self.fields = tuple(fields)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of its call: give a parameter this type to receive it.

    Attributes:
        run_id: the run.
        path: the call's place in it, as `0.1/2.0`.
        attempt: 1, and more after a crash or an answered doubt.
        idempotency_key: the same for every attempt of this call; hand it to the other side.
    """

    run_id: str
    path: str
    attempt: int
    idempotency_key: str


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
    preview: PreviewOf | None = None

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

    def validated(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as the schema understands them, as plain JSON values.

        Raises:
            ArgumentsRefused: they do not fit.
        """
        checked = validated_arguments(self.model, arguments)
        return checked.model_dump(mode="json", by_alias=True)

    def gate(self, call: ToolCall) -> Gate | None:
        """The approval that a call needs, or None where nobody needs to be asked."""
        return self.approval.gate(call, self.previewed(call.arguments)) if self.approval else None

    def previewed(self, arguments: Mapping[str, Any]) -> Preview | None:
        """What the author says that a call with these arguments would do."""
        if self.preview is None:
            return None
        try:
            told = self.preview(arguments)
            return Preview(effect=told[:MAX_EFFECT_CHARACTERS]) if isinstance(told, str) else told
        except Exception:  # noqa: BLE001 - an author's words may fail; people see the arguments then
            return None

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        """Run the function, sync or async, and give its result as the text a model reads.

        Raises:
            Exception: whatever the function raises.
        """
        checked = validated_arguments(self.model, arguments)
        given = {
            about.alias or name: getattr(checked, name)
            for name, about in type(checked).model_fields.items()
        }
        if self.context_parameter:
            given[self.context_parameter] = context
        result = self.function(**given)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        return result_text(result)


def validated_arguments(model: type[BaseModel], arguments: Mapping[str, Any]) -> BaseModel:
    """Check arguments against a tool's model.

    Raises:
        ArgumentsRefused: they do not fit, or are nested too deep to be kept.
    """
    if not _shallow(arguments, MAX_ARGUMENT_DEPTH):
        raise ArgumentsRefused([("arguments", f"nested deeper than {MAX_ARGUMENT_DEPTH}")])
    try:
        checked = model.model_validate(arguments)
        canonical_json(arguments).encode()  # what JSON or UTF-8 cannot say, pydantic would alter
        canonical_json(checked.model_dump(mode="json", by_alias=True)).encode()
    except ValidationError as error:
        raise ArgumentsRefused(field_faults(error)) from None
    except Exception as error:  # noqa: BLE001 - an author's validator may raise anything
        fault = str(error) or type(error).__name__
        raise ArgumentsRefused([("arguments", fault)]) from None
    return checked


def field_faults(error: ValidationError) -> list[tuple[str, str]]:
    """Pydantic's findings as pairs of a dotted field name and what is wrong with it."""
    return [
        (".".join(map(str, found["loc"])) or "body", found["msg"])
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def result_text(result: Any) -> str:
    """A tool's result as text: strings as they are, anything else as JSON where it has one."""
    if isinstance(result, str):
        text = result
    else:
        try:
            if isinstance(result, BaseModel):
                text = result.model_dump_json()
            else:
                text = json.dumps(result, ensure_ascii=False, default=_plain)
        except Exception:  # noqa: BLE001 - it did happen, so it must not read as a failure
            text = repr(result)
    # Lone surrogates have no UTF-8 form, so neither the store nor the model could take them.
    return text.encode("utf-8", "replace").decode("utf-8")


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    effect: EffectName = "once",
    approval: Approval | None = None,
    name: str | None = None,
    description: str | None = None,
    preview: PreviewOf | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    effect: EffectName = "once",
    approval: Approval | None = None,
    name: str | None = None,
    description: str | None = None,
    preview: PreviewOf | None = None,
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

    Raises:
        TypeError: a parameter is variadic or has no type.
        ValueError: the name is not one that model services accept.
    """
    if function is None:
        return lambda decorated: _make(decorated, effect, approval, name, description, preview)
    return _make(function, effect, approval, name, description, preview)


def _make(
    function: Callable[..., Any],
    effect: EffectName,
    approval: Approval | None,
    name: str | None,
    description: str | None,
    preview: PreviewOf | None,
) -> Tool:
    if not hasattr(function, "__name__"):
        raise TypeError(f"a tool is made of a function, not of {function!r}")
    name = name or function.__name__
    if not NAME.fullmatch(name):
        raise ValueError(f"a tool's name is 1 to 64 letters, digits, _ or -: {name!r}")
    summary, described = _documented(function)
    model, context_parameter = _arguments_model(function, name, described)
    return Tool(
        function=function,
        name=name,
        description=description or summary,
        effect=Effect(effect),
        approval=approval,
        context_parameter=context_parameter,
        model=model,
        preview=preview,
    )


def _arguments_model(
    function: Callable[..., Any], name: str, described: Mapping[str, str]
) -> tuple[type[BaseModel], str | None]:
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    context_parameter = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{name}: a tool cannot take *{parameter.name}")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(f"{name}: {parameter.name} cannot be positional-only")
        if parameter.name not in hints:
            raise TypeError(f"{name}: {parameter.name} needs a type")
        if _is_context(hints[parameter.name]):
            if context_parameter:
                raise TypeError(f"{name}: only one parameter can be the ToolContext")
            context_parameter = parameter.name
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        options: dict[str, Any] = (
            {"description": described[parameter.name]} if parameter.name in described else {}
        )
        # Behind an alias, a parameter may have any name, even one that a model class keeps.
        fields[f"parameter_{len(fields)}"] = (
            hints[parameter.name],
            Field(default, alias=parameter.name, **options),
        )
    config = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True)
    model = create_model(f"{name}_arguments", __config__=config, **fields)
    _check_defaults(name, model)
    return model, context_parameter


def _is_context(hint: Any) -> bool:
    """Whether a type has a ToolContext in it, plain, optional or annotated.

    No such parameter may reach the schema: the model could then make up an idempotency key.
    """
    return hint is ToolContext or any(_is_context(inner) for inner in get_args(hint))


def _check_defaults(name: str, model: type[BaseModel]) -> None:
    for about in model.model_fields.values():
        if about.is_required():
            continue
        annotation: Any = about.annotation
        only = create_model(name, __config__=model.model_config, value=(annotation, about))
        try:
            default = only().model_dump(mode="json", by_alias=True)
            only.model_validate(json.loads(canonical_json(default)))
        except ValueError as error:
            raise TypeError(f"{name}: the default of {about.alias} does not fit: {error}") from None


def _documented(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function, and of each parameter."""
    from docstring_parser import parse  # here: only processes that define tools need it

    parsed = parse(inspect.getdoc(function) or "")
    summary = parsed.description or ""
    return summary, {each.arg_name: each.description or "" for each in parsed.params}


def _shallow(value: Any, depth: int) -> bool:
    if depth < 0:
        return False
    if isinstance(value, Mapping):
        return all(_shallow(inner, depth - 1) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(_shallow(inner, depth - 1) for inner in value)
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)


async def _awaited(result: Any) -> Any:
    return await result
