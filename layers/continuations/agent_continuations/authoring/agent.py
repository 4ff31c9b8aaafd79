"""Agents: instructions, a model, tools and limits. An agent is stateless."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from agent_continuations.authoring.approval import Approval, ToolCall
from agent_continuations.authoring.conditions import Condition
from agent_continuations.authoring.models import ModelName
from agent_continuations.authoring.schema import AnswerSchema, validate_arguments
from agent_continuations.authoring.tool import NAME, Tool
from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.plans import Effect


class _AgentInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    input: str = Field(description="What the agent shall do, with all that it must know.")


@dataclass(frozen=True, eq=False)
class Agent:
    """An agent: a system prompt, a model and tools.

    Args:
        name: unique name among the agents of a deployment.
        instructions: system prompt. It is pinned when a run of the agent starts.
        tools: functions decorated with `@tool`, and agents converted by `as_tool`.
        model: model name; None for the deployment's `MODEL`.
        max_turns: maximum number of model replies; beyond it the agent fails and its caller gets
            an error.
        settings: additional parameters of the model request, such as `temperature`.
        output_type: pydantic model of the answer, as JSON. An invalid answer is returned to the
            model with its errors, at most three times.
        conditions: conditions at which people decide whether the agent continues; see `Condition`.

    Raises:
        ValueError: a name is invalid or duplicate, or `max_turns` is below 1.
    """

    name: str
    instructions: str = ""
    tools: Sequence["AnyTool"] = ()
    model: ModelName | None = None
    max_turns: int = 100
    settings: Mapping[str, Any] = field(default_factory=dict)
    output_type: type[BaseModel] | None = None
    conditions: Sequence[Condition] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"an agent's name is 1 to 64 letters, digits, _ or -: {self.name!r}")
        if self.max_turns < 1:
            raise ValueError("max_turns must be at least 1")
        names = [each.name for each in self.tools]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{self.name} has two tools named {name}")
        condition_names = [each.name for each in self.conditions]
        if len(condition_names) != len(set(condition_names)):
            raise ValueError(f"{self.name} has two conditions with one name")

    @cached_property
    def output(self) -> AnswerSchema | None:
        """The schema of the answer; None for free text."""
        return AnswerSchema(self.output_type) if self.output_type else None

    def as_tool(
        self,
        *,
        description: str,
        name: str | None = None,
        approval: Approval | None = None,
        spawn: bool = False,
    ) -> "AgentTool":
        """Returns this agent as a tool of another agent, with one string argument, `input`.

        Args:
            description: description for the calling model.
            name: name of the tool; None for the agent's name.
            approval: approval policy of the calls.
            spawn: whether each call becomes a child run with its own Lambda and its own state.

        Raises:
            ValueError: model services do not accept the name.
        """
        return AgentTool(
            agent=self,
            name=name or self.name,
            description=description,
            approval=approval,
            spawn=spawn,
        )

    def tool(self, name: str) -> "AnyTool | None":
        """Returns the agent's tool with this name, or None."""
        return next((each for each in self.tools if each.name == name), None)


@dataclass(frozen=True, eq=False)
class AgentTool:
    """An agent as a tool of another agent; see `Agent.as_tool`."""

    agent: Agent
    name: str
    description: str
    approval: Approval | None = None
    spawn: bool = False

    effect = Effect.ONCE
    model = _AgentInput
    schema_version = "agent-1"

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"a tool's name is 1 to 64 letters, digits, _ or -: {self.name!r}")

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the argument."""
        description = _AgentInput.model_fields["input"].description
        return {
            "type": "object",
            "properties": {"input": {"type": "string", "description": description}},
            "required": ["input"],
            "additionalProperties": False,
        }

    def policy_for(self, call: ToolCall) -> ApprovalPolicy | None:
        """Returns the approval policy that applies to a call, or None if it needs no approval."""
        return self.approval.policy_for(call) if self.approval else None

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Validates the arguments of a call.

        Raises:
            ArgumentsRefused: the arguments do not match the schema.
        """
        return validate_arguments(_AgentInput, arguments).model_dump()


AnyTool: TypeAlias = Tool | AgentTool
