"""What is done to a head, and what must be found there: DynamoDB's update expressions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from agent_continuations.adapters.stores.dynamodb.items import Item, backoff_item, millis, typed
from agent_continuations.core.run import RunHead, Status
from agent_continuations.ports.store import ReleaseTerms, TrailMove

# Update expression, condition, values, names.
Update: TypeAlias = tuple[str, str, Item, dict[str, str]]

_TRUE: Item = {":true": True}


def expressions(
    update: str, condition: str, values: Item, names: Mapping[str, str]
) -> dict[str, Any]:
    reserved = {"#status": "status", "#owner": "owner"}
    used = {alias: name for alias, name in reserved.items() if alias in update + condition}
    expressions = {
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": used | dict(names),
        "ExpressionAttributeValues": typed(
            {name: value for name, value in values.items() if name in f"{update} {condition}"}
        ),
    }
    return {name: value for name, value in expressions.items() if value}


def removals(paths: Sequence[str], names: dict[str, str]) -> str:
    aliases = []
    for number, path in enumerate(paths):
        names[f"#r{number}"] = path
        aliases.append(f"intents.#r{number}")
    return ", ".join(aliases)


def owner_update(
    epoch: int,
    settled: Sequence[str],
    release: ReleaseTerms | None,
    trail: TrailMove | None,
    now: datetime,
) -> Update:
    """What an owner's commit does to the head, and what it must find there."""
    names: dict[str, str] = {}
    values: Item = {":epoch": epoch, ":running": Status.RUNNING, ":now": millis(now)}
    sets, removed = ["updated_at = :now"], removals(settled, names)
    condition = "epoch = :epoch AND #status = :running"
    removes = [removed] if removed else []
    if release is None:
        condition += " AND attribute_not_exists(cancelled)"
    else:
        values |= {
            ":status": release.status,
            ":wake": release.wake,
            ":registers": release.entry_count,
            ":zero": 0,
        }
        condition += " AND wake = :wake"
        sets += ["#status = :status", "registers = :registers"]
        sets += ["stalls = :zero"] if release.progress else []
        removes += ["#owner", "lease_until"]
        # What has ended is not held any more: a message may let it go on later.
        removes += ["paused"] if release.status.terminal else []
        pause = backoff_item(release.model_pause) if release.model_pause else None
        kept = (("due", _due(release)), ("note", release.note), ("model_pause", pause))
        for name, value in kept:
            if value is None:
                removes.append(name)
            else:
                sets.append(f"{name} = :{name}")
                values[f":{name}"] = value
    update = f"SET {', '.join(sets)}" + (f" REMOVE {', '.join(removes)}" if removes else "")
    return with_trail((update, condition, values, names), trail)


def with_trail(update: Update, trail: TrailMove | None) -> Update:
    """An update that also moves the audit trail on, if nothing else has done so."""
    if trail is None:
        return update
    changes, condition, values, names = update
    # A run of the first form has no trail yet.
    first = "attribute_not_exists(entries) OR " if trail.before == 0 else ""
    return (
        changes.replace("SET ", "SET entries = :after, trail = :trail, ", 1),
        f"{condition} AND ({first}entries = :before)",
        {
            **values,
            ":before": trail.before,
            ":after": trail.after.number,
            ":trail": trail.after.digest,
        },
        names,
    )


def _due(release: ReleaseTerms) -> int | None:
    return millis(release.due) if release.due else None


def wake_update(status: Status, now: datetime) -> Update:
    """Wake a run that has `status`: a suspended one, or one that is completed and to go on, becomes
    ready and due, a working one will see that `wake` has moved.
    """
    values: Item = {":one": 1, ":status": status}
    if status not in (Status.SUSPENDED, Status.COMPLETED):
        return "SET wake = wake + :one", "#status = :status", values, {}
    values |= {":ready": Status.READY, ":now": millis(now)}
    return "SET wake = wake + :one, #status = :ready, due = :now", "#status = :status", values, {}


def pause_update(status: Status, now: datetime, *, paused: bool) -> Update:
    """Hold a run that has `status`, or let it go on. Whoever works on it will see it."""
    if not paused:
        update, condition, values, names = wake_update(status, now)
        return f"{update} REMOVE paused", f"{condition} AND paused = :true", values | _TRUE, names
    update, condition = "SET wake = wake + :one, paused = :true", "#status = :status"
    values = {":one": 1, ":status": status} | _TRUE
    if status is not Status.RUNNING:
        update += ", #status = :suspended, updated_at = :now REMOVE due"
        values |= {":suspended": Status.SUSPENDED, ":now": millis(now)}
    return update, condition, values, {}


def has_lost_lease(head: RunHead, epoch: int, release: ReleaseTerms | None) -> bool:
    """Whether this owner may not commit: the run is another's, or was cancelled."""
    if head.epoch != epoch or head.status is not Status.RUNNING:
        return True
    return head.cancelled and release is None
