"""AI agents that wait for free: a run's whole state is a continuation, and no process is kept."""

from typing import TYPE_CHECKING

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
from agent_continuations.authoring.tool import tool
from agent_continuations.authoring.waits import Job, Pending, Question, Sleep, WaitFor
from agent_continuations.core.approvals.policy import Escalation, Preview

if TYPE_CHECKING:
    from agent_continuations.adapters.models.openai import OpenAIModel
    from agent_continuations.adapters.models.scripted import ScriptedModel, call, calls, say
    from agent_continuations.adapters.stores.memory import InMemoryStore
    from agent_continuations.local.runner import LocalRunner

__all__ = [
    "Agent",
    "Approval",
    "Condition",
    "Escalation",
    "EveryCost",
    "EverySeconds",
    "EveryTokens",
    "EveryTurns",
    "InMemoryStore",
    "Job",
    "LocalRunner",
    "OpenAIModel",
    "Pending",
    "Preview",
    "Price",
    "Question",
    "ScriptedModel",
    "Sleep",
    "Stage",
    "ToolCall",
    "ToolContext",
    "WaitFor",
    "call",
    "calls",
    "say",
    "tool",
]

_LAZY = {
    "InMemoryStore": "agent_continuations.adapters.stores.memory",
    "LocalRunner": "agent_continuations.local.runner",
    "OpenAIModel": "agent_continuations.adapters.models.openai",
    "ScriptedModel": "agent_continuations.adapters.models.scripted",
    "call": "agent_continuations.adapters.models.scripted",
    "calls": "agent_continuations.adapters.models.scripted",
    "say": "agent_continuations.adapters.models.scripted",
}


def __getattr__(name: str) -> object:
    """What only scripts and tests use is imported when first asked for: a Lambda never asks."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
