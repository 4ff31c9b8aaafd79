"""`agents`: the deployed agents as trees, with their policies in words."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from agent_continuations import Agent, Approval, Escalation, EveryTokens, Stage, tool
from agent_continuations.authoring.registry import Registry
from agent_continuations.cli.agent_tree import AgentPage, agent_trees, duration_text
from agent_continuations.views.agent import agent_page
from tests.support.cli_agents import AGENTS
from tests.support.cli_commands import Run, document

HOUR = 3600


def test_the_deployed_agents_are_drawn_as_trees(run: Run) -> None:
    lines = run("agents").stdout.splitlines()
    start = lines.index("office can be started")
    assert lines[start : start + 3] == [
        "office can be started",
        "└── clerk agent",
        "    └── transfer once: some calls need approval by ann@example.com; within 7 days;"
        " else rejected",
    ]
    assert "sleeper can be started" in lines
    assert "└── nap read" in lines
    assert not [line for line in lines if line.startswith("clerk")]


def test_with_json_the_response_of_the_api_is_printed(run: Run) -> None:
    page = document(run("agents", "--json"))
    assert [each["name"] for each in page["items"] if each["startable"]] == [
        each.name for each in AGENTS
    ]


def test_an_agent_that_cannot_be_started_is_answered_with_those_that_can(run: Run) -> None:
    assert "sub-agent" in run("start", "clerk", "x", code=1).stderr
    assert "talker, office, both" in run("start", "talkr", "x", code=1).stderr


@tool(
    approval=Approval(
        stages=[
            Stage(["lead@example.com", "deputy@example.com"]),
            Stage(["a@example.com", "group:f"], needed=2, when=lambda _: True),
        ],
        timeout_seconds=36 * HOUR,
        escalations=[Escalation(approvers=("ceo@example.com",), timeout_seconds=90)],
        on_deadline="fail",
        risk="high",
        grant_seconds=8 * HOUR,
    )
)
def order(item: str) -> str:
    """Order something."""
    return item


def drawn(*agents: Agent) -> list[str]:
    page = agent_page(Registry(agents)).model_dump(mode="json")
    console = Console(width=1000, record=True, file=StringIO())
    for each in agent_trees(AgentPage.model_validate(page).items):
        console.print(each)
    return console.export_text().splitlines()


def test_a_policy_is_described_in_one_line() -> None:
    assert drawn(Agent("buyer", tools=[order], model="gpt-5"))[1].rstrip() == (
        "└── order once: approval by any of lead@example.com, deputy@example.com;"
        " then for some calls by 2 of a@example.com, group:f; within 1 day 12 hours;"
        " then by ceo@example.com within 1 minute 30 seconds; else the run fails; high risk;"
        " standing approval up to 8 hours"
    )


def test_conditions_models_and_child_runs_are_shown() -> None:
    limit = EveryTokens(limit=1_000_000, scope="run", approval=Approval(["boss@example.com"]))
    inner = Agent("inner", model="small")
    spawned = inner.as_tool(description="Runs.", name="delegate", spawn=True)
    lines = drawn(Agent("outer", model="gpt-5", tools=[spawned], conditions=[limit]), inner)
    assert [line.rstrip() for line in lines] == [
        "outer (model gpt-5) can be started",
        "├── delegate inner (model small) agent, in a run of its own can be started",
        "└── condition tokens every 1,000,000 of the whole run: approval by boss@example.com;"
        " within 7 days; else the agent stops",
        "inner (model small) can be started",
    ]


def test_a_shared_sub_agent_is_drawn_once_in_a_tree() -> None:
    """Thirty levels of two calls each would be a billion lines."""
    agent = Agent("level0", tools=[order])
    for number in range(1, 31):
        both = [agent.as_tool(description="Calls.", name=f"{side}{number}") for side in "ab"]
        agent = Agent(f"level{number}", tools=both)
    lines = drawn(agent)
    assert len(lines) == 1 + 30 * 3 + 1
    assert sum("tools: see above" in line for line in lines) == 30


def test_an_agent_that_calls_itself_is_drawn_once() -> None:
    tools: list[Any] = []
    agent = Agent("loop", tools=tools)
    tools.append(agent.as_tool(description="Again."))
    assert [line.strip() for line in drawn(agent)] == [
        "loop can be started",
        "└── loop agent can be started",
        "└── tools: see above",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (60, "1 minute"),
        (90_061, "1 day 1 hour 1 minute 1 second"),
        (604_800, "7 days"),
    ],
)
def test_durations_are_exact(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text
