"""API views of the deployed agents: tools, effects, approval policies, conditions.

A policy may depend on the call, by functions of its author. They cannot be shown; `conditional`
says that there is one.
"""

from typing import Literal

from agent_continuations.authoring.agent import Agent, AgentTool, AnyTool
from agent_continuations.authoring.approval import Approval
from agent_continuations.authoring.conditions import LIMIT, Condition, Scope
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.policy import Escalation, Preview, Risk
from agent_continuations.core.plans import Effect
from agent_continuations.views.base import ApiModel


class PolicyStageView(ApiModel):
    """One stage of a policy. If `conditional`, the stage is omitted for some calls."""

    approvers: tuple[str, ...]
    needed: int
    conditional: bool


class PolicyView(ApiModel):
    """An approval policy, as `Approval` declares it. If `conditional`, some calls need none.

    A call's preview can raise `risk` to `high`.
    """

    conditional: bool
    stages: tuple[PolicyStageView, ...]
    timeout_seconds: int
    remind_after_seconds: tuple[int, ...]
    escalations: tuple[Escalation, ...]
    on_deadline: Literal["reject", "fail"]
    risk: Risk
    self_approval: bool
    delegates: tuple[str, ...] | None
    grant_seconds: int


class ToolView(ApiModel):
    """A tool of an agent. With the kind `agent` it calls `agent`, in a child run if `spawn`."""

    name: str
    kind: Literal["tool", "agent"]
    agent: str | None
    description: str
    effect: Effect
    approval: PolicyView | None
    spawn: bool


class ConditionView(ApiModel):
    """A condition of an agent. `limit` is None if its author's function decides."""

    name: str
    scope: Scope
    limit: float | None
    approval: PolicyView


class AgentView(ApiModel):
    """A deployed agent; only those that are `startable` can be started by name.

    `model` is None for the model of the deployment.
    """

    name: str
    startable: bool
    model: str | None
    max_turns: int
    tools: tuple[ToolView, ...]
    conditions: tuple[ConditionView, ...]


class AgentPage(ApiModel):
    """All deployed agents on one page."""

    items: tuple[AgentView, ...]
    next: None = None


def agent_page(registry: Registry) -> AgentPage:
    """The agents of a deployment, each before its sub-agents."""
    return AgentPage(
        items=tuple(
            _agent_view(each, startable=each.name in registry.startable) for each in registry.agents
        )
    )


def _agent_view(agent: Agent, *, startable: bool) -> AgentView:
    return AgentView(
        name=agent.name,
        startable=startable,
        model=agent.model,
        max_turns=agent.max_turns,
        tools=tuple(map(_tool_view, agent.tools)),
        conditions=tuple(map(_condition_view, agent.conditions)),
    )


def _tool_view(tool: AnyTool) -> ToolView:
    called = tool if isinstance(tool, AgentTool) else None
    return ToolView(
        name=tool.name,
        kind="agent" if called else "tool",
        agent=called.agent.name if called else None,
        description=tool.description.strip(),
        effect=tool.effect,
        approval=_policy_view(tool.approval) if tool.approval else None,
        spawn=called.spawn if called else False,
    )


def _condition_view(condition: Condition) -> ConditionView:
    return ConditionView(
        name=condition.name,
        scope=condition.scope,
        limit=condition.arguments.get(LIMIT),
        approval=_policy_view(condition.approval),
    )


def _policy_view(approval: Approval) -> PolicyView:
    policy = approval.pinned_policy(Preview(effect=""))
    conditional = [each.when is not None for each in approval.stages] or [False]
    return PolicyView(
        conditional=approval.when is not None,
        stages=tuple(
            PolicyStageView(approvers=each.approvers, needed=each.needed, conditional=depends)
            for each, depends in zip(policy.stages, conditional, strict=True)
        ),
        timeout_seconds=policy.timeout_seconds,
        remind_after_seconds=policy.reminders,
        escalations=policy.escalations,
        on_deadline=policy.on_deadline,
        risk=policy.risk,
        self_approval=policy.self_approval,
        delegates=policy.delegates,
        grant_seconds=policy.grant_seconds,
    )
