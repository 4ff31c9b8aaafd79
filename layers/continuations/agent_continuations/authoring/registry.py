"""Registry of the agents of a deployment."""

from collections.abc import Iterator, Sequence

from agent_continuations.authoring.agent import Agent, AgentTool


class Registry:
    """Agents of a deployment by name: those that can be started, and their sub-agents.

    Args:
        agents: agents that can be started.

    Raises:
        ValueError: two different agents have the same name.
    """

    def __init__(self, agents: Sequence[Agent]) -> None:
        self.startable = {agent.name: agent for agent in agents}
        self._all: dict[str, Agent] = {}
        for agent in (inner for each in agents for inner in _agents_within(each, set())):
            if self._all.setdefault(agent.name, agent) is not agent:
                raise ValueError(f"two agents are named {agent.name}")

    @property
    def agents(self) -> Sequence[Agent]:
        """All agents: each that can be started, followed by the sub-agents found below it."""
        return tuple(self._all.values())

    def find(self, name: str) -> Agent | None:
        """Returns the agent or sub-agent with this name, or None."""
        return self._all.get(name)


def _agents_within(agent: Agent, seen: set[int]) -> Iterator[Agent]:
    if id(agent) in seen:
        return
    seen.add(id(agent))
    yield agent
    for each in agent.tools:
        if isinstance(each, AgentTool):
            yield from _agents_within(each.agent, seen)
