"""AI agents that wait for free: a run's whole state is a continuation, and no process is kept.

These are the public names. Each is imported when it is first used, so that a function loads only
what its trigger needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent_continuations.adapters.models.openai import OpenAIModel
    from agent_continuations.adapters.models.scripted import (
        Script,
        ScriptedModel,
        by_input,
        call,
        calls,
        say,
    )
    from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
    from agent_continuations.adapters.stores.memory import InMemoryStore
    from agent_continuations.authoring.agent import Agent
    from agent_continuations.authoring.approval import Approval, Stage, ToolCall
    from agent_continuations.authoring.conditions import (
        Condition,
        EveryCost,
        EverySeconds,
        EveryTokens,
        EveryTurns,
    )
    from agent_continuations.authoring.context import ToolContext
    from agent_continuations.authoring.pricing import Price
    from agent_continuations.authoring.schema_tool import schema_tool
    from agent_continuations.authoring.tool import tool
    from agent_continuations.authoring.waits import Job, Pending, Question, Sleep, WaitFor
    from agent_continuations.core.approvals.policy import Escalation, Preview
    from agent_continuations.core.replies import Reply, ToolRequest
    from agent_continuations.local.runner import LocalRunner
    from agent_continuations.ports.model import ModelRequest

__all__ = [
    "Agent",
    "Approval",
    "Condition",
    "DynamoDBStore",
    "Escalation",
    "EveryCost",
    "EverySeconds",
    "EveryTokens",
    "EveryTurns",
    "InMemoryStore",
    "Job",
    "LocalRunner",
    "ModelRequest",
    "OpenAIModel",
    "Pending",
    "Preview",
    "Price",
    "Question",
    "Reply",
    "Script",
    "ScriptedModel",
    "Sleep",
    "Stage",
    "ToolCall",
    "ToolContext",
    "ToolRequest",
    "WaitFor",
    "by_input",
    "call",
    "calls",
    "say",
    "schema_tool",
    "tool",
]

_MODULES = {
    "Agent": "authoring.agent",
    "Approval": "authoring.approval",
    "Condition": "authoring.conditions",
    "DynamoDBStore": "adapters.stores.dynamodb",
    "Escalation": "core.approvals.policy",
    "EveryCost": "authoring.conditions",
    "EverySeconds": "authoring.conditions",
    "EveryTokens": "authoring.conditions",
    "EveryTurns": "authoring.conditions",
    "InMemoryStore": "adapters.stores.memory",
    "Job": "authoring.waits",
    "LocalRunner": "local.runner",
    "ModelRequest": "ports.model",
    "OpenAIModel": "adapters.models.openai",
    "Pending": "authoring.waits",
    "Preview": "core.approvals.policy",
    "Price": "authoring.pricing",
    "Question": "authoring.waits",
    "Reply": "core.replies",
    "Script": "adapters.models.scripted",
    "ScriptedModel": "adapters.models.scripted",
    "Sleep": "authoring.waits",
    "Stage": "authoring.approval",
    "ToolCall": "authoring.approval",
    "ToolContext": "authoring.context",
    "ToolRequest": "core.replies",
    "WaitFor": "authoring.waits",
    "by_input": "adapters.models.scripted",
    "call": "adapters.models.scripted",
    "calls": "adapters.models.scripted",
    "say": "adapters.models.scripted",
    "schema_tool": "authoring.schema_tool",
    "tool": "authoring.tool",
}


def __getattr__(name: str) -> object:
    """A public name, imported from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
