"""The two sparse indexes: what is due, and what there is."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from time import sleep
from typing import TYPE_CHECKING, Any

from agent_continuations.adapters.stores.dynamodb.client import call
from agent_continuations.adapters.stores.dynamodb.items import (
    HEAD_KEY,
    SHARDS,
    key,
    list_key,
    millis,
    plain,
    read_head,
    typed,
)
from agent_continuations.core.run import RunHead, Status
from agent_continuations.errors import Invalid
from agent_continuations.ports.store import Due, Page

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_LIST_ROUNDS = 20


class Indexes:
    """Queries over all shards of an index; the answers may be stale."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def due(self, now: datetime, limit: int) -> list[Due]:
        """See `Store.due`."""
        found: list[tuple[int, Due]] = []
        for shard in [f"{kind}#{number}" for kind in "DN" for number in range(SHARDS)]:
            answer = call(
                self._dynamodb.query,
                TableName=self._table,
                IndexName="due",
                KeyConditionExpression="due_shard = :shard AND due <= :now",
                ExpressionAttributeValues=typed({":shard": shard, ":now": millis(now)}),
                Limit=limit,
            )
            for item in map(plain, answer["Items"]):
                notice_id = item["sk"][2:] if item["sk"].startswith("N#") else None
                due = Due(item["pk"][2:], notice_id, new=shard.startswith("N"))
                found.append((int(item["due"]), due))
        return [each for _, each in sorted(found, key=lambda pair: pair[0])[:limit]]

    def page(
        self,
        tenant: str,
        status: Status | None,
        agent: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page:
        """See `Store.page`."""
        before = _read_cursor(cursor) if cursor else None
        wanted: list[RunHead] = []
        for _ in range(_LIST_ROUNDS):
            keys = self._newest(tenant, before, limit + 1)
            if not keys:
                return Page(tuple(wanted), None)
            before = keys[-1]
            heads = self._heads([key.split("#")[1] for key in keys])
            wanted += [
                head
                for head in heads
                if (status is None or head.status is status)
                and (agent is None or head.agent == agent)
            ]
            if len(wanted) > limit:
                return Page(tuple(wanted[:limit]), _write_cursor(list_key(wanted[limit - 1])))
            if len(keys) <= limit:
                return Page(tuple(wanted), None)
        return Page(
            tuple(wanted), _write_cursor(str(before))
        )  # a filter that fits few: go on there

    def _newest(self, tenant: str, before: str | None, limit: int) -> list[str]:
        """The list keys that come next over all shards, newest first."""
        keys: list[str] = []
        for shard in range(SHARDS):
            answer = call(
                self._dynamodb.query,
                TableName=self._table,
                IndexName="runs",
                KeyConditionExpression="list_shard = :shard AND list_key < :before",
                ExpressionAttributeValues=typed(
                    {":shard": f"L#{tenant}#{shard}", ":before": before or "~"}
                ),
                ScanIndexForward=False,
                Limit=limit,
            )
            keys += [str(plain(item)["list_key"]) for item in answer["Items"]]
        return sorted(keys, reverse=True)[:limit]

    def _heads(self, run_ids: Sequence[str]) -> list[RunHead]:
        found: dict[str, RunHead] = {}
        for start in range(0, len(run_ids), 100):
            wanted: Any = {
                self._table: {
                    "Keys": [key(each, HEAD_KEY) for each in run_ids[start : start + 100]]
                }
            }
            while wanted:
                answer = call(self._dynamodb.batch_get_item, RequestItems=wanted)
                for item in answer["Responses"].get(self._table, []):
                    head = read_head(plain(item))
                    found[head.run_id] = head
                wanted = answer.get("UnprocessedKeys")
                if wanted:
                    sleep(0.05)
        return [found[each] for each in run_ids if each in found]


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
