"""From a function's signature and docstring to the model of its arguments."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from agent_continuations.authoring.context import ToolContext
from agent_continuations.core.ids import canonical_json


def arguments_model(
    function: Callable[..., Any], name: str, descriptions: Mapping[str, str]
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
            {"description": descriptions[parameter.name]} if parameter.name in descriptions else {}
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


def parse_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What a docstring says of the function, and of each parameter."""
    from docstring_parser import parse  # here: only processes that define tools need it

    parsed = parse(inspect.getdoc(function) or "")
    summary = parsed.description or ""
    return summary, {each.arg_name: each.description or "" for each in parsed.params}
