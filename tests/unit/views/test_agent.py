"""The view of the deployed agents: what a policy says, and nothing that is secret."""

import json
from typing import Any

import pytest

from agent_continuations import (
    Agent,
    Approval,
    Condition,
    Escalation,
    EveryTurns,
    Preview,
    Stage,
    tool,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.views.agent import agent_page

HOUR = 3600


@tool(effect="read")
def balance(account: str) -> int:
    """The balance of an account.

    Args:
        account: its name.
    """
    return 1


@tool(
    preview=lambda _: Preview(effect="Orders."),
    approval=Approval(
        stages=[
            Stage(["lead@example.com"]),
            Stage(["cfo@example.com", "ceo@example.com"], needed="all", when=lambda _: True),
        ],
        when=lambda _: True,
        timeout_seconds=72 * HOUR,
        remind_after_seconds=[HOUR],
        escalations=[Escalation(approvers=("board@example.com",), timeout_seconds=HOUR)],
        on_deadline="fail",
        risk="high",
        delegates=["*@example.com"],
        grant_seconds=8 * HOUR,
    ),
)
def order(item: str) -> str:
    """Order something."""
    return item


def items(*agents: Agent) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = agent_page(Registry(agents)).model_dump(mode="json")["items"]
    return found


def test_a_tool_is_shown_with_its_whole_policy() -> None:
    [agent] = items(Agent("buyer", tools=[balance, order]))
    assert (agent["name"], agent["startable"], agent["model"]) == ("buyer", True, None)
    read, once = agent["tools"]
    assert read == {
        "name": "balance",
        "kind": "tool",
        "agent": None,
        "description": "The balance of an account.",
        "effect": "read",
        "approval": None,
        "spawn": False,
    }
    assert once["effect"] == "once"
    assert once["approval"] == {
        "conditional": True,
        "stages": [
            {"approvers": ["lead@example.com"], "needed": 1, "conditional": False},
            {
                "approvers": ["cfo@example.com", "ceo@example.com"],
                "needed": 2,
                "conditional": True,
            },
        ],
        "timeout_seconds": 72 * HOUR,
        "remind_after_seconds": [HOUR],
        "escalations": [{"approvers": ["board@example.com"], "needed": 1, "timeout_seconds": HOUR}],
        "on_deadline": "fail",
        "risk": "high",
        "self_approval": False,
        "delegates": ["*@example.com"],
        "grant_seconds": 8 * HOUR,
    }


def test_sub_agents_follow_their_callers_and_cannot_be_started() -> None:
    clerk = Agent("clerk", tools=[balance], model="small", max_turns=3)
    spawned = clerk.as_tool(
        description="Pays.", name="pay", spawn=True, approval=Approval(["ann@example.com"])
    )
    office, inner = items(Agent("office", tools=[spawned]))
    [found] = office["tools"]
    assert (found["kind"], found["name"], found["agent"]) == ("agent", "pay", "clerk")
    assert (found["spawn"], found["description"]) == (True, "Pays.")
    assert found["approval"]["stages"][0]["approvers"] == ["ann@example.com"]
    assert (inner["name"], inner["startable"]) == ("clerk", False)
    assert (inner["model"], inner["max_turns"]) == ("small", 3)


def test_an_agent_that_calls_itself_is_listed_once() -> None:
    tools: list[Any] = []
    agent = Agent("loop", tools=tools)
    tools.append(agent.as_tool(description="Again."))
    assert [each["name"] for each in items(agent)] == ["loop"]


def test_conditions_are_shown_with_their_limit_and_approvers() -> None:
    approval = Approval(["boss@example.com"])
    conditions = [
        EveryTurns(limit=20, scope="run", approval=approval),
        Condition(name="odd", approval=approval, check=lambda *_: True),
    ]
    [agent] = items(Agent("seller", conditions=conditions))
    turns, odd = agent["conditions"]
    assert (turns["name"], turns["scope"], turns["limit"]) == ("turns", "run", 20)
    assert turns["approval"]["stages"][0]["approvers"] == ["boss@example.com"]
    assert (odd["name"], odd["scope"], odd["limit"]) == ("odd", "agent", None)


@pytest.mark.parametrize("secret", ["instruct-me", "sk-secret"])
def test_instructions_and_settings_are_not_shown(secret: str) -> None:
    agent = Agent("a", "instruct-me", settings={"extra_headers": {"key": "sk-secret"}})
    assert secret not in json.dumps(items(agent))
