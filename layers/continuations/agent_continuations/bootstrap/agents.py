"""The agents that are deployed, without anything of AWS: tool hosts need no more."""

from functools import cache

from agent_continuations.authoring.registry import Registry


@cache
def registry() -> Registry:
    """The user's agents: `AGENTS` of the package `agents`."""
    from agents import AGENTS

    return Registry(AGENTS)
