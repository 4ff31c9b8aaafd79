"""Comparison of what a model was sent besides the messages with what it would be sent now."""

from collections.abc import Iterator, Mapping
from typing import Any

from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.errors import Invalid
from agent_continuations.testing.comparison import is_different
from agent_continuations.testing.difference import Change

# What differs, by field; `{}` is the name of the tool. A test checks that every field is compared.
TOOL_FIELDS = {
    "description": "the description of {} differs",
    "parameters": "the JSON schema of the arguments of {} differs",
}


def changed_profile(recorded: RequestProfile, now: RequestProfile, agent: str) -> Iterator[Change]:
    """What differs in the tools, the settings and the model of a request.

    The schema of the answer is compared where the agent starts, because the frame has it.

    Args:
        recorded: the recorded profile.
        now: the profile of the code that is deployed now.
        agent: the name of the agent.

    Raises:
        Invalid: a recorded tool has no name.
    """
    yield from _changed_tools(_functions(recorded), _functions(now), agent)
    yield from _changed_settings(recorded.settings, now.settings, agent)
    if recorded.model != now.model:
        yield Change(f"the model of {agent} differs", recorded.model, now.model)


def _changed_tools(
    recorded: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]], agent: str
) -> Iterator[Change]:
    names, names_now = list(recorded), list(now)
    for name in names:
        if name not in now:
            yield Change(f"{agent} has no tool {name} any more", names, names_now)
    for name in names_now:
        if name not in recorded:
            yield Change(f"{agent} has a new tool {name}", names, names_now)
    kept = [name for name in names if name in now]
    for name in kept:
        for field, label in TOOL_FIELDS.items():
            before, after = recorded[name].get(field), now[name].get(field)
            if is_different(before, after):
                yield Change(label.format(name), before, after)
    kept_now = [name for name in names_now if name in recorded]
    if kept != kept_now:
        yield Change(f"the order of the tools of {agent} differs", kept, kept_now)


def _changed_settings(
    recorded: Mapping[str, Any], now: Mapping[str, Any], agent: str
) -> Iterator[Change]:
    for name in {**recorded, **now}:
        before = {name: recorded[name]} if name in recorded else None
        after = {name: now[name]} if name in now else None
        if after is None:
            yield Change(f"{agent} has no setting {name} any more", before, after)
        elif before is None:
            yield Change(f"{agent} has a new setting {name}", before, after)
        elif is_different(before, after):
            yield Change(f"the setting {name} of {agent} differs", before, after)


def _functions(profile: RequestProfile) -> dict[str, Mapping[str, Any]]:
    """The tools by name, in their order."""
    functions: dict[str, Mapping[str, Any]] = {}
    for tool in profile.tools:
        match tool:
            case {"function": {"name": str(name)} as function}:
                functions[name] = function
            case _:
                raise Invalid("not a recording: a tool in 'requests' has no name")
    return functions
