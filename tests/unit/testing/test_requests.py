"""What a model was sent besides the messages is compared with what it would be sent now."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agent_continuations import (
    Agent,
    InMemoryStore,
    LocalRunner,
    Script,
    ScriptedModel,
    call,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.request_profile import SECRET_SETTINGS, RequestProfile
from agent_continuations.engine.calls import agent_request
from agent_continuations.engine.planning import first_frame
from agent_continuations.errors import Invalid
from agent_continuations.testing import Difference, check_recording
from agent_continuations.testing.replay import _Replay
from agent_continuations.testing.requests import TOOL_FIELDS, changed_profile
from agent_continuations.views.recording import Recording


@tool(effect="read")
def look(at: int) -> str:
    """Look."""
    return str(at)


@tool(effect="read")
def listen(to: str) -> str:
    """Listen."""
    return to


def renamed(name: str) -> Tool:
    @tool(effect="read", name=name)
    def look(at: int) -> str:
        """Look."""
        return str(at)

    return look


def described(text: str) -> Tool:
    def look(at: int) -> str:
        return str(at)

    look.__doc__ = text
    return tool(effect="read")(look)


def with_more_arguments() -> Tool:
    @tool(effect="read")
    def look(at: int, depth: int = 1) -> str:
        """Look."""
        return f"{at} {depth}"

    return look


SETTINGS = {"temperature": 0, "seed": 7, "extra_headers": {"key": "secret"}}


def office(
    *,
    tools: Sequence[Tool] = (look, listen),
    model: str | None = "small",
    settings: Mapping[str, Any] = SETTINGS,
    output: type[BaseModel] | None = None,
    description: str = "Looks.",
) -> list[Agent]:
    """A boss, whose clerk looks; each part of the clerk's request can be changed."""
    clerk = Agent("clerk", "See.", tools=tools, model=model, settings=settings, output_type=output)
    return [Agent("boss", "Lead.", tools=[clerk.as_tool(description=description)])]


def scripts() -> dict[str, Script]:
    return {
        "boss": [calls(("clerk", {"input": "a"}), ("clerk", {"input": "b"})), say("done")],
        "clerk": [say("Let me see."), say("I see.")],
    }


def record(agents: list[Agent], given: Mapping[str, Script] | None = None) -> Recording:
    runner = LocalRunner(agents, ScriptedModel(given or scripts()))
    return runner.record(runner.start(agents[0].name, "go").run_id)


RECORDED = record(office())


def differences(recording: Recording, agents: list[Agent]) -> list[Difference]:
    """All differences, also those after the first."""
    from agent_continuations.authoring.registry import Registry

    return list(_Replay(recording, Registry(agents), ()).differences())


class Report(BaseModel):
    total: int


# The change, what differs, and both values.
CHANGES: list[tuple[dict[str, Any], str, Any, Any]] = [
    (
        {"tools": [look]},
        "clerk has no tool listen any more",
        ["look", "listen"],
        ["look"],
    ),
    (
        {"tools": [look, renamed("smell"), listen]},
        "clerk has a new tool smell",
        ["look", "listen"],
        ["look", "smell", "listen"],
    ),
    ({"tools": [described("Peek."), listen]}, "the description of look differs", "Look.", "Peek."),
    (
        {"tools": [with_more_arguments(), listen]},
        "the JSON schema of the arguments of look differs",
        look.schema,
        with_more_arguments().schema,
    ),
    (
        {"tools": [listen, look]},
        "the order of the tools of clerk differs",
        ["look", "listen"],
        ["listen", "look"],
    ),
    (
        {"settings": {**SETTINGS, "temperature": 1}},
        "the setting temperature of clerk differs",
        {"temperature": 0},
        {"temperature": 1},
    ),
    (
        {"settings": {"seed": 7}},
        "clerk has no setting temperature any more",
        {"temperature": 0},
        None,
    ),
    (
        {"settings": {**SETTINGS, "stop": None}},
        "clerk has a new setting stop",
        None,
        {"stop": None},
    ),
    ({"model": "large"}, "the model of clerk differs", "small", "large"),
    ({"model": None}, "the model of clerk differs", "small", None),
]


@pytest.mark.parametrize(
    ("change", "what", "expected", "actual"),
    CHANGES,
    ids=[f"{what} {number}" for number, (_, what, *_) in enumerate(CHANGES)],
)
def test_each_change_of_a_request_is_one_difference(
    change: dict[str, Any], what: str, expected: Any, actual: Any
) -> None:
    # The clerk was called twice.
    [found] = differences(RECORDED, office(**change))
    assert (found.what, found.expected, found.actual) == (what, expected, actual)
    assert (found.run, found.path, found.turn) == (RECORDED.run_id, "0.0", 0)
    assert found.agents == ("boss", "clerk")
    assert str(found).startswith(f"{what} (turn 0 of boss > clerk, path 0.0, run {found.run})\n")
    assert "--- recorded\n+++ now\n@@" in str(found)
    document = json.loads(RECORDED.model_dump_json())
    assert check_recording(document, office(**change)) == found


def test_the_schema_of_the_answer_is_compared_where_the_agent_starts() -> None:
    found = check_recording(RECORDED, office(output=Report))
    assert found
    assert (found.path, found.what) == ("0.0", "the JSON schema of the answer of clerk differs")


def test_a_sub_agent_is_compared_as_a_tool_of_its_caller() -> None:
    found = check_recording(RECORDED, office(description="Sees."))
    assert found
    assert (found.path, found.what) == ("", "the description of clerk differs")
    assert (found.expected, found.actual) == ("Looks.", "Sees.")


def test_a_request_comes_before_the_plans_of_its_turn_and_after_those_before() -> None:
    given: dict[str, Script] = {
        "boss": [call("clerk", input="a"), say("done")],
        "clerk": [call("look", at=3), say("I see.")],
    }
    recorded = record(office(), given)
    found = [each.what for each in differences(recorded, office(tools=[listen]))]
    assert found == ["clerk has no tool look any more"] * 2
    assert [each.path for each in differences(recorded, office(tools=[listen]))] == [
        "0.0",
        "0.0/0.0",
    ]
    # The boss and its plan come before the clerk.
    both = differences(recorded, office(description="Sees.", model="large"))
    assert [each.path for each in both] == ["", "0.0"]


def test_a_renamed_tool_is_gone_and_new_and_everything_else_is_named_too() -> None:
    changed = office(
        tools=[listen, renamed("peek"), described("Peek.")],
        settings={"temperature": 1, "top_p": 1},
        model=None,
    )
    assert [each.what for each in differences(RECORDED, changed)] == [
        "clerk has a new tool peek",
        "the description of look differs",
        "the order of the tools of clerk differs",
        "the setting temperature of clerk differs",
        "clerk has no setting seed any more",
        "clerk has a new setting top_p",
        "the model of clerk differs",
    ]


def test_settings_that_may_hold_secrets_are_not_compared() -> None:
    assert "secret" not in RECORDED.model_dump_json()
    for name in SECRET_SETTINGS:
        assert check_recording(RECORDED, office(settings={**SETTINGS, name: {"a": 1}})) is None


def test_one_change_of_agents_that_share_a_profile_is_one_difference() -> None:
    def agents(text: str) -> list[Agent]:
        inner = [Agent(name, tools=[described(text)]) for name in ("ann", "bob")]
        return [Agent("boss", tools=[each.as_tool(description="Works.") for each in inner])]

    given: dict[str, Script] = {
        "boss": [calls(("ann", {"input": "a"}), ("bob", {"input": "b"})), say("done")],
        "ann": [say("yes")],
        "bob": [say("no")],
    }
    recorded = record(agents("Look."), given)
    assert len(recorded.requests) == 2
    [found] = differences(recorded, agents("Peek."))
    assert (found.agents, found.what) == (("boss", "ann"), "the description of look differs")


def test_a_deployment_during_the_run_differs_in_the_turns_before_it() -> None:
    store = InMemoryStore()
    model = ScriptedModel({"a": [call("look", at=1), say("one"), say("two")]})
    old, new = ([Agent("a", tools=[look], settings={"seed": seed})] for seed in (1, 2))
    run_id = LocalRunner(old, model, store=store).start("a", "go").run_id
    later = LocalRunner(new, model, store=store)
    assert later.message(run_id, "And?").result == "two"
    recorded = later.record(run_id)
    assert len(recorded.requests) == 2
    [found] = differences(recorded, new)
    assert (found.turn, found.what) == (0, "the setting seed of a differs")
    [found] = differences(recorded, old)
    assert (found.turn, found.what) == (2, "the setting seed of a differs")


def test_child_runs_have_their_requests_in_the_document_of_the_run() -> None:
    def agents(model: str) -> list[Agent]:
        worker = Agent("worker", model=model)
        return [Agent("boss", tools=[worker.as_tool(description="Works.", spawn=True)])]

    given: dict[str, Script] = {
        "boss": [call("worker", input="a"), say("done")],
        "worker": [say("yes")],
    }
    recorded = record(agents("small"), given)
    [child] = recorded.children
    assert {each.model for each in recorded.requests.values()} == {None, "small"}
    assert check_recording(recorded, agents("small")) is None
    [found] = differences(recorded, agents("large"))
    assert (found.run, found.agents) == (child, ("boss", "worker"))
    assert found.what == "the model of worker differs"


def test_a_profile_that_the_document_lacks_is_not_compared() -> None:
    [boss] = {turn.profile for turn in RECORDED.continuation.turns}
    assert boss
    partly = RECORDED.model_copy(update={"requests": {boss: RECORDED.requests[boss]}})
    assert check_recording(partly, office(model="large")) is None
    assert check_recording(partly, office(description="Sees."))


def test_a_document_whose_names_were_sorted_does_not_differ() -> None:
    document = json.loads(json.dumps(json.loads(RECORDED.model_dump_json()), sort_keys=True))
    assert check_recording(document, office()) is None


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        ([{}], "not a recording: a tool in 'requests' has no name"),
        ([{"function": {"name": 7}}], "not a recording: a tool in 'requests' has no name"),
        ([{"function": "look"}], "not a recording: a tool in 'requests' has no name"),
        (7, "not a recording: requests.*tools: Input should be a valid tuple"),
    ],
)
def test_a_document_with_other_tools_is_refused(tools: Any, why: str) -> None:
    document = json.loads(RECORDED.model_dump_json())
    for each in document["requests"].values():
        each["tools"] = tools
    with pytest.raises(Invalid, match=why):
        check_recording(document, office())


def test_unusual_tools_and_settings_do_not_differ() -> None:
    class Odd: ...

    def agents() -> list[Agent]:
        settings = {"timeout": Odd(), "nan": float("nan"), "half": "\ud800", "none": None}
        tools = [described("\ud800 \u202e \x1b[2J\n" + "x" * 50_000)]
        return [Agent("boss", tools=tools, settings=settings)]

    recorded = record(agents(), {"boss": [say("done")]})
    assert check_recording(recorded, agents()) is None
    document = json.loads(recorded.model_dump_json())
    assert check_recording(document, agents()) is None
    found = check_recording(document, [Agent("boss", tools=[described("y" * 50_000)])])
    assert found
    assert found.what == "the description of look differs"
    text = str(found)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) < 1000


def profile_of(agent: Agent) -> RequestProfile:
    return agent_request(agent, first_frame(agent, ""), ()).profile


def test_every_part_of_a_request_profile_is_compared() -> None:
    assert set(RequestProfile.model_fields) == {"model", "tools", "settings"}
    [found] = profile_of(Agent("a", tools=[look])).tools
    assert set(found) == {"type", "function"}
    assert set(found["function"]) == {"name", *TOOL_FIELDS}


TOOLS: list[Callable[[], Tool]] = [
    lambda: look,
    lambda: described("Peek."),
    with_more_arguments,
    lambda: listen,
    lambda: renamed("peek"),
]
some_tools = st.lists(st.sampled_from(TOOLS), max_size=4).map(
    lambda makers: list({made.name: made for made in (make() for make in makers)}.values())
)
some_settings = st.dictionaries(
    st.sampled_from(["temperature", "seed", "stop"]), st.sampled_from([0, 1, 1.0, None, "0", [0]])
)
some_agents = st.builds(
    lambda tools, settings, model: Agent("a", tools=tools, settings=settings, model=model),
    some_tools,
    some_settings,
    st.sampled_from([None, "small", "large"]),
)


@given(some_agents, some_agents)
def test_two_requests_differ_if_and_only_if_a_difference_is_found(one: Agent, other: Agent) -> None:
    recorded, now = profile_of(one), profile_of(other)
    found = list(changed_profile(recorded, now, "a"))
    same = json.dumps(recorded.model_dump(), sort_keys=True) == json.dumps(
        now.model_dump(), sort_keys=True
    )
    assert (not found) == same
    assert len({each.what for each in found}) == len(found)
    assert not list(changed_profile(now, profile_of(other), "a"))
