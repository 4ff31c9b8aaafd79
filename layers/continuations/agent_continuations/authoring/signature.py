"""Conversion of a function's signature and docstring to a pydantic model of its arguments."""

import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from types import FrameType
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, create_model
from pydantic.fields import FieldInfo

from agent_continuations.authoring.context import ToolContext
from agent_continuations.authoring.core_schema import has_plain_validator, unfit_type
from agent_continuations.authoring.running import attempted
from agent_continuations.authoring.schema import ArgumentsRefused, ObjectSchema

_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True)


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
        TypeError: a parameter is variadic, positional-only or has no type, no JSON value has its
            type, or its default is invalid.
    """
    hints = _Hints(function, name)
    definitions: dict[str, tuple[Any, Any]] = {}
    context_parameter = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{name}: a tool cannot take *{parameter.name}")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(f"{name}: {parameter.name} cannot be positional-only")
        if parameter.annotation is parameter.empty:
            raise TypeError(f"{name}: {parameter.name} needs a type")
        hint = hints.of(parameter.name)
        if _is_context(hint):
            if context_parameter:
                raise TypeError(f"{name}: only one parameter can be the ToolContext")
            context_parameter = parameter.name
            continue
        definitions[parameter.name] = _field(parameter, hint, descriptions.get(parameter.name))
    # All at once, since tools are made at each cold start; one by one to name the parameter.
    model, error = attempted(_checked_model, name, definitions.values())
    if error or model is None:
        model = _model(name, [_checked(name, *each) for each in definitions.items()])
    return model, context_parameter


def _model(tool: str, definitions: Iterable[Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {f"parameter_{n}": each for n, each in enumerate(definitions)}
    return create_model(f"{tool}_arguments", __config__=_CONFIG, **fields)


def _checked_model(tool: str, definitions: Collection[Any]) -> type[BaseModel] | None:
    """The model of all parameters; None or an exception if one of them needs a closer look."""
    model = _model(tool, definitions)
    if unfit_type(model) or has_plain_validator(model):
        return None
    model.model_json_schema()
    given = zip(definitions, model.model_fields.values(), strict=True)
    if optional := [each for each, field in given if not field.is_required()]:
        ObjectSchema(_model(tool, optional)).read("{}")
    return model


class _Hints:
    """The types of a function's parameters. The type of its result is never needed."""

    def __init__(self, function: Callable[..., Any], tool: str) -> None:
        self._tool = tool
        inner = inspect.unwrap(function)
        inner = getattr(inner, "__func__", inner)
        self._annotations = {**getattr(inner, "__annotations__", {})}
        self._globals = getattr(inner, "__globals__", {})
        self._locals = _enclosing_names(self._globals)

    def of(self, parameter: str) -> Any:
        """The type of a parameter.

        Raises:
            TypeError: a name in it cannot be found.
        """

        class Only:
            __annotations__ = {parameter: self._annotations[parameter]}

        try:
            return get_type_hints(Only, self._globals, self._locals, include_extras=True)[parameter]
        except NameError as error:
            raise TypeError(
                f"{self._tool}: the type of {parameter} is not known where the tool is made"
                f" ({error}): import it outside of TYPE_CHECKING, or define it in the module"
            ) from None


def _enclosing_names(names: Mapping[str, Any]) -> dict[str, Any]:
    """The local names that a postponed annotation may use: those of the functions that are making
    the tool, in the module with these global names.
    """
    found: dict[str, Any] = {}
    frame: FrameType | None = sys._getframe(1)
    frames = []
    while frame:
        if frame.f_globals is names and frame.f_locals is not names:
            frames.append(frame.f_locals)
        frame = frame.f_back
    for each in reversed(frames):  # the innermost wins
        found.update(each)
    return found


def _field(parameter: inspect.Parameter, hint: Any, description: str | None) -> tuple[Any, Any]:
    """The definition of a parameter's field; its alias permits any name, even a reserved one."""
    options: dict[str, Any] = {"description": description} if description else {}
    if isinstance(parameter.default, FieldInfo):
        # As `Annotated[hint, the field]`: what comes later wins, which is our alias.
        options = {} if parameter.default.description else options
        alias = Field(alias=parameter.name, **options)
        return Annotated[hint, parameter.default, alias], _default_of(parameter.default)
    default = ... if parameter.default is parameter.empty else parameter.default
    return hint, Field(default, alias=parameter.name, **options)


def _default_of(field: FieldInfo) -> Any:
    """The default that a field has; required if it has none."""
    if field.default_factory is not None:
        return Field(default_factory=field.default_factory)
    return ... if field.is_required() else field.default


def _is_context(hint: Any) -> bool:
    """Whether a type is or contains ToolContext, such as an optional or annotated one.

    Such a parameter must not be part of the schema: the model could invent an idempotency key.
    """
    return hint is ToolContext or any(_is_context(inner) for inner in get_args(hint))


def _checked(tool: str, parameter: str, definition: tuple[Any, Any]) -> tuple[Any, Any]:
    """Checks that JSON can have the type of a parameter, and that its default is valid.

    Raises:
        TypeError: the message names the tool, the parameter and the fix.
    """
    try:
        model = create_model(tool, __config__=_CONFIG, value=definition)
        fault = unfit_type(model)
        if not fault:
            model.model_json_schema()
        if has_plain_validator(model):
            # The validator makes the value, so the type tells whether it can be shown.
            create_model(tool, value=(get_args(definition[0])[0], ...)).model_json_schema()
    except PydanticUserError as error:
        fault = str(error).partition("\n")[0]
    if fault:
        raise TypeError(
            f"{tool}: JSON cannot give {parameter} its type ({fault}): use a type that JSON"
            " has, or get the value inside of the function"
        )
    if model.model_fields["value"].is_required():
        return definition
    try:
        ObjectSchema(model).read("{}")
    except ArgumentsRefused as error:
        if not attempted(model.model_validate, {})[1]:
            # An object such as a Path is valid in Python, and needs no validation from JSON.
            annotation, default = definition
            plain: Any = (Annotated[annotation, Field(validate_default=False)], default)
            plainly = ObjectSchema(create_model(tool, __config__=_CONFIG, value=plain))
            if not attempted(plainly.read, "{}")[1]:
                return plain[0], default
        raise TypeError(f"{tool}: the default of {parameter} is invalid: {error}") from None
    return definition


def parse_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Returns the summary of a docstring, and the description of each parameter."""
    from docstring_parser import parse  # imported here: only processes that define tools need it

    parsed = parse(inspect.getdoc(function) or "")
    summary = parsed.description or ""
    return summary, {each.arg_name: each.description or "" for each in parsed.params}
