"""Validation: one text of a JSON object, the values that a function gets, and what people see.

The text is the argument. Each use validates it, in JSON mode, and takes what that gives; nothing
is ever validated from a dump.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    PydanticUndefinedAnnotation,
    PydanticUserError,
    RootModel,
    TypeAdapter,
    ValidationError,
    create_model,
)

from agent_continuations.authoring.core_schema import lazy_as_lists
from agent_continuations.authoring.raw_json import (
    MAX_DEPTH,
    edited_object,
    is_within_depth,
    parsed_object,
)
from agent_continuations.authoring.running import attempted
from agent_continuations.authoring.shown import ShownForm
from agent_continuations.core.ids import canonical_json

ANSWER = "answer"
MAX_FAULT_CHARACTERS = 2000
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


class ArgumentsRefused(ValueError):
    """The arguments do not match the tool's schema; `fields` pairs each field with its error."""

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {fault}" for name, fault in fields))
        self.fields = tuple(fields)


@dataclass(frozen=True)
class Arguments:
    """Valid arguments.

    Attributes:
        raw: the text that they are read from.
        shown: the arguments as people are shown them; secrets are masked.
    """

    raw: str
    shown: dict[str, Any]
    schema: "ObjectSchema"

    def typed(self) -> dict[str, Any]:
        """The values by parameter name, made anew for each reader."""
        return self.schema.typed(self.raw)


class ObjectSchema:
    """The schema of a JSON object: a pydantic model, and how its values are shown.

    Args:
        model: the model.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    def read(self, raw: str) -> Arguments:
        """Validates a text.

        Raises:
            ArgumentsRefused: the text does not match the schema, or what it means is not certain:
                two validations give different values.
        """
        try:
            given = parsed_object(raw)
            canonical_json(given).encode()  # raises for what JSON or UTF-8 cannot express
            first, second = self._validated(raw), self._validated(raw)
            shown = self._form.of(first)
            canonical_json(shown).encode()
            if canonical_json(self._plain(first)) != canonical_json(self._plain(second)):
                raise ValueError("a default or a validator gives another value each time")
        except ValidationError as error:
            raise ArgumentsRefused(field_faults(error)) from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - an author's validator may raise anything
            raise ArgumentsRefused([("arguments", fault_text(error))]) from None
        self._check_secrets(second)
        return Arguments(raw=raw, shown=shown, schema=self)

    def edit(self, before: str, shown: Mapping[str, Any], edited: Mapping[str, Any]) -> Arguments:
        """Validates what a person sent back. Values that equal those shown stay as they came.

        Args:
            before: the text of the arguments that were shown.
            shown: what was shown of it.
            edited: what was sent back.

        Raises:
            ArgumentsRefused: the edited arguments do not match the schema.
        """
        try:
            canonical_json(dict(edited)).encode()
        except ValueError as error:
            raise ArgumentsRefused([("arguments", fault_text(error))]) from None
        found = self.read(edited_object(before, shown, edited, self._form.other_paths))
        self._check_edit(edited, found)
        return found

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Validates JSON values; returns them as they are shown.

        Raises:
            ArgumentsRefused: the values do not match the schema.
        """
        if not is_within_depth(values, MAX_DEPTH):
            raise ArgumentsRefused([("arguments", f"nested deeper than {MAX_DEPTH}")])
        return self.read(json.dumps(dict(values))).shown

    def typed(self, raw: str) -> dict[str, Any]:
        """The values of a text that is valid, by parameter name."""
        return by_parameter(self._validated(raw))

    @cached_property
    def masked(self) -> tuple[str, ...]:
        """The names of members that may hold a masked secret."""
        return self._form.secret_names

    @cached_property
    def _form(self) -> ShownForm:
        return ShownForm(self.model)

    @cached_property
    def _lazy(self) -> Any:
        return lazy_as_lists(self.model)

    def _validated(self, raw: str) -> BaseModel:
        raw = raw if raw.strip() else "{}"
        if self._lazy:
            return cast(BaseModel, self._lazy.validate_json(raw))
        return self.model.model_validate_json(raw)

    def _plain(self, value: BaseModel) -> dict[str, Any]:
        return self._form.of(value, secrets=None)

    def _check_edit(self, edited: Mapping[str, Any], found: Arguments) -> None:
        """Refuses an edit that a validator turns into something else than the person wrote.

        What is only normalized, such as to lower case, is read as the same again.

        Raises:
            ArgumentsRefused: what a person wrote is read as something else.
        """
        read = self._plain(self._validated(found.raw))
        again = edited_object(found.raw, edited, read, self._form.other_paths)
        if again == found.raw:
            return
        values, error = attempted(lambda: self._plain(self._validated(again)))
        wrong = [
            (name, f"the tool would read this as {canonical_json(found.shown[name])}")
            for name in edited
            if error or canonical_json(values.get(name)) != canonical_json(read.get(name))
            if name in found.shown and found.shown[name] != edited[name]
        ]
        if wrong:
            raise ArgumentsRefused(wrong)

    def _check_secrets(self, value: BaseModel) -> None:
        """Refuses a mask in place of a secret: whoever wrote it has seen only the mask.

        Raises:
            ArgumentsRefused: a secret is the text of the mask.
        """
        copied = self._form.masks_as_values(value)
        if copied:
            fault = "this is the mask of a secret, not its value: give the value"
            raise ArgumentsRefused([(".".join(map(str, path)), fault) for path in copied])


def _is_object(answer_type: Any) -> bool:
    schema = _without_reference(TypeAdapter(answer_type).json_schema())
    return schema.get("type") == "object" and "properties" in schema


def _without_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema whose top is no reference to one of its definitions, as services require."""
    reference = schema.get("$ref", "")
    if not reference.startswith("#/$defs/"):
        return schema
    return {**schema["$defs"][reference.removeprefix("#/$defs/")], "$defs": schema["$defs"]}


def by_parameter(value: BaseModel) -> dict[str, Any]:
    """The fields of a model of arguments by parameter name."""
    return {
        field.alias or name: getattr(value, name)
        for name, field in type(value).model_fields.items()
    }


def field_faults(error: ValidationError) -> list[tuple[str, str]]:
    """Converts pydantic's errors to pairs of a dotted field name and a message."""
    return [
        (".".join(map(str, found["loc"])) or "body", found["msg"])
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def fault_text(error: BaseException) -> str:
    """The text of an exception; its type if it has none."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the exception is the author's
        text = ""
    return (text or type(error).__name__)[:MAX_FAULT_CHARACTERS]


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
