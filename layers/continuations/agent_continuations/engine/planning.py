"""Planning of a model's calls: the needs of each call are determined once, and stored."""

import json
from collections.abc import Sequence
from datetime import datetime
from logging import getLogger

from agent_continuations.authoring.agent import Agent, AgentTool
from agent_continuations.authoring.result_text import error_text
from agent_continuations.authoring.schema import Arguments, ArgumentsRefused
from agent_continuations.core.approvals.request import Decision, Verdict
from agent_continuations.core.base import storable
from agent_continuations.core.continuation import (
    MAX_CALLS_PER_TURN,
    MAX_CALLS_WITH_RUNS,
    MAX_DEPTH,
    Continuation,
    Turn,
)
from agent_continuations.core.effects import CallModel
from agent_continuations.core.events import ModelReplied, ToolReturned
from agent_continuations.core.ids import canonical_json, raw_digest
from agent_continuations.core.path import Path, path_text
from agent_continuations.core.plans import AgentPlan, Plan, RefusedPlan, ToolPlan
from agent_continuations.core.replies import Reply, ToolRequest

_log = getLogger(__name__)


def first_frame(agent: Agent, input: str) -> Continuation:
    """The first continuation of a run of `agent`."""
    frame = Continuation(
        agent=agent.name,
        instructions=agent.instructions,
        input=input,
        max_turns=agent.max_turns,
        output=agent.output.schema if agent.output else None,
    )
    return storable(frame)


def model_replied(
    agent: Agent,
    frame: Continuation,
    effect: CallModel,
    reply: Reply,
    reads: tuple[ToolReturned, ...],
    profile: str,
    at: datetime,
) -> ModelReplied:
    """The event of a reply, with its calls planned.

    Args:
        agent: the agent whose model has replied.
        frame: its frame.
        effect: the model call.
        reply: the reply as the model gave it.
        reads: the results of read tools that the request was made from.
        profile: the digest of the request's profile.
        at: the time.
    """
    reply = validate_reply(agent, frame, storable(reply))
    return ModelReplied(
        path=path_text(effect.path),
        turn=effect.turn,
        reply=reply,
        calls=storable(plan_calls(agent, effect.path, reply, frame.turns)),
        reads=reads,
        heard=effect.heard,
        profile=profile,
        at=at,
    )


def validate_reply(agent: Agent, frame: Continuation, reply: Reply) -> Reply:
    """The reply, with a fault if it is the agent's answer and does not match its output schema."""
    if reply.requests or reply.fault or frame.output is None or agent.output is None:
        return reply
    try:
        answer = agent.output.read(reply.content or "no text")
    except ArgumentsRefused as error:
        return reply.model_copy(update={"fault": "output", "detail": str(error)})
    return reply.model_copy(update={"content": json.dumps(answer, ensure_ascii=False)})


def plan_calls(
    agent: Agent, path: Path, reply: Reply, turns: Sequence[Turn] = ()
) -> tuple[Plan, ...]:
    """The plans of a reply's calls. A call that cannot run becomes a refusal for the model.

    Args:
        agent: the agent whose model has replied.
        path: the path of its frame.
        reply: the reply with the calls.
        turns: the frame's turns so far.
    """
    plans: list[Plan] = []
    in_frame = 0  # calls so far that do not become child runs
    for request in reply.requests:
        tool = agent.tool(request.name)
        spawns = isinstance(tool, AgentTool) and tool.spawn
        is_full = in_frame >= MAX_CALLS_PER_TURN and not spawns
        if is_full or len(plans) >= MAX_CALLS_WITH_RUNS:
            most = MAX_CALLS_PER_TURN if is_full else MAX_CALLS_WITH_RUNS
            plans.append(_refused(request, f"only {most} tool calls are possible in one turn"))
        else:
            plans.append(_safe_plan(agent, path, request, turns))
            in_frame += not spawns
    return tuple(plans)


def _safe_plan(agent: Agent, path: Path, request: ToolRequest, turns: Sequence[Turn]) -> Plan:
    """The plan of a call; a refusal if code of the tool's author fails.

    The model is paid already: an exception here would have it asked again.
    """
    try:
        return _plan(agent, path, request, turns)
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        _log.exception("planning failed", extra={"agent": agent.name, "tool": request.name[:64]})
        return _refused(request, f"the tool failed before it ran: {error_text(error)}")


def _plan(agent: Agent, path: Path, request: ToolRequest, turns: Sequence[Turn]) -> Plan:
    found = agent.tool(request.name)
    if found is None:
        names = ", ".join(each.name for each in agent.tools) or "none"
        return _refused(request, f"there is no tool named {request.name!r}; there are: {names}")
    try:
        arguments = found.arguments.read(request.arguments)
    except ArgumentsRefused as error:
        return _refused(request, f"the arguments do not fit {request.name}: {error}")
    if rejected := _just_rejected(turns, found.name, arguments):
        why = f"{found.name} with these very arguments was rejected by a person just now"
        reason = f", who said: {rejected.reason}" if rejected.reason else ""
        return _refused(request, f"{why}{reason}; nobody is asked again")
    policy = found.policy_for(arguments, agent.name)
    digest = raw_digest(request.arguments) if policy else None
    if isinstance(found, AgentTool):
        if len(path) >= MAX_DEPTH:
            return _refused(request, f"agents may be nested {MAX_DEPTH} deep, not deeper")
        return AgentPlan(
            tool=found.name,
            arguments=arguments.shown,
            agent=found.agent.name,
            instructions=found.agent.instructions,
            max_turns=found.agent.max_turns,
            output=found.agent.output.schema if found.agent.output else None,
            spawn=found.spawn,
            schema_version=found.schema_version,
            form=2,
            raw_digest=digest,
            gate=policy,
        )
    return ToolPlan(
        tool=found.name,
        arguments=arguments.shown,
        effect=found.effect,
        schema_version=found.schema_version,
        form=2,
        raw_digest=digest,
        masked=tuple(each for each in found.arguments.masked if each in arguments.shown),
        gate=policy,
    )


def _just_rejected(turns: Sequence[Turn], tool: str, arguments: Arguments) -> Decision | None:
    """The rejection of the same call by a person, if no other call was tried since."""
    wanted = canonical_json(arguments.shown)
    for turn in reversed(turns):
        for call, request in zip(turn.calls, turn.reply.requests, strict=True):
            decision = call.decision
            if decision is None or decision.verdict is not Verdict.REJECT:
                continue
            same = call.plan.tool == tool and canonical_json(call.arguments) == wanted
            if arguments.schema.masked:  # two secrets look the same
                same = same and request.arguments == arguments.raw
            if same and decision.via != "deadline":
                return decision
        if any(call.plan.kind != "refused" for call in turn.calls):
            return None
    return None


def _refused(request: ToolRequest, reason: str) -> RefusedPlan:
    return RefusedPlan(tool=request.name[:64], reason=f"This call was not made: {reason}.")
