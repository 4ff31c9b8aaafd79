"""How heads, registers and notices stand in the table.

Each item says in `f` which form it has. Code reads every form that was ever written; the tests keep
items of each. A form that is newer than the code is refused, and so its run parks until that code
is deployed again.
"""

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from agent_continuations.core.approvals.audit_chain import ChainHead
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Intent
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import Parent, RunHead, Status
from agent_continuations.errors import CorruptValue

Item: TypeAlias = dict[str, Any]

FORM = 2
SHARDS = 8
HEAD_KEY = "#H"


def key(run_id: str, sort: str) -> Any:
    return {"pk": {"S": f"R#{run_id}"}, "sk": {"S": sort}}


def check_form(item: Item) -> None:
    """Make sure that this code knows how an item stands in the table.

    Raises:
        CorruptValue: it was written by newer code.
    """
    form = int(item.get("f", FORM))
    if form > FORM:
        raise CorruptValue(f"{item['sk']} has form {form}, and this code knows {FORM} at most")


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _time(millis: Any) -> datetime:
    return datetime.fromtimestamp(int(millis) / 1000, UTC)


def _optional_time(item: Item, name: str) -> datetime | None:
    return _time(item[name]) if name in item else None


def typed(item: Mapping[str, Any]) -> Any:
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in item.items() if value is not None}


def plain(item: Mapping[str, Any]) -> Item:
    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}


def due_shard(run_id: str) -> str:
    """The partition of the due index for what has begun."""
    return f"D#{shard(run_id)}"


def new_shard(run_id: str) -> str:
    """The partition of the due index for runs that nobody has had yet; the first claim moves them.

    So the sweeper can tell new work from decided work, which have queues of their own.
    """
    return f"N#{shard(run_id)}"


def shard(run_id: str) -> int:
    return zlib.crc32(run_id.encode()) % SHARDS


def list_key(head: RunHead) -> str:
    return f"{millis(head.created_at):013d}#{head.run_id}"


def as_stored(intents: Mapping[str, Intent]) -> dict[str, Intent]:
    """Intents as they come back from the table, where times are whole milliseconds."""
    return {path: _intent(intent_item(intent)) for path, intent in intents.items()}


def _intent(item: Item) -> Intent:
    return Intent(
        attempt=int(item["attempt"]),
        started_at=_time(item["started_at"]),
        deadline=_time(item["deadline"]),
    )


def intent_item(intent: Intent) -> Item:
    return {
        "attempt": intent.attempt,
        "started_at": millis(intent.started_at),
        "deadline": millis(intent.deadline),
    }


def backoff_item(pause: ModelBackoff) -> Item:
    return {"until": millis(pause.until), "tries": pause.tries, "reason": pause.reason}


def _read_backoff(item: Item) -> ModelBackoff:
    return ModelBackoff(until=_time(item["until"]), tries=int(item["tries"]), reason=item["reason"])


def head_item(head: RunHead) -> Item:
    return {
        "pk": f"R#{head.run_id}",
        "sk": HEAD_KEY,
        "f": FORM,
        "due_shard": new_shard(head.run_id),
        "due": millis(head.due) if head.due else None,
        "list_shard": f"L#{head.tenant}#{shard(head.run_id)}",
        "list_key": list_key(head),
        "tenant": head.tenant,
        "agent": head.agent,
        "request_hash": head.request_hash,
        "status": head.status.value,
        "created_at": millis(head.created_at),
        "updated_at": millis(head.updated_at),
        "metadata": head.metadata or None,
        "epoch": head.epoch,
        "wake": head.wake,
        "stalls": head.stalls,
        "registers": head.registers,
        "intents": {},
        "requester": head.requester,
        "entries": 0,
        "trail": "",
        "parent": dict(head.parent) if head.parent else None,
    }


def read_head(item: Item) -> RunHead:
    check_form(item)
    return RunHead(
        run_id=item["pk"][2:],
        tenant=item["tenant"],
        agent=item["agent"],
        request_hash=item["request_hash"],
        status=Status(item["status"]),
        created_at=_time(item["created_at"]),
        updated_at=_time(item["updated_at"]),
        due=_optional_time(item, "due"),
        metadata=item.get("metadata", {}),
        epoch=int(item["epoch"]),
        owner=item.get("owner"),
        lease_until=_optional_time(item, "lease_until"),
        wake=int(item["wake"]),
        cancelled=bool(item.get("cancelled")),
        stalls=int(item["stalls"]),
        registers=int(item["registers"]),
        intents={path: _intent(each) for path, each in item["intents"].items()},
        note=item.get("note"),
        model_pause=_read_backoff(item["model_pause"]) if "model_pause" in item else None,
        requester=item.get("requester"),
        trail=ChainHead(number=int(item.get("entries", 0)), digest=item.get("trail", "")),
        paused=bool(item.get("paused")),
        parent=Parent(**item["parent"]) if "parent" in item else None,
    )


def notice_item(notice: Notice) -> Item:
    return {
        "pk": f"R#{notice.run_id}",
        "sk": f"N#{notice.notice_id}",
        "f": FORM,
        "due_shard": due_shard(notice.run_id),
        "due": millis(notice.due) if notice.due else None,
        "v": zlib.compress(notice.model_dump_json().encode()),
    }


def read_notice(item: Item) -> Notice:
    check_form(item)
    return Notice.model_validate_json(zlib.decompress(bytes(item["v"])))
