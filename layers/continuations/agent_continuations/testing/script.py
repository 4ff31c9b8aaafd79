"""A recorded run as a script for `ScriptedModel`: the text of a Python file."""

import json
import keyword
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from agent_continuations.authoring.schema import MAX_ARGUMENT_DEPTH, is_within_depth
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.replies import Reply
from agent_continuations.testing.source import (
    Node,
    call_of,
    dict_of,
    list_of,
    literal,
    source_text,
    tuple_of,
)
from agent_continuations.views.recording import Recording


class RecordedScript(NamedTuple):
    """The text of a Python file with the mapping `SCRIPT`, and warnings about what it lacks."""

    text: str
    warnings: tuple[str, ...]


def script_of(recording: Recording) -> RecordedScript:
    """The replies of a recorded run, such that a `ScriptedModel` gives the same ones again.

    Usage and model names are left out. The arguments of calls are the same JSON values, though
    perhaps not the same text.
    """
    warnings: list[str] = []
    used: set[str] = set()
    items: dict[str, Node] = {}
    for agent, by_input in _replies_by_agent(recording, warnings).items():
        scripts = {
            given: list_of([_reply_node(each, used) for each in replies])
            for given, replies in by_input.items()
        }
        first = next(iter(scripts.values()))
        # An agent with the same replies to every input needs no inputs.
        if all(each == first for each in scripts.values()):
            items[agent] = first
        else:
            used |= {"by_input", "Script"}
            items[agent] = call_of("by_input", [dict_of(scripts)])
    annotation = ": dict[str, Script]" if "Script" in used else ""
    blocks = [f'"""The replies of the run {recording.run_id}, as a script for `ScriptedModel`."""']
    if used:
        blocks.append(f"from agent_continuations import {', '.join(sorted(used))}")
    blocks.append(source_text(f"SCRIPT{annotation} = ", dict_of(items), split=True))
    return RecordedScript("\n\n".join(blocks) + "\n", tuple(warnings))


def _replies_by_agent(
    recording: Recording, warnings: list[str]
) -> dict[str, dict[str, tuple[Reply, ...]]]:
    """By agent and input, the replies of its model; the first ones, if they were not the same."""
    found: dict[str, dict[str, tuple[Reply, ...]]] = {}
    for frame in _frames(recording):
        replies = tuple(map(_bare, (turn.reply for turn in frame.turns)))
        frames = found.setdefault(frame.agent, {})
        kept = frames.setdefault(frame.input, replies)
        shorter, longer = sorted((kept, replies), key=len)
        if longer[: len(shorter)] == shorter:
            frames[frame.input] = longer  # one of them has not ended
        else:
            warning = (
                f"{frame.agent} had different replies to the same input,"
                f" and the script has the first ones only: {frame.input[:100]!r}"
            )
            if warning not in warnings:
                warnings.append(warning)
    return found


def _frames(recording: Recording) -> Iterator[Continuation]:
    for _, root in recording.runs():
        yield from root.frames()


def _bare(reply: Reply) -> Reply:
    """The reply without what a script leaves out."""
    return Reply(
        content=reply.content, requests=reply.requests, fault=reply.fault, detail=reply.detail
    )


def _reply_node(reply: Reply, used: set[str]) -> Node:
    given = [plain_arguments(each.arguments) for each in reply.requests]
    if reply.fault or reply.detail is not None or None in given:
        return _explicit_node(reply, used)
    content = {} if reply.content is None else {"content": literal(reply.content)}
    match given:
        case []:
            if not content:
                return _explicit_node(reply, used)
            used.add("say")
            return call_of("say", [*content.values()])
        case [dict(arguments)] if not content and all(map(_is_keyword, arguments)):
            used.add("call")
            named = {name: literal(value) for name, value in arguments.items()}
            return call_of("call", [literal(reply.requests[0].name)], named)
        case _:
            used.add("calls")
            pairs = [
                tuple_of([literal(request.name), literal(arguments)])
                for request, arguments in zip(reply.requests, given, strict=True)
            ]
            return call_of("calls", pairs, content)


def _explicit_node(reply: Reply, used: set[str]) -> Node:
    """A reply that the other words cannot express."""
    used.add("Reply")
    fields: dict[str, Node] = {}
    if reply.content is not None:
        fields["content"] = literal(reply.content)
    if reply.requests:
        used.add("ToolRequest")
        requests = [
            call_of("ToolRequest", [], {name: literal(value) for name, value in each})
            for each in reply.requests
        ]
        fields["requests"] = tuple_of(requests)
    if reply.fault is not None:
        fields["fault"] = literal(reply.fault)
    if reply.detail is not None:
        fields["detail"] = literal(reply.detail)
    return call_of("Reply", [], fields)


def plain_arguments(text: str) -> dict[str, Any] | None:
    """The arguments of a call as the engine reads them; None if only their text says the same."""
    if not text.strip():
        return {}
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_finite, parse_float=_finite
        )
    except (ValueError, RecursionError):
        return None
    is_plain = isinstance(value, dict) and is_within_depth(value, MAX_ARGUMENT_DEPTH)
    return value if is_plain else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name is given twice")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def _is_keyword(name: str) -> bool:
    """Whether `call` can take the argument by its name."""
    # Python normalizes names with other letters.
    is_name = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
    return is_name and name not in ("tool", "__debug__")
