"""Arguments, answers and outputs: whether a JSON value fits a pydantic model, and what does not."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from agent_continuations.core.ids import canonical_json

MAX_ARGUMENT_DEPTH = 32
ANSWER = "answer"
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class ArgumentsRefused(ValueError):
    """Arguments that a tool's schema does not admit; `fields` pairs each field with its fault."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in fields))
        self.fields = tuple(fields)


def validate_arguments(model: type[BaseModel], arguments: Mapping[str, Any]) -> BaseModel:
    """Check arguments against a tool's model.

    Raises:
        ArgumentsRefused: they do not fit, or are nested too deep to be kept.
    """
    if not _is_within_depth(arguments, MAX_ARGUMENT_DEPTH):
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


def _is_within_depth(value: Any, depth: int) -> bool:
    if depth < 0:
        return False
    if isinstance(value, Mapping):
        return all(_is_within_depth(inner, depth - 1) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(_is_within_depth(inner, depth - 1) for inner in value)
    return True


class AnswerSchema:
    """What an answer must fit: a pydantic model, or any other type.

    A value of another type than a model stands in an object of one field, `answer`, so that a form
    can be drawn for it.

    Args:
        wanted: the type.
    """

    def __init__(self, answer_type: Any) -> None:
        self.is_wrapped = not (isinstance(answer_type, type) and issubclass(answer_type, BaseModel))
        self.model: type[BaseModel] = (
            create_model("Answer", __config__=_STRICT, answer=(answer_type, ...))
            if self.is_wrapped
            else answer_type
        )

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the object."""
        schema = self.model.model_json_schema()
        if self.is_wrapped:
            del schema["title"]
            schema["properties"][ANSWER].pop("title", None)
        return schema

    def validate(self, value: Any) -> Any:
        """A value as the type understands it, as plain JSON.

        Raises:
            ArgumentsRefused: it does not fit.
        """
        return self.validate_fields({ANSWER: value} if self.is_wrapped else value)

    def validate_fields(self, fields: Any) -> Any:
        """The same, for the object that a form gives.

        Raises:
            ArgumentsRefused: it does not fit.
        """
        if not isinstance(fields, Mapping):
            raise ArgumentsRefused([("answer", "a JSON object is needed")])
        checked = validate_arguments(self.model, fields).model_dump(mode="json", by_alias=True)
        return checked[ANSWER] if self.is_wrapped else checked
