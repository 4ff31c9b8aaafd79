"""Validation of arguments, answers and outputs against pydantic models."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from agent_continuations.core.ids import canonical_json

MAX_ARGUMENT_DEPTH = 32
ANSWER = "answer"
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class ArgumentsRefused(ValueError):
    """The arguments do not match the tool's schema; `fields` pairs each field with its error."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in fields))
        self.fields = tuple(fields)


def validate_arguments(model: type[BaseModel], arguments: Mapping[str, Any]) -> BaseModel:
    """Validates arguments against a tool's model.

    Raises:
        ArgumentsRefused: the arguments do not match the model, or are nested too deep.
    """
    if not is_within_depth(arguments, MAX_ARGUMENT_DEPTH):
        raise ArgumentsRefused([("arguments", f"nested deeper than {MAX_ARGUMENT_DEPTH}")])
    try:
        checked = model.model_validate(arguments)
        # Pydantic would alter values that JSON or UTF-8 cannot represent; this raises instead.
        canonical_json(arguments).encode()
        canonical_json(checked.model_dump(mode="json", by_alias=True)).encode()
    except ValidationError as error:
        raise ArgumentsRefused(field_faults(error)) from None
    except Exception as error:  # noqa: BLE001 - an author's validator may raise any exception
        fault = str(error) or type(error).__name__
        raise ArgumentsRefused([("arguments", fault)]) from None
    return checked


def field_faults(error: ValidationError) -> list[tuple[str, str]]:
    """Converts pydantic's errors to pairs of a dotted field name and a message."""
    return [
        (".".join(map(str, found["loc"])) or "body", found["msg"])
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def is_within_depth(value: Any, depth: int) -> bool:
    """Whether a JSON value has at most this many levels of objects and arrays."""
    if depth < 0:
        return False
    if isinstance(value, Mapping):
        return all(is_within_depth(inner, depth - 1) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(is_within_depth(inner, depth - 1) for inner in value)
    return True


class AnswerSchema:
    """Schema of an answer: a pydantic model, or any other type.

    A type that is no model is wrapped in an object with one field, `answer`, since forms are made
    from objects.

    Args:
        answer_type: type of the answer.
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
        """Validates a value and returns it as plain JSON.

        Raises:
            ArgumentsRefused: the value does not match the type.
        """
        return self.validate_fields({ANSWER: value} if self.is_wrapped else value)

    def validate_fields(self, fields: Any) -> Any:
        """Validates the object that a form submits, and returns the value as plain JSON.

        Raises:
            ArgumentsRefused: the value does not match the type.
        """
        if not isinstance(fields, Mapping):
            raise ArgumentsRefused([("answer", "a JSON object is needed")])
        checked = validate_arguments(self.model, fields).model_dump(mode="json", by_alias=True)
        return checked[ANSWER] if self.is_wrapped else checked
