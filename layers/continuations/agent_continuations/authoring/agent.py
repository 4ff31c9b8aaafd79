"""Agents: instructions, a model, tools and limits. An agent is stateless."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError

from agent_continuations.authoring.answer import AnswerSchema
from agent_continuations.authoring.approval import Approval, ToolCall, check_approval_type
from agent_continuations.authoring.conditions import Condition
from agent_continuations.authoring.models import ModelName
from agent_continuations.authoring.schema import Arguments, ObjectSchema
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
        tools: functions decorated with `@tool`, and agents converted by `as_tool`; any iterable.
        model: model name; None for the deployment's `MODEL`.
        max_turns: maximum number of model replies; beyond it the agent fails and its caller gets
            an error.
        settings: additional parameters of the model request, such as `temperature`.
        output_type: type of the answer, as JSON: a pydantic model, or whatever pydantic takes. An
            invalid answer is returned to the model with its errors, at most three times.
        conditions: conditions at which people decide whether the agent continues; see `Condition`.

    Raises:
        ValueError: a name is invalid or duplicate, or `max_turns` is below 1.
        TypeError: something is not of the type that is needed; the message names the fix.
    """

    name: str
    instructions: str = ""
    tools: Sequence["AnyTool"] = ()
    model: ModelName | None = None
    max_turns: int = 100
    settings: Mapping[str, Any] = field(default_factory=dict)
    output_type: Any = None
    conditions: Sequence[Condition] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise ValueError(f"an agent's name is 1 to 64 letters, digits, _ or -: {self.name!r}")
        if not isinstance(self.instructions, str):
            kind = type(self.instructions).__name__
            raise TypeError(f"{self.name}: instructions is a text, and not of the type {kind}")
        if type(self.max_turns) is not int:
            raise TypeError(f"{self.name}: max_turns is a whole number, not {self.max_turns!r}")
        if self.max_turns < 1:
            raise ValueError(f"{self.name}: max_turns must be at least 1")
        object.__setattr__(self, "tools", _checked_tools(self.name, self.tools))
        object.__setattr__(self, "conditions", _checked_conditions(self.name, self.conditions))
        if not (self.model is None or isinstance(self.model, str)):
            raise TypeError(f"{self.name}: model is a model's name, not {self.model!r}")
        if not isinstance(self.settings, Mapping):
            raise TypeError(f"{self.name}: settings is a mapping, such as {{'temperature': 0}}")
        if self.output_type is not None:
            try:
                _ = self.output and self.output.schema
            except (TypeError, PydanticUserError) as error:
                text = str(error).partition("\n")[0]
                raise TypeError(f"{self.name}: JSON cannot give output_type ({text})") from None

    @cached_property
    def output(self) -> AnswerSchema | None:
        """The schema of the answer; None for free text."""
        if self.output_type is None:
            return None
        return AnswerSchema(self.output_type, wrap_objects=False)

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
    arguments: ClassVar[ObjectSchema] = ObjectSchema(_AgentInput)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"a tool's name is 1 to 64 letters, digits, _ or -: {self.name!r}")
        check_approval_type(self.name, self.approval)

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

    def policy_for(self, arguments: Arguments, agent: str) -> ApprovalPolicy | None:
        """Returns the approval policy that applies to a call, or None if it needs no approval."""
        if self.approval is None:
            return None
        return self.approval.policy_for(
            lambda: ToolCall(tool=self.name, arguments=arguments.typed(), agent=agent)
        )

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Validates the arguments of a call, as JSON values; returns them as they are shown.

        Raises:
            ArgumentsRefused: the arguments do not match the schema.
        """
        return self.arguments.validate(arguments)


AnyTool: TypeAlias = Tool | AgentTool


def _checked_tools(agent: str, tools: Any) -> "Sequence[AnyTool]":
    if isinstance(tools, Tool | AgentTool | Agent | str) or not isinstance(tools, Iterable):
        raise TypeError(f"{agent}: tools is a list, such as tools=[{_name_of(tools)}]")
    # A list stays the author's: agents that call each other add to it later.
    checked: Sequence[AnyTool] = tools if isinstance(tools, list) else tuple(tools)
    for each in checked:
        if isinstance(each, Tool | AgentTool):
            continue
        name = _name_of(each)
        if isinstance(each, Agent):
            raise TypeError(f"{agent}: use {name}.as_tool(description=...) for the agent {name}")
        if callable(each):
            raise TypeError(f"{agent}: {name} is no tool yet: decorate the function with @tool")
        raise TypeError(f"{agent}: {each!r} is no tool: tools holds functions with @tool")
    names = [each.name for each in checked]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{agent} has two tools named {name}")
    return checked


def _checked_conditions(agent: str, conditions: Any) -> tuple[Condition, ...]:
    if isinstance(conditions, Condition) or not isinstance(conditions, Iterable):
        raise TypeError(f"{agent}: conditions is a list, such as conditions=[EveryTurns(...)]")
    checked = tuple(conditions)
    if not all(isinstance(each, Condition) for each in checked):
        raise TypeError(f"{agent}: conditions holds EveryTurns(...), Condition(...) and the like")
    names = [each.name for each in checked]
    if len(names) != len(set(names)):
        raise ValueError(f"{agent} has two conditions with one name")
    return checked


def _name_of(thing: Any) -> str:
    return str(getattr(thing, "name", None) or getattr(thing, "__name__", None) or thing)
