"""Checks the values given with an approval: edited arguments, a new limit, a question's answer."""

from collections.abc import Callable, Mapping
from typing import Any

from agent_continuations.authoring.agent import AgentTool, AnyTool
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.schema import ArgumentsRefused
from agent_continuations.core.approvals.policy import ApprovalPolicy
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.call_text import call_text
from agent_continuations.core.decisions.lookup import Request
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.ids import canonical_json, raw_digest
from agent_continuations.core.plans import ConditionPlan, RefusedPlan
from agent_continuations.core.run import LoadedRun
from agent_continuations.core.voting import additional_stages
from agent_continuations.engine.conditions import checked_limit, limit_schema
from agent_continuations.errors import Conflict, Invalid


def validated_changes(
    registry: Callable[[], Registry], loaded: LoadedRun, request: Request, response: Decide
) -> dict[str, Any]:
    """The fields that a response adds to a decision, validated by the code that is deployed now;
    empty if it changes nothing.

    Raises:
        Invalid: the values are invalid for the tool, the question or the condition, or the request
            takes none.
        Conflict: the tool no longer exists.
    """
    if response.verdict is Verdict.APPROVE and request.kind == "question":
        return {"answer": _answer(registry, loaded, request, response)}
    if response.answer is not None:
        raise Invalid("only a question takes an answer", [("answer", "not allowed here")])
    if response.arguments is None:
        return {}
    if request.kind not in ("approval", "condition") or response.verdict is Verdict.REJECT:
        fields = [("arguments", "can be edited only when approving a call")]
        raise Invalid("arguments cannot be edited here", fields)
    return _edited(registry, loaded, request, response.arguments)


def schema_of(
    registry: Callable[[], Registry], loaded: LoadedRun, request: Request
) -> dict[str, Any]:
    """The JSON schema of the values that approvers can give with an approval.

    Raises:
        Conflict: the tool no longer exists.
    """
    plan, question = request.call.plan, request.call.question
    if isinstance(plan, ConditionPlan):
        return limit_schema(plan)
    if question:
        return question.answer
    return _tool(registry, loaded, request).schema


def _answer(
    registry: Callable[[], Registry], loaded: LoadedRun, request: Request, response: Decide
) -> Any:
    if response.arguments is not None:
        raise Invalid(
            "a question takes an answer, not arguments", [("arguments", "not allowed here")]
        )
    tool = _tool(registry, loaded, request)
    if isinstance(tool, AgentTool):
        raise Conflict(f"the tool {tool.name} no longer exists, so the answer cannot be checked")
    try:
        if response.from_form:
            return tool.answer.validate_fields(response.answer)
        return tool.answer.validate(response.answer)
    except ArgumentsRefused as error:
        raise Invalid("the answer is invalid", _under("answer", error)) from None


def _edited(
    registry: Callable[[], Registry],
    loaded: LoadedRun,
    request: Request,
    arguments: Mapping[str, Any],
) -> dict[str, Any]:
    plan, approval, pinned = request.call.plan, request.approval, request.call.gate
    assert approval is not None
    assert pinned is not None
    policy: ApprovalPolicy | None = pinned
    raw = before = None
    try:
        if isinstance(plan, ConditionPlan):
            checked = checked_limit(plan, arguments)
        else:
            tool = _tool(registry, loaded, request)
            root, shown = loaded.continuation, request.asked.arguments
            before = call_text(root, request.path, request.asked)
            edited = tool.arguments.edit(before, shown, arguments)
            checked, raw = edited.shown, edited.raw
            policy = tool.policy_for(edited, root.frame_at(request.path[:-1]).agent)
    except ArgumentsRefused as error:
        fields = _under("arguments", error)
        raise Invalid("the edited arguments are invalid", fields) from None
    unchanged = canonical_json(checked) == canonical_json(request.asked.arguments)
    if unchanged and raw == before:
        return {}
    return {
        "arguments": checked,
        "raw": raw,
        "raw_digest": raw and raw_digest(raw),
        "preview": policy.preview if policy else None,
        "further": additional_stages(approval, pinned, policy),
    }


def _tool(registry: Callable[[], Registry], loaded: LoadedRun, request: Request) -> AnyTool:
    plan = request.call.plan
    agent = registry().find(loaded.continuation.frame_at(request.path[:-1]).agent)
    tool = agent.tool(plan.tool) if agent else None
    if tool is None or isinstance(plan, RefusedPlan):
        raise Conflict(f"the tool {plan.tool} no longer exists, so its arguments cannot be checked")
    return tool


def _under(name: str, error: ArgumentsRefused) -> list[tuple[str, str]]:
    return [(f"{name}.{field}" if field != name else name, fault) for field, fault in error.fields]
