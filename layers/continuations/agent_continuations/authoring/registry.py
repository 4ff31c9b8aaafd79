"""Registry."""

from collections.abc import Iterator, Sequence

from agent_continuations.authoring.agent import Agent, AgentTool


class Registry:
    """Every agent of a deployment by name: those that may be started, and those inside them.

    Raises:
        ValueError: two different agents have one name.
    """

    def __init__(self, agents: Sequence[Agent]) -> None:
        self.startable = {agent.name: agent for agent in agents}
        self._all: dict[str, Agent] = {}
        for agent in (inner for each in agents for inner in _agents_within(each, set())):
            if self._all.setdefault(agent.name, agent) is not agent:
                raise ValueError(f"two agents are named {agent.name}")

    def find(self, name: str) -> Agent | None:
        """The agent of this name, wherever in the tree it stands."""
        return self._all.get(name)


def _agents_within(agent: Agent, seen: set[int]) -> Iterator[Agent]:
    if id(agent) in seen:
        return
    seen.add(id(agent))
    yield agent
    for each in agent.tools:
        if isinstance(each, AgentTool):
            yield from _agents_within(each.agent, seen)
