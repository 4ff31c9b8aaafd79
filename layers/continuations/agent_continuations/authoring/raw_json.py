"""JSON objects as text: how a model or a person wrote them, kept as they came."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, TypeAlias

from agent_continuations.core.ids import canonical_json

MAX_DEPTH = 32
# Steps into a JSON value: names of members, and numbers of items.
Steps: TypeAlias = tuple[str | int, ...]
_WHITESPACE = " \t\n\r"
_decode: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().raw_decode


def parsed_object(text: str) -> dict[str, Any]:
    """The object in a text. Models send an empty text for no arguments.

    Raises:
        ValueError: the text is not one JSON object, has a key twice, or is nested deeper than
            `MAX_DEPTH`.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError("a JSON object is needed")
    if not is_within_depth(value, MAX_DEPTH):
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    return value


def edited_object(
    text: str,
    shown: Mapping[str, Any],
    edited: Mapping[str, Any],
    other_paths: Mapping[Steps, Sequence[Steps]],
) -> str:
    """The text of an object after a person has edited what was shown of it.

    A value that equals the one shown stays as it came. Objects are compared member by member;
    lists are replaced whole. A changed member is written under the name shown.

    Args:
        text: the object.
        shown: what was shown of it.
        edited: what the person sent back.
        other_paths: by a path shown, the other paths at which the value may have come.
    """
    members = dict(_members(text)) if text.strip() else {}
    before = dict(members)
    for name in (*shown, *(each for each in edited if each not in shown)):
        if name in shown and name in edited and _same(shown[name], edited[name]):
            continue
        old = members.get(name, "")
        for path in other_paths:
            if path[0] == name and not _same_at(path[1:], shown.get(name), edited.get(name)):
                others = [each for each in other_paths[path] if not _has(shown, each)]
                came = [each for each in (_taken(members, other) for other in others) if each]
                # Members of one object may have come at paths of their own.
                old = old or (came[0] if came and path == (name,) else "{}" if came else "")
        if name in edited:
            members[name] = _edited_value(old, shown.get(name), edited[name], other_paths)
        else:
            members.pop(name, None)
    return text if members == before else _object(members)


def _edited_value(
    old: str, shown: Any, edited: Any, other_paths: Mapping[Steps, Sequence[Steps]]
) -> str:
    if isinstance(shown, Mapping) and isinstance(edited, Mapping) and old.startswith("{"):
        return edited_object(old, shown, edited, other_paths)
    return json.dumps(edited)


def _taken(members: dict[str, str], path: Steps) -> str:
    """Removes the value at a path; returns its text, or an empty one if there is none."""
    name, *rest = path
    old = members.get(str(name), "")
    if not rest:
        members.pop(str(name), None)
        return old
    if not old.startswith("{"):  # a list keeps its items, since their numbers would change
        return ""
    inner = dict(_members(old))
    taken = _taken(inner, tuple(rest))
    if taken and inner:
        members[str(name)] = _object(inner)
    elif taken:
        del members[str(name)]
    return taken


def _object(members: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{json.dumps(name)}: {value}' for name, value in members.items())}}}"


def at_path(value: Any, path: Steps) -> Any:
    """The value at a path.

    Raises:
        LookupError, TypeError: there is none.
    """
    for step in path:
        value = value[step]
    return value


def _has(value: Any, path: Steps) -> bool:
    with suppress(LookupError, TypeError):
        at_path(value, path)
        return True
    return False


def _same_at(path: Steps, one: Any, other: Any) -> bool:
    if not (_has(one, path) and _has(other, path)):
        return not _has(one, path) and not _has(other, path)
    return _same(at_path(one, path), at_path(other, path))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; 1 and 1.0 are, 1 and true are not.

    What is no JSON, such as NaN, equals nothing; the validation will say what is wrong with it.
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    try:
        return type(one) is type(other) and canonical_json(one) == canonical_json(other)
    except ValueError:
        return False


def _members(text: str) -> Iterator[tuple[str, str]]:
    """The members of an object, each value as its text."""
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "}":
        name, at = scanstring(text, at + 1, True)
        at = _after_space(text, _after_space(text, at) + 1)
        _, end = _decode(text, at)
        yield name, text[at:end]
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    while text[at] in _WHITESPACE:
        at += 1
    return at


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found


def is_within_depth(value: Any, depth: int) -> bool:
    """Whether a JSON value is nested at most so deep."""
    if depth < 0:
        return False
    if isinstance(value, Mapping):
        return all(is_within_depth(inner, depth - 1) for inner in value.values())
    if isinstance(value, list | tuple):
        return all(is_within_depth(inner, depth - 1) for inner in value)
    return True
