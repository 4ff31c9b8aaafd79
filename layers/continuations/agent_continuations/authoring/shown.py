"""What people are shown of a validated value: plain JSON that depends on the value alone.

Pydantic's own dump is made for other readers: it has serialization aliases, computed fields and
custom forms, leaves fields out, and orders sets by their hash. Here the core schema, of which
pydantic makes its serializers, is rewritten: names are those of the JSON schema, nothing is left
out or added, sets are sorted, and secrets are masked.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias, cast

from pydantic import BaseModel
from pydantic_core import (
    CoreSchema,
    SchemaSerializer,
    SchemaValidator,
    core_schema,
    to_jsonable_python,
)

from agent_continuations.core.ids import canonical_json

MASK = "**********"
# Joins the steps of an alias that leads into an inner object, in the name of one member.
_STEP = "\x00"
_FIELDS = ("model-field", "dataclass-field", "typed-dict-field")
# Not parts of a schema: they may hold anything, and schemas elsewhere are not rewritten.
_OPAQUE = ("cls", "function", "metadata", "default", "default_factory", "python_schema")

Schema: TypeAlias = dict[str, Any]


class ShownForm:
    """The form in which values of a model are shown.

    Args:
        model: the model.

    Attributes:
        other_names: by the name that is shown, the other names of the same field.
        secret_names: the names, as they are shown, of members that may hold a masked secret.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        schema = cast(Schema, model.__pydantic_core_schema__)
        self.secret_names = _secret_names(schema)
        self.other_names = _other_names(schema)
        self._has_steps = any(len(_alias(each)) > 1 for each in _fields(schema))
        # Nested models have serializers of their own, made of the schema as it was.
        self._serializer = SchemaSerializer(cast(CoreSchema, _rewritten(schema)), None, False)

    def of(self, value: BaseModel, *, secrets: str | None = MASK) -> dict[str, Any]:
        """The value as plain JSON.

        Args:
            value: an instance of the model.
            secrets: the text in place of each secret that is not empty; None for the secret.

        Raises:
            ValueError: the value cannot be expressed as JSON.
            Exception: a function of the author raised it.
        """
        dumped = self._serializer.to_python(
            value,
            mode="json",
            by_alias=True,
            round_trip=True,
            context={"secrets": secrets},
            warnings=False,  # a validator may give another type than the schema names
        )
        return cast(dict[str, Any], _nested(dumped) if self._has_steps else dumped)


def lazy_as_lists(model: type[BaseModel]) -> SchemaValidator | None:
    """A validator that makes lists of iterables, which pydantic would read only once.

    None if the model has none, so that its own validator serves.
    """
    schema = cast(Schema, model.__pydantic_core_schema__)
    if not any(each.get("type") == "generator" for each in _parts(schema)):
        return None
    return SchemaValidator(cast(CoreSchema, _with_lists(schema)), None, False)


def unfit_type(model: type[BaseModel]) -> str | None:
    """The kind of a type in a model that no JSON value can have; None if there is none."""
    kinds = {
        "callable": "a function",
        "is-subclass": "a class",
        "is-instance": "an object of a class that has no form in JSON",
    }
    found = (kinds.get(each.get("type", "")) for each in _parts(_schema_of(model)))
    return next((each for each in found if each), None)


def has_plain_validator(model: type[BaseModel]) -> bool:
    """Whether a field's value is made by an author's function alone."""
    top = next(each for each in _parts(_schema_of(model)) if "fields" in each)
    return any(
        part.get("type") == "function-plain"
        for _, field in _named_fields(top)
        for part in _unwrapped(field)
    )


def _unwrapped(field: Schema) -> Iterator[Schema]:
    """A field's schema, and what defaults and optional values wrap."""
    schema: Any = field.get("schema")
    while isinstance(schema, dict):
        yield schema
        schema = schema.get("schema") if schema.get("type") in ("default", "nullable") else None


def _schema_of(model: type[BaseModel]) -> Schema:
    return cast(Schema, model.__pydantic_core_schema__)


def _parts(schema: Any) -> Iterator[Schema]:
    """Every schema within a schema, this one included; not those for values that are no JSON."""
    if isinstance(schema, dict):
        yield schema
        for name, inner in schema.items():
            if name not in _OPAQUE and name != "serialization":
                yield from _parts(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from _parts(inner)


def _fields(schema: Schema) -> Iterator[Schema]:
    return (each for each in _parts(schema) if each.get("type") in _FIELDS)


def _alias(field: Schema) -> list[Any]:
    """The path of the first alias under which a field is read; empty if it has none."""
    paths = _alias_paths(field)
    return paths[0] if paths else []


def _alias_paths(field: Schema) -> list[list[Any]]:
    alias = field.get("validation_alias")
    if alias is None:
        return []
    if isinstance(alias, str):
        return [[alias]]
    many = list(alias)
    return [list(each) for each in many] if isinstance(many[0], list | tuple) else [many]


def _other_names(schema: Schema) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for part in _parts(schema):
        for name, field in _named_fields(part):
            paths = _alias_paths(field)
            shown = str(paths[0][0]) if paths else name
            others = {str(path[0]) for path in paths if len(path) == 1} | {name}
            found.setdefault(shown, set()).update(others - {shown})
    return {name: tuple(sorted(others)) for name, others in found.items() if others}


def _secret_names(schema: Schema) -> tuple[str, ...]:
    if not any(_is_secret(each) for each in _parts(schema)):
        return ()
    top = next(each for each in _parts(schema) if "fields" in each)
    found = []
    for name, field in _named_fields(top):
        # A definition that is used elsewhere, too, may hold the secret.
        parts = list(_parts(field))
        if any(_is_secret(each) or each.get("type") == "definition-ref" for each in parts):
            found.append(str((_alias(field) or [name])[0]))
    return tuple(found)


def _named_fields(part: Schema) -> Iterator[tuple[str, Schema]]:
    """The fields of a model, a typed dict or a dataclass, with their names in Python."""
    fields = part.get("fields") or ()
    named = (
        fields.items()
        if isinstance(fields, Mapping)
        else ((each.get("name", ""), each) for each in fields if isinstance(each, dict))
    )
    return ((name, each) for name, each in named if each.get("type") in _FIELDS)


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


def _rewritten(schema: Any) -> Any:
    """A schema whose serializer shows values."""
    if isinstance(schema, list):
        return [_rewritten(each) for each in schema]
    if isinstance(schema, tuple):
        return tuple(_rewritten(each) for each in schema)
    if not isinstance(schema, dict):
        return schema
    new = {
        name: inner if name in (*_OPAQUE[:-1], "serialization") else _rewritten(inner)
        for name, inner in schema.items()
    }
    kind = new.get("type")
    if kind in _FIELDS:
        _show_field(new)
    if "computed_fields" in new:
        new["computed_fields"] = []
    _show_value(new, is_secret=_is_secret(schema))
    return new


def _show_field(field: Schema) -> None:
    for name in ("serialization_exclude", "serialization_exclude_if", "serialization_alias"):
        field.pop(name, None)
    alias = _alias(field)
    if alias:
        field["serialization_alias"] = _STEP.join(map(str, alias))
    if field.get("init") is False:  # not read, but computed
        field["serialization_exclude"] = True


def _show_value(schema: Schema, *, is_secret: bool) -> None:
    kind, serialization = schema.get("type"), schema.get("serialization")
    if is_secret:
        schema["serialization"] = core_schema.plain_serializer_function_ser_schema(
            _masked, info_arg=True
        )
    elif kind == "generator":
        schema["type"] = "list"  # as `lazy_as_lists` reads it
    elif kind in ("set", "frozenset"):
        schema["serialization"] = core_schema.wrap_serializer_function_ser_schema(_sorted)
    elif _is_function(serialization) and not _function_of(serialization):
        # An author's form is for other readers, and may not be read back.
        del schema["serialization"]


def _is_function(serialization: Any) -> bool:
    return isinstance(serialization, Mapping) and serialization["type"].startswith("function")


def _masked(secret: Any, info: core_schema.SerializationInfo) -> Any:
    plain = secret.get_secret_value()
    mask = (info.context or {}).get("secrets", MASK)
    if mask is None:
        return to_jsonable_python(plain)
    return mask if plain not in ("", b"") else ""


def _sorted(value: Any, handler: Callable[[Any], Any]) -> Any:
    return sorted(handler(value), key=canonical_json)


def _with_lists(schema: Any) -> Any:
    """A schema that reads lists in place of iterables."""
    if isinstance(schema, list):
        return [_with_lists(each) for each in schema]
    if isinstance(schema, tuple):
        return tuple(_with_lists(each) for each in schema)
    if not isinstance(schema, dict):
        return schema
    new = {
        name: inner if name in _OPAQUE[:-1] else _with_lists(inner)
        for name, inner in schema.items()
    }
    if new.get("type") == "generator":
        new["type"] = "list"
    return new


def _nested(value: Any) -> Any:
    """A dump whose names with steps have become inner objects."""
    if isinstance(value, list):
        return [_nested(each) for each in value]
    if not isinstance(value, dict):
        return value
    nested: dict[str, Any] = {}
    for name, inner in value.items():
        *outer, last = name.split(_STEP) if isinstance(name, str) else [name]
        place = nested
        for step in outer:
            place = place.setdefault(step, {})
        place[last] = _nested(inner)
    return nested
