"""The base of all stored values, and the rule for texts that cannot be stored."""

from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict

_Value = TypeVar("_Value")


class FrozenModel(BaseModel):
    """Base of every stored value: immutable, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def storable(value: _Value) -> _Value:
    """A value as stores and model services take it: with `?` for each half of a surrogate pair.

    A Python string can hold half a pair, as `json.loads` makes of a text that was cut between the
    two, but UTF-8 cannot. What comes from outside or from the author's code passes through here
    before anything is made of it, so that all stores hold the same.

    Args:
        value: a text; or a dict, list, tuple, model or dataclass with texts at any depth. Any
            other value is returned as it is.
    """
    return cast(_Value, _storable(value))


def _storable(value: Any) -> Any:
    """The same object, if nothing in it must change."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        text = str.encode(value, "utf-8", "replace").decode("utf-8")
        return value if type(value) is str and text == value else text
    if isinstance(value, dict):
        made: Any = {_storable(name): _storable(each) for name, each in value.items()}
        return value if made == value else made
    if type(value) in (list, tuple):
        made = type(value)(map(_storable, value))
        return value if made == value else made
    if isinstance(value, BaseModel):
        changes = _changes(dict(value))
        return value.model_copy(update=changes) if changes else value
    if is_dataclass(value) and not isinstance(value, type):
        changes = _changes({each.name: getattr(value, each.name) for each in fields(value)})
        return replace(value, **changes) if changes else value
    return value


def _changes(parts: dict[str, Any]) -> dict[str, Any]:
    made = {name: _storable(each) for name, each in parts.items()}
    return {name: each for name, each in made.items() if each is not parts[name]}
