"""Schemas of answers: of an agent, and of a person who is asked a question."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    RootModel,
    TypeAdapter,
    create_model,
)

from agent_continuations.authoring.schema import ArgumentsRefused, ObjectSchema, fault_text

ANSWER = "answer"
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class AnswerSchema:
    """Schema of an answer: a pydantic model, or any other type.

    Forms and model services want objects, so another type is wrapped in an object with one field,
    `answer`.

    Args:
        answer_type: type of the answer.
        wrap_objects: whether other types than models are wrapped even if their JSON is an object,
            such as dataclasses. Answers to questions are.

    Raises:
        TypeError: no JSON value has the type.
    """

    def __init__(self, answer_type: Any, *, wrap_objects: bool = True) -> None:
        is_model = isinstance(answer_type, type) and issubclass(answer_type, BaseModel)
        try:
            is_object = is_model or (not wrap_objects and _is_object(answer_type))
            self.is_wrapped = not is_object
            if is_model:
                model = answer_type
            elif is_object:
                model = RootModel[answer_type]
            else:
                model = create_model("Answer", __config__=_STRICT, answer=(answer_type, ...))
        except (PydanticUserError, PydanticUndefinedAnnotation) as error:
            raise TypeError(f"no JSON can be made of {answer_type!r}: {error}") from None
        self.model: type[BaseModel] = model
        self._object = ObjectSchema(model)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the object."""
        schema = self.model.model_json_schema()
        if self.is_wrapped:
            del schema["title"]
            schema["properties"][ANSWER].pop("title", None)
        return _without_reference(schema)

    def read(self, raw: str) -> Any:
        """Validates the text of an object; returns the value as it is shown.

        Raises:
            ArgumentsRefused: the text does not match the type.
        """
        shown = self._object.read(raw).shown
        return shown[ANSWER] if self.is_wrapped else shown

    def validate(self, value: Any) -> Any:
        """Validates a JSON value; returns it as it is shown.

        Raises:
            ArgumentsRefused: the value does not match the type.
        """
        return self.validate_fields({ANSWER: value} if self.is_wrapped else value)

    def validate_fields(self, fields: Any) -> Any:
        """Validates the object that a form submits; returns the value as it is shown.

        Raises:
            ArgumentsRefused: the value does not match the type.
        """
        if not isinstance(fields, Mapping):
            raise ArgumentsRefused([("answer", "a JSON object is needed")])
        try:
            raw = json.dumps(fields, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise ArgumentsRefused([("answer", fault_text(error))]) from None
        return self.read(raw)


def _is_object(answer_type: Any) -> bool:
    schema = _without_reference(TypeAdapter(answer_type).json_schema())
    return schema.get("type") == "object" and "properties" in schema


def _without_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose top is no reference to one of its definitions, as services require."""
    reference = schema.get("$ref", "")
    if not reference.startswith("#/$defs/"):
        return schema
    return {**schema["$defs"][reference.removeprefix("#/$defs/")], "$defs": schema["$defs"]}
