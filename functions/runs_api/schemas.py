"""Request bodies of the HTTP API."""

from typing import Annotated, Any, Literal, TypeAlias, assert_never

from pydantic import Field

from agent_continuations.core.approvals.grant import Rule
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions import responses
from agent_continuations.core.decisions.responses import (
    GrantTerms,
    Reassign,
    Response,
    WithdrawApproval,
)
from agent_continuations.errors import Invalid
from agent_continuations.handlers.routing import RequestBody
from runs_api.access import CallerAccess

Short: TypeAlias = Annotated[str, Field(max_length=256)]


class Start(RequestBody):
    """A run to start."""

    agent: Short
    input: str
    metadata: dict[Short, Short] = Field(default={}, max_length=20)
    requester: Short | None = None


class GrantBody(RequestBody):
    """A standing approval, given with an approval."""

    seconds: int
    rules: dict[Short, Rule] = Field(default={}, max_length=100)
    max_uses: int | None = None


class Decide(RequestBody):
    """A response to a request."""

    request_id: Short
    decision: Literal["approve", "reject", "answer", "withdraw", "reassign"]
    arguments: dict[str, Any] | None = None
    reason: str | None = Field(default=None, max_length=4000)
    approver: Short | None = None
    groups: tuple[Short, ...] = Field(default=(), max_length=50)
    arguments_hash: Short | None = None
    to: Short | None = None
    grant: GrantBody | None = None
    answer: Any = None


class Say(RequestBody):
    """A message to a run."""

    content: str
    sender: Short | None = None


class Happen(RequestBody):
    """The payload of an event for a run."""

    payload: Any = None
    correlation: Short | None = None


def to_response(body: Decide, access: CallerAccess, *, is_proven: bool) -> Response:
    """The response in a body.

    Args:
        body: the body.
        access: the rights of the caller.
        is_proven: whether it is known who decides, and that they did not ask for the call.

    Raises:
        Invalid: a field does not belong to the decision, or one is missing.
        Forbidden: the caller may not act for this person.
    """
    more = {
        "answer": body.decision != "answer",
        "arguments": body.decision != "approve",
        "grant": body.decision != "approve",
        "to": body.decision != "reassign",
    }
    wrong = [name for name, unfit in more.items() if unfit and getattr(body, name) is not None]
    if body.decision == "reject" and body.arguments is not None:
        wrong = [
            each for each in wrong if each != "arguments"
        ]  # refused by the service, with its own message
    if wrong:
        raise Invalid(
            f"invalid fields for {body.decision}", [(each, "not allowed here") for each in wrong]
        )
    caller = access.caller
    attribution: dict[str, Any] = {
        "approver": access.approver(body.approver),
        "decided_by": caller.person or caller.arn,
        "via": "api",
        "reason": body.reason,
        "groups": access.groups(body.groups),
        "authentication": f"iam {caller.arn}",
        "is_proven": is_proven,
        "arguments_hash": body.arguments_hash,
    }
    match body.decision:
        case "withdraw":
            return WithdrawApproval(**attribution)
        case "reassign":
            if body.to is None:
                raise Invalid("a new approver is required", [("to", "required")])
            return Reassign(to=body.to, **attribution)
        case "answer":
            return responses.Decide(verdict=Verdict.APPROVE, answer=body.answer, **attribution)
        case "approve" | "reject":
            return responses.Decide(
                verdict=Verdict(body.decision),
                arguments=body.arguments,
                grant=GrantTerms(**dict(body.grant)) if body.grant else None,
                **attribution,
            )
        case _:
            assert_never(body.decision)
