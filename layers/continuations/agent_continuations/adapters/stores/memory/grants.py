"""Grants, in memory."""

from collections.abc import Sequence
from datetime import datetime

from agent_continuations.core.approvals.grant import Grant


class InMemoryGrants:
    """`GrantStore` in a dictionary; see there. Not safe between threads by itself."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}

    def grant(self, grant: Grant) -> None:
        self._grants[grant.grant_id] = grant

    def grants(self, tenant: str, tool: str | None = None) -> list[Grant]:
        found = [each for each in self._grants.values() if each.tenant == tenant]
        return [each for each in found if tool in (None, each.tool)]

    def revoke(self, grant: Grant, *, by: str, now: datetime) -> Grant:
        stored = self._grants[grant.grant_id]
        if stored.revoked_at is None:
            stored = stored.model_copy(update={"revoked_at": now, "revoked_by": by})
            self._grants[grant.grant_id] = stored
        return stored

    def use(self, uses: Sequence[Grant], now: datetime) -> bool:
        """Count uses of grants, one for each element; all of them or none.

        Returns:
            False if one of the grants can no longer be used; nothing is counted then.
        """
        after = dict(self._grants)
        for each in uses:
            stored = after.get(each.grant_id)
            if stored is None or not stored.is_active(now):
                return False
            after[each.grant_id] = stored.model_copy(update={"uses": stored.uses + 1})
        self._grants = after
        return True
