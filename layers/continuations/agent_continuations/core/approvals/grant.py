"""Grants: an approver's standing approval of calls like one that they have seen.

A grant casts a vote on each request for such a call. It approves nothing by itself: the policy
that applies then must still ask this approver, and still allow grants.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from agent_continuations.core.approvals.policy import DecisionSource
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.ids import canonical_json

Rule: TypeAlias = Literal["is", "up_to", "any"]


class ArgumentRule(FrozenModel):
    """The values that an argument may have: this one, a number from 0 up to it, or any."""

    rule: Rule
    value: Any = None


class Grant(FrozenModel):
    """A standing approval.

    Attributes:
        approver: the approver whose vote it casts.
        member_of: the group for which the approver answered.
        agent, tool, schema_version: identify the calls; a changed tool is not covered any more.
        conditions: the rule of each argument. A call with an argument without a rule is not
            covered.
        via, authentication: how the approver was authenticated when they made it.
        uses, max_uses: how often it was used, and may be used; None for any number.
        run_id, request_id: the request on which it was made.
    """

    grant_id: str
    tenant: str
    approver: str
    member_of: str | None = None
    agent: str
    tool: str
    schema_version: str
    conditions: dict[str, ArgumentRule]
    made_at: datetime
    expires_at: datetime
    via: DecisionSource
    authentication: str | None = None
    run_id: str
    request_id: str
    max_uses: int | None = None
    uses: int = 0
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether it may be used now: not revoked, expired or used up."""
        used_up = self.max_uses is not None and self.uses >= self.max_uses
        return self.revoked_at is None and now < self.expires_at and not used_up

    def covers(
        self, *, agent: str, tool: str, schema_version: str, arguments: Mapping[str, Any]
    ) -> bool:
        """Whether the grant covers a call."""
        if (agent, tool, schema_version) != (self.agent, self.tool, self.schema_version):
            return False
        return all(
            name in self.conditions and _rule_admits(self.conditions[name], value)
            for name, value in arguments.items()
        )


def _rule_admits(rule: ArgumentRule, value: Any) -> bool:
    match rule.rule:
        case "is":
            return canonical_json(value) == canonical_json(rule.value)
        case "up_to":
            numbers = all(type(each) in (int, float) for each in (value, rule.value))
            return numbers and 0 <= value <= rule.value
        case "any":
            return True
