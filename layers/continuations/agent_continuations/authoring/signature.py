"""Conversion of a function's signature and docstring to a pydantic model of its arguments."""

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
    """Creates the pydantic model of a function's arguments.

    Args:
        function: function of the tool.
        name: name of the tool.
        descriptions: description of each parameter, from the docstring.

    Returns:
        The model, and the name of the `ToolContext` parameter, if the function has one.

    Raises:
        TypeError: a parameter is variadic, positional-only or has no type, or a default is invalid.
    """
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
        # The alias permits any parameter name, even one that pydantic reserves.
        fields[f"parameter_{len(fields)}"] = (
            hints[parameter.name],
            Field(default, alias=parameter.name, **options),
        )
    config = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True)
    model = create_model(f"{name}_arguments", __config__=config, **fields)
    _check_defaults(name, model)
    return model, context_parameter


def _is_context(hint: Any) -> bool:
    """Whether a type is or contains ToolContext, such as an optional or annotated one.

    Such a parameter must not be part of the schema: the model could invent an idempotency key.
    """
    return hint is ToolContext or any(_is_context(inner) for inner in get_args(hint))


def _check_defaults(name: str, model: type[BaseModel]) -> None:
    for field in model.model_fields.values():
        if field.is_required():
            continue
        annotation: Any = field.annotation
        field_model = create_model(name, __config__=model.model_config, value=(annotation, field))
        try:
            default = field_model().model_dump(mode="json", by_alias=True)
            field_model.model_validate(json.loads(canonical_json(default)))
        except ValueError as error:
            raise TypeError(f"{name}: the default of {field.alias} is invalid: {error}") from None


def parse_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Returns the summary of a docstring, and the description of each parameter."""
    from docstring_parser import parse  # imported here: only processes that define tools need it

    parsed = parse(inspect.getdoc(function) or "")
    summary = parsed.description or ""
    return summary, {each.arg_name: each.description or "" for each in parsed.params}
