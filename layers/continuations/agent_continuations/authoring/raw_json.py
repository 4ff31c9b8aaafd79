"""JSON objects as text: how a model or a person wrote them, kept as they came."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from agent_continuations.core.ids import canonical_json

MAX_DEPTH = 32
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
    other_names: Mapping[str, Sequence[str]],
) -> str:
    """The text of an object after a person has edited what was shown of it.

    A value that equals the one shown stays as it came. Objects are compared member by member;
    lists are replaced whole. A changed member is written under the name shown.

    Args:
        text: the object.
        shown: what was shown of it.
        edited: what the person sent back.
        other_names: by a name shown, the other names under which the member may have come.
    """
    members = dict(_members(text)) if text.strip() else {}
    before = dict(members)
    for name in (*shown, *(each for each in edited if each not in shown)):
        if name in shown and name in edited and _same(shown[name], edited[name]):
            continue
        names = [name, *(each for each in other_names.get(name, ()) if each not in shown)]
        old = next((members[each] for each in names if each in members), "")
        new = None
        if name in edited:
            new = _edited_value(old, shown.get(name), edited[name], other_names)
        for each in names:
            if each != name or new is None:
                members.pop(each, None)
        if new is not None:
            members[name] = new
    if members == before:
        return text
    return f"{{{', '.join(f'{json.dumps(name)}: {value}' for name, value in members.items())}}}"


def _edited_value(
    old: str, shown: Any, edited: Any, other_names: Mapping[str, Sequence[str]]
) -> str:
    if isinstance(shown, Mapping) and isinstance(edited, Mapping) and old.startswith("{"):
        return edited_object(old, shown, edited, other_names)
    return json.dumps(edited)


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
