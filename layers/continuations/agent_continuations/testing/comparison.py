"""Comparison of recorded values with those of the code that is deployed now, field by field."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agent_continuations.authoring.agent import Agent
from agent_continuations.authoring.schema import ArgumentsRefused
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.continuation import Call, Continuation
from agent_continuations.core.plans import AgentPlan, Plan, RefusedPlan, ToolPlan
from agent_continuations.core.replies import Reply
from agent_continuations.engine.planning import validate_reply
from agent_continuations.testing.difference import Change

# What differs, by field; `{}` is the name of the agent or the tool. A test checks that every field
# is compared, apart from the NAMES, which select the values to compare.
FRAME_FIELDS = {
    "instructions": "the instructions of {} differ",
    "output": "the JSON schema of the answer of {} differs",
    "max_turns": "the turn limit (max_turns) of {} differs",
}
CALL_FIELDS = {
    "arguments": "the arguments of {} are validated differently",
    "effect": "the effect of {} differs",
    "schema_version": "the JSON schema of the arguments of {} differs",
    "agent": "{} calls another agent",
    "spawn": "whether {} starts a run of its own differs",
}
POLICY_FIELDS = {
    "stages": "the approvers of {} differ",
    "timeout_seconds": "the approval timeout of {} differs",
    "reminders": "the reminders of the approval of {} differ",
    "escalations": "the escalations of the approval of {} differ",
    "on_deadline": "the effect of a missed deadline of {} differs",
    "risk": "the risk of {} differs",
    "self_approval": "the right of the requester to approve {} differs",
    "delegates": "the allowed delegates of the approval of {} differ",
    "grant_seconds": "the standing approvals of {} differ",
    "preview": "the preview of {} differs",
}
NAMES = {"kind", "tool", "gate"}


def changed_fields(
    recorded: FrozenModel, now: FrozenModel, labels: Mapping[str, str], name: str
) -> Iterator[Change]:
    """The fields in `labels` that differ between two values.

    Args:
        recorded: the recorded value.
        now: the value of the code that is deployed now.
        labels: by field, what it means if the field differs.
        name: the name of the agent or the tool.
    """
    before = recorded.model_dump(mode="json", include=set(labels))
    after = now.model_dump(mode="json", include=set(labels))
    for field, label in labels.items():
        if is_different(before.get(field), after.get(field)):
            yield Change(label.format(name), before.get(field), after.get(field))


def is_different(expected: Any, actual: Any) -> bool:
    """Whether two JSON values differ. A number differs from the same number with a fraction."""
    return json.dumps(expected, sort_keys=True) != json.dumps(actual, sort_keys=True)


def changed_plan(recorded: Plan, now: Plan, agent: Agent) -> Iterator[Change]:
    """What differs in the plan of a call of the agent."""
    name = recorded.tool
    match recorded, now:
        case (RefusedPlan(), RefusedPlan()):
            if recorded.reason != now.reason:
                what = f"the call of {name} is refused with another text"
                yield Change(what, recorded.reason, now.reason)
        case (RefusedPlan(), ToolPlan() | AgentPlan()):
            yield Change(f"the call of {name} is no longer refused", recorded.reason, now.arguments)
        case (ToolPlan() | AgentPlan(), RefusedPlan()):
            what = f"the call of {name} is refused"
            if agent.tool(name) is None:
                what = f"{agent.name} has no tool {name} any more"
            yield Change(what, recorded.arguments, now.reason)
        case (ToolPlan(), ToolPlan()):
            yield from changed_fields(recorded, now, CALL_FIELDS, name)
            yield from changed_policy(recorded.gate, now.gate, name)
        case (AgentPlan(), AgentPlan()):
            yield from changed_fields(recorded, now, CALL_FIELDS, name)
            yield from changed_policy(recorded.gate, now.gate, name)
            yield from changed_fields(recorded, now, FRAME_FIELDS, recorded.agent)
        case _:
            yield Change(f"the kind of {name} differs", recorded.kind, now.kind)


def changed_policy(
    recorded: ApprovalPolicy | None, now: ApprovalPolicy | None, name: str
) -> Iterator[Change]:
    """What differs in the approval policy of a call or a question."""
    if recorded and now:
        yield from changed_fields(recorded, now, POLICY_FIELDS, name)
    elif recorded:
        yield Change(
            f"approval is no longer asked for {name}", recorded.model_dump(mode="json"), None
        )
    elif now:
        yield Change(f"approval is now asked for {name}", None, now.model_dump(mode="json"))


def changed_edit(tool: Tool, call: Call) -> Iterator[Change]:
    """What differs in the validation of arguments that an approver has edited."""
    if call.decision is None or call.decision.arguments is None:
        return
    edited = call.decision.arguments
    try:
        arguments = tool.validate(edited)
    except ArgumentsRefused as error:
        yield Change(f"the edited arguments of {tool.name} are refused", edited, str(error))
    else:
        if is_different(edited, arguments):
            what = f"the edited arguments of {tool.name} are validated differently"
            yield Change(what, edited, arguments)


def changed_answer(agent: Agent, frame: Continuation, reply: Reply) -> Iterator[Change]:
    """What differs in the validation of an agent's answer.

    The recorded answer is in the form in which it was accepted, because the model's own text is
    not stored. An answer type that does not read what it writes is therefore not compared.
    """
    if agent.output is None or frame.output is None:
        return
    given = reply
    if reply.fault == "output":
        given = reply.model_copy(update={"fault": None, "detail": None})
    now, name = validate_reply(agent, frame, given), agent.name
    if reply.fault == "output":
        if now.fault is None:
            yield Change(f"the answer of {name} is no longer refused", reply.detail, now.content)
        elif now.detail != reply.detail:
            yield Change(
                f"the answer of {name} is refused with another text", reply.detail, now.detail
            )
    elif not _reads_what_it_writes(agent, frame, now):
        return
    elif now.fault != reply.fault:
        yield Change(f"the answer of {name} is refused", reply.content, now.detail)
    elif now.content != reply.content:
        yield Change(f"the answer of {name} is validated differently", reply.content, now.content)


def _reads_what_it_writes(agent: Agent, frame: Continuation, now: Reply) -> bool:
    """Whether the answer type can validate an answer that it has validated before."""
    assert agent.output is not None
    if now.fault is None:
        return validate_reply(agent, frame, now).content == now.content
    model = agent.output.model
    return model.model_json_schema() == model.model_json_schema(mode="serialization")
