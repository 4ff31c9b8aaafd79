"""AI agents that wait for free: a run's whole state is a continuation, and no process is kept."""

from typing import TYPE_CHECKING

from agent_continuations.agent import Agent
from agent_continuations.approval import Approval, Stage, ToolCall
from agent_continuations.conditions import (
    Condition,
    EveryCost,
    EverySeconds,
    EveryTokens,
    EveryTurns,
)
from agent_continuations.core.approval import Escalation, Preview
from agent_continuations.prices import Price
from agent_continuations.signature import ToolContext
from agent_continuations.tool import tool
from agent_continuations.waits import Job, Pending, Question, Sleep, WaitFor

if TYPE_CHECKING:
    from agent_continuations.adapters.memory import InMemoryStore
    from agent_continuations.adapters.openai_model import OpenAIModel
    from agent_continuations.adapters.scripted import ScriptedModel, call, calls, say
    from agent_continuations.local import LocalRunner

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
    "InMemoryStore": "agent_continuations.adapters.memory",
    "LocalRunner": "agent_continuations.local",
    "OpenAIModel": "agent_continuations.adapters.openai_model",
    "ScriptedModel": "agent_continuations.adapters.scripted",
    "call": "agent_continuations.adapters.scripted",
    "calls": "agent_continuations.adapters.scripted",
    "say": "agent_continuations.adapters.scripted",
}


def __getattr__(name: str) -> object:
    """What only scripts and tests use is imported when first asked for: a Lambda never asks."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
