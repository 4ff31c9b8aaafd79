"""Tree of the deployed agents: their tools, effects, approval policies and sub-agents."""

from collections.abc import Iterable, Iterator, Mapping

from rich.text import Text
from rich.tree import Tree

from agent_continuations.cli.models import ApiModel
from agent_continuations.cli.rendering import join_parts, line_text

_EFFECT_STYLES = {"read": "green", "idempotent": "cyan", "once": "yellow"}
_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


class PolicyStage(ApiModel):
    """Stage of a policy; if `conditional`, it does not apply to every call."""

    approvers: tuple[str, ...] = ()
    needed: int = 1
    conditional: bool = False


class Escalation(ApiModel):
    """Approvers who are asked after a deadline."""

    approvers: tuple[str, ...] = ()
    timeout_seconds: int = 0


class Policy(ApiModel):
    """Approval policy; if `conditional`, some calls need no approval."""

    conditional: bool = False
    stages: tuple[PolicyStage, ...] = ()
    timeout_seconds: int = 0
    escalations: tuple[Escalation, ...] = ()
    on_deadline: str = "reject"
    risk: str = "low"
    grant_seconds: int = 0


class AgentTool(ApiModel):
    """Tool of an agent; `agent` is the sub-agent that it calls."""

    name: str
    effect: str = ""
    agent: str | None = None
    approval: Policy | None = None
    spawn: bool = False


class Condition(ApiModel):
    """Condition at which people are asked whether an agent continues."""

    name: str
    scope: str = "agent"
    limit: float | None = None
    approval: Policy


class Agent(ApiModel):
    """Deployed agent."""

    name: str
    startable: bool = False
    model: str | None = None
    tools: tuple[AgentTool, ...] = ()
    conditions: tuple[Condition, ...] = ()


class AgentPage(ApiModel):
    """All deployed agents."""

    items: tuple[Agent, ...]


def agent_trees(agents: Iterable[Agent]) -> Iterator[Tree]:
    """Draws a tree for each agent that can be started, with its sub-agents below it.

    In a tree, the tools of an agent are drawn once, where it is called first.
    """
    by_name = {each.name: each for each in agents}
    for agent in by_name.values():
        if agent.startable:
            tree = Tree(join_parts(_name_text(agent), Text("can be started", "green")))
            _add_tools(tree, agent, by_name, {agent.name})
            yield tree


def _name_text(agent: Agent) -> Text:
    return join_parts(
        line_text(agent.name, "bold"), line_text(f"(model {agent.model})" if agent.model else "")
    )


def _add_tools(node: Tree, agent: Agent, by_name: Mapping[str, Agent], drawn: set[str]) -> None:
    for tool in agent.tools:
        called = by_name.get(tool.agent or "")
        branch = node.add(_tool_text(tool, called))
        if called and called.name not in drawn:
            drawn.add(called.name)
            _add_tools(branch, called, by_name, drawn)
        elif called and (called.tools or called.conditions):
            branch.add(Text("tools: see above", "dim"))
    for condition in agent.conditions:
        limit = "" if condition.limit is None else f"every {condition.limit:,.10g}"
        scope = "of the whole run" if condition.scope == "run" else ""
        label = join_parts("condition", line_text(condition.name, "bold"), limit, scope)
        policy = line_text(policy_text(condition.approval, "the agent stops"), "yellow")
        node.add(join_parts(label, policy, by=": "))


def _tool_text(tool: AgentTool, called: Agent | None) -> Text:
    if called:
        agent = _name_text(called) if called.name != tool.name else Text()
        run = "agent, in a run of its own" if tool.spawn else "agent"
        started = Text("can be started" if called.startable else "", "green")
        text = join_parts(line_text(tool.name, "bold"), agent, Text(run, "cyan"), started)
    else:
        effect = line_text(tool.effect, _EFFECT_STYLES.get(tool.effect, ""))
        text = join_parts(line_text(tool.name, "bold"), effect)
    policy = line_text(policy_text(tool.approval) if tool.approval else "", "yellow")
    return join_parts(text, policy, by=": ")


def policy_text(policy: Policy, rejected: str = "rejected") -> str:
    """Describes a policy in one line: the approvers, the deadline and what happens then.

    Args:
        policy: the policy.
        rejected: what a rejection means.
    """
    first = "some calls need approval" if policy.conditional else "approval"
    clauses = [f"{first} {_stage_text(each)}" for each in policy.stages[:1]]
    clauses += [f"then {_stage_text(each)}" for each in policy.stages[1:]]
    clauses.append(f"within {duration_text(policy.timeout_seconds)}")
    clauses += [
        f"then by {', '.join(each.approvers)} within {duration_text(each.timeout_seconds)}"
        for each in policy.escalations
    ]
    clauses.append(f"else {'the run fails' if policy.on_deadline == 'fail' else rejected}")
    if policy.risk == "high":
        clauses.append("high risk")
    if policy.grant_seconds:
        clauses.append(f"standing approval up to {duration_text(policy.grant_seconds)}")
    return "; ".join(clauses)


def _stage_text(stage: PolicyStage) -> str:
    names = ", ".join(stage.approvers)
    single = len(stage.approvers) == 1 and stage.needed == 1
    count = "" if single else "any of " if stage.needed == 1 else f"{stage.needed} of "
    return f"{'for some calls ' if stage.conditional else ''}by {count}{names}"


def duration_text(seconds: int) -> str:
    """Formats a duration exactly, like `3 days` or `1 hour 30 minutes`."""
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts) or "0 seconds"
