"""The updates of a run's head, as pure functions. `heads.py` and `runs.py` send them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from agent_continuations.adapters.stores.dynamodb.expressions import UpdateExpression
from agent_continuations.adapters.stores.dynamodb.head_items import (
    backoff_item,
    intent_item,
    obstacle_item,
)
from agent_continuations.adapters.stores.dynamodb.items import Item, due_shard, millis
from agent_continuations.core.continuation import Intent
from agent_continuations.core.run import RunHead, Status
from agent_continuations.ports.commit import ReleaseTerms, TrailMove


def form_update(form: int) -> UpdateExpression:
    """Note that a run has items of this form, and refuse a run that has items of a newer one."""
    return UpdateExpression(
        sets=("f = :form",),
        conditions=("(attribute_not_exists(f) OR f <= :form)",),
        values={":form": form},
    )


def claim_update(
    run_id: str, holder: str, now: datetime, lease_until: datetime, form: int
) -> UpdateExpression:
    """Take the lease: raises the epoch, which fences every earlier lease holder."""
    return form_update(form) + UpdateExpression(
        sets=(
            "#status = :running",
            "epoch = epoch + :one",
            "#owner = :owner",
            "lease_until = :lease",
            "due = :lease",
            "due_shard = :shard",
            "updated_at = :now",
        ),
        conditions=(
            "attribute_exists(pk)",
            "#status IN (:ready, :running, :suspended)",
            "(attribute_not_exists(lease_until) OR lease_until <= :now)",
        ),
        values={
            ":ready": Status.READY,
            ":running": Status.RUNNING,
            ":suspended": Status.SUSPENDED,
            ":owner": holder,
            ":one": 1,
            ":now": millis(now),
            ":lease": millis(lease_until),
            ":shard": due_shard(run_id),
        },
    )


def lease_held(epoch: int) -> UpdateExpression:
    """The condition that the lease of this epoch is still held."""
    return UpdateExpression(
        conditions=("epoch = :epoch", "#status = :running"),
        values={":epoch": epoch, ":running": Status.RUNNING},
    )


def renew_update(epoch: int, lease_until: datetime) -> UpdateExpression:
    """Extend the lease."""
    return lease_held(epoch) + UpdateExpression(
        sets=("lease_until = :lease", "due = :lease"), values={":lease": millis(lease_until)}
    )


def count_stall_update(head: RunHead) -> UpdateExpression:
    """Count the execution before this one, which has not released the run, once."""
    return lease_held(head.epoch) + UpdateExpression(
        sets=("stalls = stalls + :lost", "released = :before"),
        conditions=("(attribute_not_exists(released) OR released < :before)",),
        values={":lost": int(head.released is not None), ":before": head.epoch - 1},
    )


def hand_back_update(epoch: int, due: datetime, note: str, *, counted: bool) -> UpdateExpression:
    """Give up the lease of an execution that came to nothing."""
    update = lease_held(epoch) + UpdateExpression(
        sets=("#status = :ready", "due = :due", "note = :note", "released = epoch"),
        removes=("#owner", "lease_until"),
        values={":ready": Status.READY, ":due": millis(due), ":note": note},
    )
    if not counted:
        return update
    return update + UpdateExpression(sets=("stalls = stalls + :one",), values={":one": 1})


def progress_update(epoch: int, entry_count: int) -> UpdateExpression:
    """Reset the count of fruitless executions."""
    return lease_held(epoch) + UpdateExpression(
        sets=("stalls = :zero", "registers = :registers"),
        values={":zero": 0, ":registers": entry_count},
    )


def intents_update(
    epoch: int, intents: Mapping[str, Intent], settled: Sequence[str]
) -> UpdateExpression:
    """Record intents whose attempts are new, and remove those of settled paths."""
    numbered = list(enumerate(intents.items()))
    recorded = UpdateExpression(
        sets=tuple(f"intents.#i{number} = :i{number}" for number, _ in numbered),
        conditions=(
            "attribute_not_exists(cancelled)",
            "attribute_not_exists(paused)",
            *(
                f"(attribute_not_exists(intents.#i{number})"
                f" OR intents.#i{number}.attempt < :a{number})"
                for number, _ in numbered
            ),
        ),
        values={f":i{number}": intent_item(intent) for number, (_, intent) in numbered}
        | {f":a{number}": intent.attempt for number, (_, intent) in numbered},
        names={f"#i{number}": path for number, (path, _) in numbered},
    )
    # A settled path whose tool runs again is overwritten: one update cannot do both.
    removed = _without_intents([path for path in settled if path not in intents])
    return lease_held(epoch) + recorded + removed


def commit_update(
    epoch: int,
    settled: Sequence[str],
    release: ReleaseTerms | None,
    trail: TrailMove | None,
    now: datetime,
) -> UpdateExpression:
    """The changes that a lease holder's commit makes to the head."""
    update = lease_held(epoch) + UpdateExpression(
        sets=("updated_at = :now",), values={":now": millis(now)}
    )
    update += _without_intents(settled) + trail_update(trail)
    if release is None:
        return update + UpdateExpression(conditions=("attribute_not_exists(cancelled)",))
    return update + _release_update(release)


def _release_update(release: ReleaseTerms) -> UpdateExpression:
    # The epoch is that of the lease, which is a condition of the release.
    sets = ["#status = :status", "registers = :registers", "released = epoch"]
    removes = ["#owner", "lease_until"]
    values: Item = {
        ":status": release.status,
        ":wake": release.wake,
        ":registers": release.entry_count,
    }
    if release.progress:
        sets.append("stalls = :zero")
        values[":zero"] = 0
    else:
        sets.append("stalls = stalls + :one")
        values[":one"] = 1
    if release.status.ended:
        # A message may continue a run that has ended; it must not be paused then.
        removes.append("paused")
    optional = {
        "due": millis(release.due) if release.due else None,
        "note": release.note,
        "model_pause": backoff_item(release.model_pause) if release.model_pause else None,
        "obstacle": obstacle_item(release.obstacle) if release.obstacle else None,
    }
    for name, value in optional.items():
        if value is None:
            removes.append(name)
        else:
            sets.append(f"{name} = :{name}")
            values[f":{name}"] = value
    return UpdateExpression(tuple(sets), tuple(removes), ("wake = :wake",), values)


def _without_intents(paths: Sequence[str]) -> UpdateExpression:
    return UpdateExpression(
        removes=tuple(f"intents.#r{number}" for number in range(len(paths))),
        names={f"#r{number}": path for number, path in enumerate(paths)},
    )


def trail_update(trail: TrailMove | None) -> UpdateExpression:
    """Move the end of the audit trail, if no other write has moved it."""
    if trail is None:
        return UpdateExpression()
    # A run that was stored in the first form has no trail yet.
    first = "attribute_not_exists(entries) OR " if trail.before == 0 else ""
    return UpdateExpression(
        sets=("entries = :after", "trail = :trail"),
        conditions=(f"({first}entries = :before)",),
        values={
            ":before": trail.before,
            ":after": trail.after.number,
            ":trail": trail.after.digest,
        },
    )


def wake_update(status: Status, now: datetime) -> UpdateExpression:
    """Wake a run that has this status.

    A suspended run, or a completed one that is reopened, becomes ready and due. The holder of a
    running one sees that `wake` has changed. A parked one stays parked.
    """
    update = UpdateExpression(
        sets=("wake = wake + :one",),
        conditions=("#status = :status",),
        values={":one": 1, ":status": status},
    )
    if status not in (Status.SUSPENDED, Status.COMPLETED):
        return update
    return update + UpdateExpression(
        sets=("#status = :ready", "due = :now"),
        values={":ready": Status.READY, ":now": millis(now)},
    )


def cancel_update(status: Status, now: datetime) -> UpdateExpression:
    """Wake a run so that it is cancelled; a parked one becomes ready, so that it is claimed."""
    update = wake_update(status, now) + UpdateExpression(
        sets=("cancelled = :true",), values={":true": True}
    )
    if status is not Status.PARKED:
        return update
    return update + UpdateExpression(
        sets=("#status = :ready", "due = :now"),
        values={":ready": Status.READY, ":now": millis(now)},
    )


def pause_update(status: Status, now: datetime) -> UpdateExpression:
    """Pause a run that has this status. The lease holder of a running one releases it."""
    update = UpdateExpression(
        sets=("wake = wake + :one", "paused = :true"),
        conditions=("#status = :status", "attribute_not_exists(cancelled)"),
        values={":one": 1, ":true": True, ":status": status},
    )
    if status in (Status.RUNNING, Status.PARKED):
        return update
    return update + UpdateExpression(
        sets=("#status = :suspended", "updated_at = :now"),
        removes=("due",),
        values={":suspended": Status.SUSPENDED, ":now": millis(now)},
    )


def resume_update(status: Status, now: datetime) -> UpdateExpression:
    """Resume a paused run that has this status."""
    return wake_update(status, now) + UpdateExpression(
        removes=("paused",), conditions=("paused = :true",), values={":true": True}
    )


def redrive_update(now: datetime) -> UpdateExpression:
    """Make a run ready that is parked, blocked or backing off."""
    waits = "#status = :suspended AND (attribute_exists(obstacle) OR attribute_exists(model_pause))"
    return UpdateExpression(
        sets=("#status = :ready", "due = :now", "stalls = :zero"),
        removes=("note", "model_pause", "obstacle"),
        conditions=(f"(#status = :parked OR ({waits}))",),
        values={
            ":ready": Status.READY,
            ":parked": Status.PARKED,
            ":suspended": Status.SUSPENDED,
            ":now": millis(now),
            ":zero": 0,
        },
    )


def has_lost_lease(head: RunHead, epoch: int, release: ReleaseTerms | None) -> bool:
    """Whether a commit of this epoch is fenced: by a later claim, or by a cancellation."""
    if head.epoch != epoch or head.status is not Status.RUNNING:
        return True
    return head.cancelled and release is None
