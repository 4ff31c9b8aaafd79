"""Walks through pydantic's core schemas: nested dicts that say how values are read and dumped."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, cast

from pydantic import BaseModel
from pydantic_core import CoreSchema, SchemaValidator

Schema: TypeAlias = dict[str, Any]

FIELDS = ("model-field", "dataclass-field", "typed-dict-field", "named-tuple-field")
_UNFIT = {
    "callable": "a function",
    "is-subclass": "a class",
    "is-instance": "an object of a class that has no form in JSON",
}
# The keys whose values are schemas, or lists, tuples or mappings of schemas.
_READ_FROM_JSON = (
    "schema",
    "items_schema",
    "keys_schema",
    "values_schema",
    "choices",
    "steps",
    "fields",
    "computed_fields",
    "extras_schema",
    "extras_keys_schema",
    "arguments_schema",
    "var_args_schema",
    "var_kwargs_schema",
    "lax_schema",
    "strict_schema",
    "json_schema",
    "definitions",
)
_ALL = (*_READ_FROM_JSON, "python_schema")


def core_schema_of(model: type[BaseModel]) -> Schema:
    """The core schema of a model."""
    return cast(Schema, model.__pydantic_core_schema__)


def parts(schema: Schema) -> Iterator[Schema]:
    """Every schema within a schema by which JSON is read, the schema itself included."""
    yield schema
    for name in _READ_FROM_JSON:
        for inner in _listed(schema.get(name)):
            yield from parts(inner)


def with_parts(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """A copy of a schema whose direct parts are changed."""
    changed = {
        name: _changed(schema[name], change) for name in _ALL if schema.get(name) is not None
    }
    return {**schema, **changed}


def named_fields(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The fields of a model, a typed dict or a dataclass, with their names in Python."""
    fields = schema.get("fields") or ()
    if isinstance(fields, Mapping):
        yield from fields.items()
    else:  # of a dataclass, its schema has the names, and that of its arguments the fields
        yield from ((each["name"], each) for each in fields if isinstance(each, dict))


def top_fields(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """The fields of the outermost model; none if the model is a root model."""
    top = next((each for each in parts(schema) if "fields" in each or "root_model" in each), {})
    while top.get("type") != "model-fields" and isinstance(top.get("schema"), dict):
        top = top["schema"]
    return named_fields(top) if top.get("type") == "model-fields" else iter(())


def _is_schema(part: Any) -> bool:
    """Whether a mapping is a schema, and not one of names to schemas: a name may be `type`."""
    return isinstance(part.get("type"), str)


def _listed(part: Any) -> Iterator[Schema]:
    if isinstance(part, Mapping):
        if _is_schema(part):
            yield cast(Schema, part)
        else:
            yield from part.values()
    elif isinstance(part, list):
        choices = (each[0] if isinstance(each, tuple) else each for each in part)  # with labels
        yield from (each for each in choices if isinstance(each, dict))


def _changed(part: Any, change: Callable[[Schema], Schema]) -> Any:
    if isinstance(part, dict):
        return (
            change(part) if _is_schema(part) else {n: _changed(p, change) for n, p in part.items()}
        )
    if isinstance(part, list):
        return [_changed(each, change) for each in part]
    if isinstance(part, tuple):
        return (_changed(part[0], change), *part[1:])
    return part


def lazy_as_lists(model: type[BaseModel]) -> SchemaValidator | None:
    """A validator that makes lists of iterables, which pydantic would read only once.

    None if the model has none, so that its own validator serves.
    """
    schema = core_schema_of(model)
    if not any(each["type"] == "generator" for each in parts(schema)):
        return None
    return SchemaValidator(cast(CoreSchema, _with_lists(schema)), None, False)


def _with_lists(schema: Schema) -> Schema:
    new = with_parts(schema, _with_lists)
    if new["type"] == "generator":
        new["type"] = "list"
    return new


def unfit_type(model: type[BaseModel]) -> str | None:
    """The kind of a type in a model that no JSON value can have; None if there is none."""
    for each in parts(core_schema_of(model)):
        if each.get("init_only"):
            return "an InitVar, which nobody could be shown"
        if each["type"] in _UNFIT:
            return _UNFIT[each["type"]]
    return None


def has_plain_validator(model: type[BaseModel]) -> bool:
    """Whether a field's value is made, and shown, by an author's function alone."""
    return any(
        part["type"] == "function-plain" and "serialization" not in part
        for _, field in top_fields(core_schema_of(model))
        for part in _unwrapped(field)
    )


def _unwrapped(field: Schema) -> Iterator[Schema]:
    """A field's schema, and what defaults and optional values wrap."""
    schema: Any = field.get("schema")
    while isinstance(schema, dict):
        yield schema
        schema = schema.get("schema") if schema["type"] in ("default", "nullable") else None
