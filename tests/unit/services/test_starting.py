"""Starting runs: the error for an agent that cannot be started names those that can."""

import pytest

from agent_continuations import Agent, LocalRunner, ScriptedModel
from agent_continuations.errors import NotFound
from agent_continuations.handlers.problems import MAX_TEXT_CHARACTERS, problem_of

CLERK = Agent("clerk")
OFFICE = Agent("office", tools=[CLERK.as_tool(description="Pays.")])


def refusal(name: str, *agents: Agent) -> str:
    runner = LocalRunner(agents, ScriptedModel({}))
    with pytest.raises(NotFound) as refused:
        runner.start(name, "go")
    assert refused.value.fields == (("agent", "unknown"),)
    return str(refused.value)


def test_an_unknown_agent_is_answered_with_those_that_can_be_started() -> None:
    known = "agents that can be started: office, shop"
    assert refusal("ofice", OFFICE, Agent("shop")) == f"there is no agent named 'ofice'; {known}"
    assert refusal("a") == "there is no agent named 'a'; agents that can be started: none"


def test_a_sub_agent_is_called_one() -> None:
    assert refusal("clerk", OFFICE) == (
        "the agent 'clerk' is a sub-agent and cannot be started; agents that can be started: office"
    )


def test_the_list_is_bounded_and_fits_a_problem_document() -> None:
    many = [Agent(f"agent{number}-{'x' * 50}") for number in range(60)]
    text = refusal("\U000e0001" * 256, *many)
    assert "agent19-" in text
    assert "agent20-" not in text
    assert text.endswith(" and 40 more")
    assert problem_of(NotFound(text), "r-1")["detail"] == text
    assert len(text) <= MAX_TEXT_CHARACTERS
