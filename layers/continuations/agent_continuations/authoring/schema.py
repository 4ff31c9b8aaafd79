"""Validation: one text of a JSON object, the values that a function gets, and what people see.

The text is the argument. Each use validates it, in JSON mode, and takes what that gives; nothing
is ever validated from a dump.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from agent_continuations.authoring.core_schema import lazy_as_lists
from agent_continuations.authoring.raw_json import (
    MAX_DEPTH,
    Steps,
    edited_object,
    is_within_depth,
    parsed_object,
)
from agent_continuations.authoring.running import attempted
from agent_continuations.authoring.shown import ShownForm
from agent_continuations.core.ids import canonical_json

MAX_FAULT_CHARACTERS = 2000


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
    schema: "ArgumentsSchema"

    def typed(self) -> dict[str, Any]:
        """The values by parameter name, made anew for each reader."""
        return self.schema.typed(self.raw)


class ArgumentsSchema(ABC):
    """The schema of a JSON object, and how its values are shown.

    Attributes:
        masked: the names of members that may hold a masked secret.
        other_paths: by the path at which a value is shown, the other paths at which it may come.
        is_pinned: whether what people decided on runs under the same schema only. It may run under
            another one if what is shown tells everything.
    """

    is_pinned = False

    @property
    def masked(self) -> tuple[str, ...]:
        return ()

    @property
    def other_paths(self) -> Mapping[Steps, Sequence[Steps]]:
        return {}

    @property
    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The JSON schema."""

    @abstractmethod
    def read(self, raw: str) -> Arguments:
        """Validates a text.

        Raises:
            ArgumentsRefused: the text does not match the schema.
        """

    @abstractmethod
    def typed(self, raw: str) -> dict[str, Any]:
        """The values of a text that is valid, by name, as the function gets them."""

    def edit(self, before: str, shown: Mapping[str, Any], edited: Mapping[str, Any]) -> Arguments:
        """Validates what a person sent back. Values that equal those shown stay as they came.

        Args:
            before: the text of the arguments that were shown.
            shown: what was shown of it.
            edited: what was sent back.

        Raises:
            ArgumentsRefused: the edited arguments do not match the schema.
        """
        for name, value in edited.items():
            _, error = attempted(lambda each: canonical_json(each).encode(), {name: value})
            if error:  # what JSON or UTF-8 cannot express
                raise ArgumentsRefused([(name, fault_text(error))])
        return self.read(edited_object(before, shown, edited, self.other_paths))

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Validates JSON values; returns them as they are shown.

        Raises:
            ArgumentsRefused: the values do not match the schema.
        """
        if not is_within_depth(values, MAX_DEPTH):
            raise ArgumentsRefused([("arguments", f"nested deeper than {MAX_DEPTH}")])
        return self.read(json.dumps(dict(values))).shown


class ObjectSchema(ArgumentsSchema):
    """The schema of a JSON object: a pydantic model, and how its values are shown.

    Args:
        model: the model.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema, without the titles that pydantic makes of the names."""
        schema = self.model.model_json_schema()
        del schema["title"]
        for parameter in schema.get("properties", {}).values():
            parameter.pop("title", None)
        return schema

    def read(self, raw: str) -> Arguments:
        """Validates a text.

        Raises:
            ArgumentsRefused: the text does not match the schema, or what it means is not certain:
                two validations give different values.
        """
        try:
            given = parsed_object(raw)
            json.dumps(given, ensure_ascii=False).encode()  # raises for lone surrogates
            first, second = self._validated(raw), self._validated(raw)
            canonical_json(given)  # raises for numbers that JSON cannot express
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
        found = super().edit(before, shown, edited)
        self._check_edit(edited, found)
        return found

    def typed(self, raw: str) -> dict[str, Any]:
        """The values of a text that is valid, by parameter name."""
        return by_parameter(self._validated(raw))

    @property
    def masked(self) -> tuple[str, ...]:
        return self._form.secret_names

    @property
    def other_paths(self) -> Mapping[Steps, Sequence[Steps]]:
        return self._form.other_paths

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
