"""Agents of the deployed functions that call their one tool for each message, and answer with its
results.
"""

from collections.abc import Mapping

import pytest

import agents
from agent_continuations import Agent
from agent_continuations.authoring.tool import Tool
from tests.local.model_server import Call, Json, ModelServer, Reply


def play(patch: pytest.MonkeyPatch, model: ModelServer, tools: Mapping[str, Tool]) -> None:
    """Deploy an agent for each of these tools, by the name of the agent."""
    patch.setattr(agents, "AGENTS", [Agent(name, tools=[each]) for name, each in tools.items()])

    def respond(request: Json) -> Reply:
        messages = request["messages"]
        last = max(at for at, each in enumerate(messages) if each["role"] == "user")
        told = [each["content"] for each in messages[last:] if each["role"] == "tool"]
        calls = tuple(Call(each["function"]["name"], {}) for each in request.get("tools", ()))
        return Reply(content="; ".join(told)) if told else Reply(tool_calls=calls)

    model.respond = respond
