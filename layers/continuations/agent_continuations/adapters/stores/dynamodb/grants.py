"""How grants stand in the table: a partition `G#<tenant>`, sorted by their tools.

There are few of them at a time, so one partition a tenant holds them; they are garbage a year after
they have ended, while each use is for good on the trail of its run.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from agent_continuations.adapters.stores.dynamodb.items import FORM, Item, check_form, millis, typed
from agent_continuations.core.approvals.grant import Grant

KEPT = timedelta(days=365)
# What changes of a grant stands beside its value.
_CHANGING = {"uses", "revoked_at", "revoked_by"}


def partition(tenant: str) -> str:
    return f"G#{tenant}"


def grant_key(grant: Grant) -> Any:
    return typed({"pk": partition(grant.tenant), "sk": f"{grant.tool}#{grant.grant_id}"})


def grant_item(grant: Grant) -> Any:
    return grant_key(grant) | typed(
        {
            "f": FORM,
            "v": grant.model_dump_json(exclude=_CHANGING),
            "uses": 0,
            "expires": millis(grant.expires_at),
            "ttl": int((grant.expires_at + KEPT).timestamp()),
        }
    )


def read_grant(item: Item) -> Grant:
    check_form(item)
    grant = Grant.model_validate_json(item["v"])
    at = item.get("revoked_at")
    return grant.model_copy(
        update={
            "uses": int(item["uses"]),
            "revoked_at": datetime.fromisoformat(at) if at else None,
            "revoked_by": item.get("revoked_by"),
        }
    )


def use_updates(table: str, uses: Sequence[Grant], now: datetime) -> Iterator[Item]:
    """What counts the uses of grants in a transaction, and holds only if each may be used."""
    counted = Counter(each.grant_id for each in uses)
    for grant in {each.grant_id: each for each in uses}.values():
        times = counted[grant.grant_id]
        condition = "attribute_not_exists(revoked_at) AND expires > :now"
        values: Item = {":times": times, ":now": millis(now)}
        if grant.max_uses is not None:
            condition += " AND uses <= :most"
            values[":most"] = grant.max_uses - times
        yield {
            "Update": {
                "TableName": table,
                "Key": grant_key(grant),
                "UpdateExpression": "SET uses = uses + :times",
                "ConditionExpression": condition,
                "ExpressionAttributeValues": typed(values),
            }
        }
