"""How the head of a run is stored."""

from collections.abc import Mapping
from datetime import datetime

from agent_continuations.adapters.stores.dynamodb.items import (
    Item,
    due_shard,
    millis,
    new_shard,
    read_time,
    run_partition,
    shard,
)
from agent_continuations.core.approvals.audit_chain import ChainHead
from agent_continuations.core.backoff import ModelBackoff, Obstacle
from agent_continuations.core.continuation import Intent
from agent_continuations.core.run import Parent, RunHead, Status

HEAD_SORT_KEY = "#H"


def head_key(run_id: str) -> Item:
    """The key of a run's head."""
    return {"pk": run_partition(run_id), "sk": HEAD_SORT_KEY}


def list_key(head: RunHead) -> str:
    """The sort key of a run in the list, by creation time."""
    return f"{millis(head.created_at):013d}#{head.run_id}"


def as_stored(intents: Mapping[str, Intent]) -> dict[str, Intent]:
    """Intents as they are read from the table, where times are whole milliseconds."""
    return {path: _read_intent(intent_item(intent)) for path, intent in intents.items()}


def _read_intent(item: Item) -> Intent:
    return Intent(
        attempt=int(item["attempt"]),
        started_at=read_time(item["started_at"]),
        deadline=read_time(item["deadline"]),
    )


def intent_item(intent: Intent) -> Item:
    """An intent as a value of the head's `intents`."""
    return {
        "attempt": intent.attempt,
        "started_at": millis(intent.started_at),
        "deadline": millis(intent.deadline),
    }


def backoff_item(pause: ModelBackoff) -> Item:
    """A back-off as the value of the head's `model_pause`."""
    return {"until": millis(pause.until), "tries": pause.tries, "reason": pause.reason}


def _read_backoff(item: Item) -> ModelBackoff:
    return ModelBackoff(
        until=read_time(item["until"]), tries=int(item["tries"]), reason=item["reason"]
    )


def obstacle_item(obstacle: Obstacle) -> Item:
    """An obstacle as the value of the head's `obstacle`."""
    return {
        "since": millis(obstacle.since),
        "until": millis(obstacle.until),
        "tries": obstacle.tries,
    }


def _read_obstacle(item: Item) -> Obstacle:
    since, until = read_time(item["since"]), read_time(item["until"])
    return Obstacle(since=since, until=until, tries=int(item["tries"]))


def head_item(head: RunHead, form: int) -> Item:
    """The item of a run that is created or restored."""
    return {
        **head_key(head.run_id),
        "f": form,
        "due_shard": due_shard(head.run_id) if head.epoch else new_shard(head.run_id),
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
        "owner": head.owner,
        "lease_until": millis(head.lease_until) if head.lease_until else None,
        "wake": head.wake,
        "stalls": head.stalls,
        "released": head.released,
        "registers": head.registers,
        # These two are conditions of updates, which ask whether the attribute exists.
        "cancelled": head.cancelled or None,
        "paused": head.paused or None,
        "intents": {path: intent_item(intent) for path, intent in head.intents.items()},
        "note": head.note,
        "model_pause": backoff_item(head.model_pause) if head.model_pause else None,
        "obstacle": obstacle_item(head.obstacle) if head.obstacle else None,
        "requester": head.requester,
        "starter": head.starter,
        "senders": list(head.senders) or None,
        "entries": head.trail.number,
        "trail": head.trail.digest,
        "parent": dict(head.parent) if head.parent else None,
        "moves": head.moves or None,
        "moved_from": head.moved_from,
    }


def read_head(item: Item) -> RunHead:
    """The head that an item holds, of any form: only further attributes are ever added."""
    return RunHead(
        run_id=item["pk"][2:],
        tenant=item["tenant"],
        agent=item["agent"],
        request_hash=item["request_hash"],
        status=Status(item["status"]),
        created_at=read_time(item["created_at"]),
        updated_at=read_time(item["updated_at"]),
        due=_optional_time(item, "due"),
        metadata=item.get("metadata", {}),
        epoch=int(item["epoch"]),
        owner=item.get("owner"),
        lease_until=_optional_time(item, "lease_until"),
        wake=int(item["wake"]),
        cancelled=bool(item.get("cancelled")),
        stalls=int(item["stalls"]),
        released=int(item["released"]) if "released" in item else None,
        registers=int(item["registers"]),
        intents={path: _read_intent(each) for path, each in item["intents"].items()},
        note=item.get("note"),
        model_pause=_read_backoff(item["model_pause"]) if "model_pause" in item else None,
        obstacle=_read_obstacle(item["obstacle"]) if "obstacle" in item else None,
        requester=item.get("requester"),
        starter=item.get("starter"),
        senders=tuple(item.get("senders", ())),
        trail=ChainHead(number=int(item.get("entries", 0)), digest=item.get("trail", "")),
        paused=bool(item.get("paused")),
        parent=Parent(**item["parent"]) if "parent" in item else None,
        moves=int(item.get("moves", 0)),
        moved_from=Status(item["moved_from"]) if "moved_from" in item else None,
    )


def _optional_time(item: Item, name: str) -> datetime | None:
    return read_time(item[name]) if name in item else None
