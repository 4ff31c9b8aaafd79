"""What people are shown of a validated value: plain JSON that depends on the value alone.

Pydantic's own dump is made for other readers: it has serialization aliases, computed fields and
custom forms, leaves fields out, and orders sets by their hash. Here the core schema, of which
pydantic makes its serializers, is rewritten: names are those of the JSON schema, nothing is left
out or added, sets are sorted, and secrets are masked.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import lru_cache, partial
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import (
    CoreSchema,
    PydanticSerializationError,
    PydanticSerializationUnexpectedValue,
    SchemaSerializer,
    core_schema,
    to_jsonable_python,
)

from agent_continuations.authoring.core_schema import (
    FIELDS,
    Schema,
    core_schema_of,
    parts,
    top_fields,
    with_parts,
)
from agent_continuations.authoring.raw_json import Steps, at_path
from agent_continuations.authoring.shown_names import (
    alias_paths,
    joined,
    nested,
    other_paths,
    shown_path,
)
from agent_continuations.core.ids import canonical_json

MASK = "**********"
# Forms that are read back as the same value, whatever an author's configuration says.
_READABLE = {
    "ser_json_timedelta": "iso8601",
    "ser_json_temporal": "iso8601",
    "ser_json_inf_nan": "constants",  # which is refused, and not shown as null
}
_UNIONS = ("union", "tagged-union")
_COMPUTED = ("any", "function-before", "function-after", "function-wrap", "function-plain")


class ShownForm:
    """The form in which values of a model are shown.

    Args:
        model: the model.

    Attributes:
        other_paths: by the path that is shown, the other paths at which the same field is read.
        secret_names: the names, as they are shown, of members that may hold a masked secret.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        schema = core_schema_of(model)
        self.secret_names = _secret_names(schema)
        self.other_paths: Mapping[Steps, tuple[Steps, ...]] = other_paths(schema)
        self._has_paths = any(
            len(path) > 1 for each in parts(schema) for path in alias_paths(each)[:1]
        )
        self._serializer = _serializer(_Rewriting(schema).schema)

    def of(self, value: BaseModel, *, secrets: str | None = MASK) -> dict[str, Any]:
        """The value as plain JSON.

        Args:
            value: an instance of the model.
            secrets: the text in place of each secret that is not empty; None for the secret.

        Raises:
            ValueError: the value cannot be expressed as JSON.
            Exception: a function of the author raised it.
        """
        dumped = _dumped(self._serializer, value, {"secrets": secrets})
        return cast(dict[str, Any], nested(dumped) if self._has_paths else dumped)

    def masks_as_values(self, value: BaseModel) -> list[Steps]:
        """The paths of the secrets whose value is the text of the mask."""
        if not self.secret_names:
            return []
        plain, masked = self.of(value, secrets=None), self.of(value, secrets=f"{MASK}*")
        return [path for path in _differing(self.of(value), masked) if at_path(plain, path) == MASK]


def _differing(one: Any, other: Any, path: Steps = ()) -> list[Steps]:
    """The paths at which two values of the same shape differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [p for name in one for p in _differing(one[name], other.get(name), (*path, name))]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            p
            for number, (left, right) in enumerate(zip(one, other, strict=True))
            for p in _differing(left, right, (*path, number))
        ]
    return [] if one == other else [path]


def _secret_names(schema: Schema) -> tuple[str, ...]:
    if not any(_is_secret(each) for each in parts(schema)):
        return ()
    # A definition that is used elsewhere, too, may hold the secret.
    return tuple(
        str(shown_path(name, field)[0])
        for name, field in top_fields(schema)
        if any(_is_secret(each) or each.get("type") == "definition-ref" for each in parts(field))
    )


def _is_secret(schema: Schema) -> bool:
    """Whether a schema is that of `SecretStr`, `SecretBytes` or `Secret[...]`."""
    function = _function_of(schema.get("serialization"))
    return function in ("_serialize_secret", "_serialize_secret_field")


def _function_of(serialization: Any) -> str:
    """The name of a serializer's function if it is pydantic's own."""
    function = serialization.get("function") if isinstance(serialization, Mapping) else None
    while isinstance(function, partial):
        function = function.func
    is_own = getattr(function, "__module__", "").partition(".")[0] == "pydantic"
    return getattr(function, "__name__", "") if is_own else ""


def _serializer(schema: Schema) -> SchemaSerializer:
    # Nested models have serializers of their own, made of the schema as it was: not those.
    return SchemaSerializer(cast(CoreSchema, schema), None, False)


def _dumped(serializer: SchemaSerializer, value: Any, context: Mapping[str, Any]) -> Any:
    return serializer.to_python(
        value,
        mode="json",
        by_alias=True,
        round_trip=True,
        context=dict(context),
        warnings=False,  # a validator may give another type than the schema names
    )


class _Rewriting:
    """The rewriting of a schema to one whose serializer shows values.

    Attributes:
        schema: the rewritten schema.
    """

    def __init__(self, schema: Schema) -> None:
        self._has_unions = any(each["type"] in _UNIONS for each in parts(schema))
        self.schema = self._rewritten(schema, {})

    def _rewritten(self, schema: Schema, config: Mapping[str, Any]) -> Schema:
        """A part, with the configuration of the model or dataclass that it is in."""
        config = schema.get("config") or config
        new = with_parts(schema, lambda part: self._rewritten(part, config))
        if "config" in schema:
            bytes_form = config.get("val_json_bytes", "utf8")
            new["config"] = {**config, **_READABLE, "ser_json_bytes": bytes_form}
        if "computed_fields" in new:
            new["computed_fields"] = []
        if new["type"] in FIELDS:
            _show_field(new, by_alias=config.get("validate_by_alias", True))
        else:
            _show_value(new, is_secret=_is_secret(schema))
        if self._has_unions and new["type"] in ("model", "dataclass"):
            new["serialization"] = self._by_class(dict(new))
        return new

    def _by_class(self, schema: Schema) -> Schema:
        """A serializer of the instances of a class.

        Unions compare types throughout, and dump in pydantic's own form what fits no choice. But a
        validator may give another type than the schema names.
        """
        schema.pop("ref", None)

        @lru_cache(maxsize=1)
        def serializer() -> SchemaSerializer:
            top = {"type": "definitions", "definitions": self.schema.get("definitions") or []}
            return _serializer({**top, "schema": schema})

        def show(value: Any, info: core_schema.SerializationInfo) -> Any:
            if type(value) is not schema["cls"]:
                raise PydanticSerializationUnexpectedValue("of another class")
            return _dumped(serializer(), value, info.context or {})

        return cast(Schema, core_schema.plain_serializer_function_ser_schema(show, info_arg=True))


def _show_field(field: Schema, *, by_alias: bool) -> None:
    for name in ("serialization_exclude", "serialization_exclude_if", "serialization_alias"):
        field.pop(name, None)
    if by_alias and alias_paths(field):
        field["serialization_alias"] = joined(alias_paths(field)[0])
    if field.get("init") is False:  # not read, but computed
        field["serialization_exclude"] = True


def _show_value(schema: Schema, *, is_secret: bool) -> None:
    kind, serialization = schema["type"], schema.get("serialization")
    if kind == "generator":
        schema["type"] = "list"  # as `lazy_as_lists` reads it
    if is_secret:
        schema["serialization"] = core_schema.plain_serializer_function_ser_schema(
            _masked, info_arg=True
        )
    elif kind == "json":
        schema["serialization"] = core_schema.wrap_serializer_function_ser_schema(
            _as_text, schema=schema.get("schema") or core_schema.any_schema()
        )
    elif kind in ("set", "frozenset", *_UNIONS):
        schema["serialization"] = core_schema.wrap_serializer_function_ser_schema(_sorted)
    elif _is_function(serialization) and not _function_of(serialization):
        # An author's form is for other readers, and may not be read back.
        schema["serialization"] = _plain_or(cast(Schema, serialization))
    elif serialization is None and kind in _COMPUTED:
        schema["serialization"] = core_schema.wrap_serializer_function_ser_schema(_sorted_within)


def _is_function(serialization: Any) -> bool:
    return isinstance(serialization, Mapping) and serialization["type"].startswith("function")


def _masked(secret: Any, info: core_schema.SerializationInfo) -> Any:
    if not hasattr(secret, "get_secret_value"):  # of another type in a union
        raise PydanticSerializationUnexpectedValue("no secret")
    plain = secret.get_secret_value()
    mask = (info.context or {}).get("secrets", MASK)
    if mask is None:
        return to_jsonable_python(plain)
    return mask if plain not in ("", b"") else ""


def _as_text(value: Any, handler: Callable[[Any], Any]) -> str:
    return json.dumps(_sorted_within(value, handler), ensure_ascii=False, separators=(",", ":"))


def _sorted(value: Any, handler: Callable[[Any], Any]) -> Any:
    dumped = handler(value)
    is_set = isinstance(value, set | frozenset) and isinstance(dumped, list)  # else a JSON text
    return sorted(dumped, key=canonical_json) if is_set else dumped


def _sorted_within(value: Any, handler: Callable[[Any], Any]) -> Any:
    """The form of a value that a function has made: there may be sets that no schema names."""
    if not isinstance(value, set | frozenset):
        value = _without_sets(value)
    try:
        return _sorted(value, handler)
    except PydanticSerializationUnexpectedValue:
        if isinstance(value, BaseModel) or is_dataclass(value):
            raise  # another choice of the union is its own
        return to_jsonable_python(_without_sets(value))


def _without_sets(value: Any) -> Any:
    if type(value) is dict:
        return {name: _without_sets(inner) for name, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_without_sets(inner) for inner in value)
    if type(value) in (set, frozenset):
        return sorted(
            (to_jsonable_python(_without_sets(each)) for each in value), key=canonical_json
        )
    return value


def _plain_or(author: Schema) -> Schema:
    """A serializer that takes the author's form only of values that have no plain one."""
    is_wrap, has_info = author["type"] == "function-wrap", author.get("info_arg", False)

    def show(*given: Any) -> Any:
        *values, handler, info = given  # the values are the model, of its fields, and the value
        try:
            return _sorted_within(values[-1], handler)
        except PydanticSerializationError:
            more = [handler] * is_wrap + [info] * has_info
            return author["function"](*values, *more)

    return cast(
        Schema,
        core_schema.wrap_serializer_function_ser_schema(
            show, is_field_serializer=author.get("is_field_serializer", False), info_arg=True
        ),
    )
