"""The sparse indexes: due runs, due notices, and the list of runs."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from time import sleep

from agent_continuations.adapters.stores.dynamodb.head_items import head_key, list_key, read_head
from agent_continuations.adapters.stores.dynamodb.items import SHARDS, Item, millis, typed
from agent_continuations.adapters.stores.dynamodb.table import Table
from agent_continuations.core.run import RunHead, Status
from agent_continuations.errors import Invalid
from agent_continuations.ports.store import Due, Page

# A filter that few runs match: after so many queries the page ends, with a cursor to continue.
_LIST_ROUNDS = 20
_BATCH_SIZE = 100
_UNREAD_DELAY_SECONDS = 0.05


class Indexes:
    """Queries over all shards of an index; the results may be stale.

    Args:
        table: the table of the runs.
        outbox: the table of the notices; it may be the same one.
    """

    def __init__(self, table: Table, outbox: Table) -> None:
        self._table = table
        self._outbox = outbox

    def due(self, now: datetime, limit: int) -> list[Due]:
        """See `RunStore.due`."""
        found: list[tuple[int, Due]] = []
        kinds = [(self._table, "D"), (self._table, "N")]
        kinds += [(self._outbox, "D")] if self._outbox is not self._table else []
        for table, kind in kinds:
            for number in range(SHARDS):
                for item in _due_items(table, f"{kind}#{number}", now, limit):
                    notice_id = item["sk"][2:] if item["sk"].startswith("N#") else None
                    due = Due(item["pk"][2:], notice_id, new=kind == "N")
                    found.append((int(item["due"]), due))
        return [each for _, each in sorted(found, key=lambda pair: pair[0])[:limit]]

    def list_runs(
        self,
        tenant: str,
        *,
        status: Status | None,
        agent: str | None,
        starter: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        """See `RunStore.list_runs`."""
        before = _read_cursor(cursor) if cursor else None
        matching: list[RunHead] = []
        for _ in range(_LIST_ROUNDS):
            keys = self._newest(tenant, before, limit + 1)
            if not keys:
                return Page(tuple(matching), None)
            before = keys[-1]
            matching += [
                head
                for head in self._heads([key.split("#")[1] for key in keys])
                if (status is None or head.status is status)
                and (agent is None or head.agent == agent)
                and (starter is None or head.starter == starter)
            ]
            if len(matching) > limit:
                return Page(tuple(matching[:limit]), _write_cursor(list_key(matching[limit - 1])))
            if len(keys) <= limit:
                return Page(tuple(matching), None)
        return Page(tuple(matching), _write_cursor(str(before)))

    def _newest(self, tenant: str, before: str | None, limit: int) -> list[str]:
        """The next list keys over all shards, newest first."""
        keys: list[str] = []
        for shard in range(SHARDS):
            values = {":shard": f"L#{tenant}#{shard}", ":before": before or "~"}
            items = self._table.query_page(
                IndexName="runs",
                KeyConditionExpression="list_shard = :shard AND list_key < :before",
                ExpressionAttributeValues=typed(values),
                ScanIndexForward=False,
                Limit=limit,
            )
            keys += [str(item["list_key"]) for item in items]
        return sorted(keys, reverse=True)[:limit]

    def _heads(self, run_ids: Sequence[str]) -> list[RunHead]:
        found: dict[str, RunHead] = {}
        for start in range(0, len(run_ids), _BATCH_SIZE):
            unread = [head_key(each) for each in run_ids[start : start + _BATCH_SIZE]]
            while unread:
                items, unread = self._table.get_batch(unread)
                for head in map(read_head, items):
                    found[head.run_id] = head
                if unread:
                    sleep(_UNREAD_DELAY_SECONDS)
        return [found[each] for each in run_ids if each in found]


def _due_items(table: Table, shard: str, now: datetime, limit: int) -> list[Item]:
    return table.query_page(
        IndexName="due",
        KeyConditionExpression="due_shard = :shard AND due <= :now",
        ExpressionAttributeValues=typed({":shard": shard, ":now": millis(now)}),
        Limit=limit,
    )


def _write_cursor(key: str) -> str:
    return urlsafe_b64encode(key.encode()).decode()


def _read_cursor(cursor: str) -> str:
    try:
        key = urlsafe_b64decode(cursor).decode()
    except ValueError:
        key = ""
    if not re.fullmatch(r"\d{13}#[a-z2-7]+", key):
        raise Invalid("not a cursor of this list", [("cursor", "unknown")])
    return key
