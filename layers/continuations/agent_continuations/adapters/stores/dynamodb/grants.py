"""Grants: one partition `G#<tenant>`, sorted by tool.

A tenant has few grants at a time, so one partition is enough. An item expires one year after its
grant; each use of the grant stays in the audit trail of its run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from agent_continuations.adapters.stores.dynamodb.client import ConditionFailed
from agent_continuations.adapters.stores.dynamodb.expressions import UpdateExpression
from agent_continuations.adapters.stores.dynamodb.items import Item, millis
from agent_continuations.adapters.stores.dynamodb.table import Table, Write
from agent_continuations.core.approvals.grant import Grant

RETENTION = timedelta(days=365)
# These fields change, so they are attributes of their own and no part of the stored value.
_CHANGING = {"uses", "revoked_at", "revoked_by"}


class Grants:
    """`GrantStore` in the table; see there."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def grant(self, grant: Grant) -> None:
        """See `GrantStore.grant`."""
        self._table.put(_item(grant, self._table.form))

    def new_write(self, grant: Grant) -> Write:
        """The write of a new grant in a transaction."""
        return self._table.put_write(_item(grant, self._table.form))

    def grants(self, tenant: str, tool: str | None = None) -> list[Grant]:
        """See `GrantStore.grants`."""
        low, high = (f"{tool}#", f"{tool}#~") if tool else (" ", "~")
        items = self._table.query(_partition(tenant), low, high)
        # A grant of newer code does not vote here: its approver is asked instead.
        return [_read(item) for item in items if item.get("f", 0) <= self._table.form]

    def revoke(self, grant: Grant, *, by: str, now: datetime) -> Grant:
        """See `GrantStore.revoke`."""
        update = UpdateExpression(
            sets=("revoked_at = :now", "revoked_by = :by"),
            conditions=("attribute_exists(pk)", "attribute_not_exists(revoked_at)"),
            values={":now": now.isoformat(), ":by": by},
        )
        try:
            return _read(self._table.update(_key(grant), update, return_stored=True))
        except ConditionFailed as failed:
            return _read(failed.item)

    def use_writes(self, uses: Sequence[Grant], now: datetime) -> Iterator[Write]:
        """The writes that count the uses of grants, each on the condition that it can be used.

        Args:
            uses: the grants, one element for each use.
        """
        times = Counter(each.grant_id for each in uses)
        for grant in {each.grant_id: each for each in uses}.values():
            yield self._table.update_write(
                _key(grant), _use_update(grant, times[grant.grant_id], now)
            )


def _use_update(grant: Grant, times: int, now: datetime) -> UpdateExpression:
    update = UpdateExpression(
        sets=("uses = uses + :times",),
        conditions=("attribute_not_exists(revoked_at)", "expires > :now"),
        values={":times": times, ":now": millis(now)},
    )
    if grant.max_uses is None:
        return update
    return update + UpdateExpression(
        conditions=("uses <= :most",), values={":most": grant.max_uses - times}
    )


def _partition(tenant: str) -> str:
    return f"G#{tenant}"


def _key(grant: Grant) -> Item:
    return {"pk": _partition(grant.tenant), "sk": f"{grant.tool}#{grant.grant_id}"}


def _item(grant: Grant, form: int) -> Item:
    return {
        **_key(grant),
        "f": form,
        "v": grant.model_dump_json(exclude=_CHANGING),
        "uses": 0,
        "expires": millis(grant.expires_at),
        "ttl": int((grant.expires_at + RETENTION).timestamp()),
    }


def _read(item: Item) -> Grant:
    grant = Grant.model_validate_json(item["v"])
    at = item.get("revoked_at")
    return grant.model_copy(
        update={
            "uses": int(item["uses"]),
            "revoked_at": datetime.fromisoformat(at) if at else None,
            "revoked_by": item.get("revoked_by"),
        }
    )
