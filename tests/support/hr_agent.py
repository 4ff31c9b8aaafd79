"""The HR agent of the examples, with another approval policy."""

from dataclasses import replace
from typing import Any

from agent_continuations import Agent, Approval, tool
from agents.onboarding import account_agent
from tests.support.deployment import SECURITY


def hr_agent(**policy: Any) -> Agent:
    """The HR agent, whose authorizations must be approved by another policy."""
    policy = {"approvers": [SECURITY], "timeout_seconds": policy.pop("seconds", 60), **policy}
    approval = Approval(**policy)
    tools = [
        replace(each, approval=approval) if each.name == "authorize" else each
        for each in account_agent.tools
    ]
    inner = replace(account_agent, tools=tools)

    @tool(effect="idempotent")
    def send_welcome_mail(to: str, name: str) -> str:
        return f"sent to {name} <{to}>"

    as_tool = inner.as_tool(description="Makes accounts.")
    return Agent(name="hr", instructions="Onboard.", tools=[send_welcome_mail, as_tool])
