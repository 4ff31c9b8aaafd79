"""Agreeing in advance: an approver's yes to calls like one that they have seen, for a while.

A grant is a vote that is cast when such a call is asked about. It opens nothing by itself: the
policy that applies then must still ask for this person, and still allow grants.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from agent_continuations.core.approvals.policy import DecisionSource
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.ids import canonical_json

Rule: TypeAlias = Literal["is", "up_to", "any"]


class ArgumentRule(FrozenModel):
    """What an argument must be: just this, a number from 0 up to this, or anything."""

    rule: Rule
    value: Any = None


class Grant(FrozenModel):
    """An approver's yes in advance.

    Attributes:
        approver: whose vote it is.
        member_of: the group for which the approver answered.
        agent, tool, schema_version: of the calls; a tool that changes ends its grants.
        conditions: by argument. A call with an argument that has none is not meant.
        uses, max_uses: how often it has been used, and may be; None for any number.
        run_id, request_id: the request that it was made on.
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
        """Whether it may be used now."""
        used_up = self.max_uses is not None and self.uses >= self.max_uses
        return self.revoked_at is None and now < self.expires_at and not used_up

    def covers(
        self, *, agent: str, tool: str, schema_version: str, arguments: Mapping[str, Any]
    ) -> bool:
        """Whether a call is like those that were agreed to."""
        if (agent, tool, schema_version) != (self.agent, self.tool, self.schema_version):
            return False
        return all(
            name in self.conditions and _rule_admits(self.conditions[name], value)
            for name, value in arguments.items()
        )


def _rule_admits(condition: ArgumentRule, value: Any) -> bool:
    match condition.rule:
        case "is":
            return canonical_json(value) == canonical_json(condition.value)
        case "up_to":
            numbers = all(type(each) in (int, float) for each in (value, condition.value))
            return numbers and 0 <= value <= condition.value
        case "any":
            return True
