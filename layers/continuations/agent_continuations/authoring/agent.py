"""Agents: instructions, a model, tools and limits. An agent holds no state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from agent_continuations.authoring.approval import Approval, ToolCall
from agent_continuations.authoring.conditions import Condition
from agent_continuations.authoring.schema import AnswerSchema, validate_arguments
from agent_continuations.authoring.tool import NAME, Tool
from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.plans import Effect


class _AgentInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    input: str = Field(description="What the agent shall do, with all that it must know.")


@dataclass(frozen=True, eq=False)
class Agent:
    """An agent.

    Args:
        name: unique among the agents of a deployment.
        instructions: the system prompt. It is pinned when a run of the agent starts.
        tools: functions made by `@tool`, and agents made tools by `as_tool`.
        model: the model's name; the deployment's `MODEL` where not given.
        max_turns: model replies at most; past that the agent fails and its caller is told.
        settings: further parameters of the model request, such as `temperature`.
        output_type: a pydantic model that the answer must fit, as JSON. One that does not goes back
            to the model with what is wrong, three times at most.
        conditions: when people are asked whether the agent shall go on; see `conditions`.

    Raises:
        ValueError: a bad or repeated name, or a limit below 1.
    """

    name: str
    instructions: str = ""
    tools: Sequence["AnyTool"] = ()
    model: str | None = None
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
        named = [each.name for each in self.conditions]
        if len(named) != len(set(named)):
            raise ValueError(f"{self.name} has two conditions of one name")

    @cached_property
    def output(self) -> AnswerSchema | None:
        """What the answer must fit, if it must fit something."""
        return AnswerSchema(self.output_type) if self.output_type else None

    def as_tool(
        self,
        *,
        description: str,
        name: str | None = None,
        approval: Approval | None = None,
        spawn: bool = False,
    ) -> "AgentTool":
        """This agent as a tool of another; it takes one string, `input`.

        Args:
            description: what the calling model is told of it.
            name: what the model calls it; the agent's name where not given.
            approval: who must agree first.
            spawn: make each call a run of its own, which has its own Lambda and its own state.

        Raises:
            ValueError: the name is not one that model services accept.
        """
        return AgentTool(
            agent=self,
            name=name or self.name,
            description=description,
            approval=approval,
            spawn=spawn,
        )

    def tool(self, name: str) -> "AnyTool | None":
        """The agent's tool of this name, if it has one."""
        return next((each for each in self.tools if each.name == name), None)


@dataclass(frozen=True, eq=False)
class AgentTool:
    """An agent in the hands of another."""

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
        """The JSON schema of the one argument."""
        described = _AgentInput.model_fields["input"].description
        return {
            "type": "object",
            "properties": {"input": {"type": "string", "description": described}},
            "required": ["input"],
            "additionalProperties": False,
        }

    def policy_for(self, call: ToolCall) -> ApprovalPolicy | None:
        """The approval that a call needs, or None where nobody needs to be asked."""
        return self.approval.policy_for(call) if self.approval else None

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, checked.

        Raises:
            ArgumentsRefused: they do not fit.
        """
        return validate_arguments(_AgentInput, arguments).model_dump()


AnyTool: TypeAlias = Tool | AgentTool
