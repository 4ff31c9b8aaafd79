"""The names of fields as people are shown them, and the other names under which they are read."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent_continuations.authoring.core_schema import FIELDS, Schema, named_fields, parts
from agent_continuations.authoring.raw_json import Steps

# Join the steps of a path in the name of one member, and mark the numbers among them.
_STEP, _NUMBER = "\x00", "\x01"


def alias_paths(field: Schema) -> list[Steps]:
    """The paths at which a field is read; the first is the one that is shown."""
    alias = field.get("validation_alias") if field.get("type") in FIELDS else None
    if alias is None:
        return []
    if isinstance(alias, str):
        return [(alias,)]
    many = list(alias)
    return [tuple(each) for each in many] if isinstance(many[0], list | tuple) else [tuple(many)]


def shown_path(name: str, field: Schema) -> Steps:
    """The path at which a field is shown."""
    return (alias_paths(field) or [(name,)])[0]


def other_paths(schema: Schema) -> dict[Steps, tuple[Steps, ...]]:
    """By the path that is shown, the other paths at which a field of that path is read."""
    found: dict[Steps, set[Steps]] = {}
    for part in parts(schema):
        for name, field in named_fields(part):
            shown = shown_path(name, field)
            found.setdefault(shown, set()).update({*alias_paths(field), (name,)} - {shown})
    return {path: tuple(sorted(each, key=str)) for path, each in found.items() if each}


def joined(path: Steps) -> str:
    """A path as one name."""
    return _STEP.join(f"{_NUMBER}{each}" if isinstance(each, int) else each for each in path)


def _split(name: Any) -> list[str | int]:
    steps = name.split(_STEP) if isinstance(name, str) else [name]
    return [int(each[1:]) if each.startswith(_NUMBER) else each for each in steps]


def nested(value: Any) -> Any:
    """A dump whose joined names have become members of inner objects and lists."""
    if isinstance(value, list):
        return [nested(each) for each in value]
    if not isinstance(value, dict):
        return value
    # Whole values first: a path may lead into one of them.
    paths = sorted(((_split(name), nested(inner)) for name, inner in value.items()), key=_length)
    top: dict[str | int, Any] = {}
    for path, inner in paths:
        _put(top, path, inner)
    return {name: _listed(inner) for name, inner in top.items()}


def _length(member: tuple[Sequence[Any], Any]) -> int:
    return len(member[0])


class _Inner(dict[str | int, Any]):
    """An inner object or list that paths lead into."""


def _put(place: Any, path: Sequence[str | int], value: Any) -> None:
    step, *rest = path
    if isinstance(place, list):
        if not isinstance(step, int) or not -len(place) <= step < len(place):
            return
    elif not isinstance(place, dict):
        return
    if not rest:
        place[step] = value
    elif isinstance(place, list):
        _put(place[step], rest, value)  # type: ignore[index]
    else:
        _put(place.setdefault(step, _Inner()), rest, value)


def _listed(value: Any) -> Any:
    if not isinstance(value, _Inner):
        return value
    inner: Mapping[str | int, Any] = {step: _listed(each) for step, each in value.items()}
    numbers = [each for each in inner if isinstance(each, int)]
    if not numbers:
        return inner
    after = max(numbers) + 1
    length = max(after, 0) + max(-min(numbers), 0)
    return [inner.get(at, inner.get(at - length)) for at in range(length)]
