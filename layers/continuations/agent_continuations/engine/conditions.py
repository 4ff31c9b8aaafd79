"""Evaluation of conditions: limits at which an agent or a run stops until people continue it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from agent_continuations.authoring.conditions import LIMIT, Condition
from agent_continuations.authoring.schema import ArgumentsRefused
from agent_continuations.core.approvals.policy import Preview
from agent_continuations.core.base import storable
from agent_continuations.core.continuation import CONDITION_INDEX_BASE, Continuation
from agent_continuations.core.events import ConditionReached
from agent_continuations.core.path import ROOT, Path, Step, parse_path, path_text
from agent_continuations.core.plans import ConditionPlan, UsageTally


def due_condition(
    condition: Condition, root: Continuation, path: Path, now: datetime
) -> ConditionReached | None:
    """The event that stops an agent or the run before its next model call; None if nothing does.

    Args:
        condition: a condition of the agent or, if its scope is the run, of the root agent.
        root: the run.
        path: the path of the agent's frame.
        now: the time.
    """
    at = ROOT if condition.scope == "run" else path
    frame = root.frame_at(at)
    if frame.open_condition:
        return None
    reached, last = condition.tally(frame, now), _last_condition(frame, condition.name)
    if last and last.before.turns == reached.turns:
        return None
    arguments = condition.arguments | (last.arguments if last else {})
    since = reached.since(last.before if last else None)
    why = condition.reason(frame, since, arguments.get(LIMIT), now)
    if not why:
        return None
    plan = ConditionPlan(
        tool=condition.name,
        arguments=arguments,
        scope=condition.scope,
        tally=reached,
        gate=condition.approval.pinned_policy(Preview(effect=storable(why))),
    )
    turn = len(frame.turns)
    before = sum(parse_path(key)[0].turn == turn for key in frame.holds)
    return ConditionReached(
        path=path_text((*at, Step(turn, CONDITION_INDEX_BASE + before))), plan=plan
    )


def limit_schema(plan: ConditionPlan) -> dict[str, Any]:
    """The JSON schema of the arguments that people can change when they continue the run."""
    about = "How much until people are asked the next time."
    limit = {"type": "number", "exclusiveMinimum": 0, "description": about}
    properties = {LIMIT: limit} if LIMIT in plan.arguments else {}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def checked_limit(plan: ConditionPlan, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with which people continue the run.

    Raises:
        ArgumentsRefused: an argument is unknown, or the limit is not a number above 0.
    """
    wrong = [(name, "unknown") for name in arguments if name not in plan.arguments]
    limit = arguments.get(LIMIT)
    if LIMIT in plan.arguments and (
        isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < 1e15
    ):
        wrong.append((LIMIT, "a number above 0 is needed"))
    if wrong:
        raise ArgumentsRefused(wrong)
    return dict(arguments)


class _LastCondition(NamedTuple):
    """The last stop of a frame by one condition: the tally to count from, and the limit."""

    before: UsageTally
    arguments: dict[str, Any]


def _last_condition(frame: Continuation, name: str) -> _LastCondition | None:
    found: _LastCondition | None = None
    for call in frame.holds.values():
        plan, decision = call.plan, call.decision
        if isinstance(plan, ConditionPlan) and plan.tool == name and decision:
            # The time until the decision does not count toward the limit.
            started_at = frame.started_at or decision.decided_at
            seconds = (decision.decided_at - started_at).total_seconds()
            found = _LastCondition(
                plan.tally.model_copy(update={"seconds": seconds}), call.arguments
            )
    return found
