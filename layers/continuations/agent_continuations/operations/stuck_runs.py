"""Detection of stuck runs: runs that no timer, event or person will ever wake, and blocked ones.

    python -m agent_continuations.operations.stuck_runs

checks every run of the tables and the bucket in TABLE, OUTBOX_TABLE and BUCKET, prints the stuck
ones, and exits with 1 if there are any. A function does the same on a schedule, and raises an
alarm.

The check reads the heads of all runs, and loads only the runs whose heads are suspicious. A run
that is not stuck has ended, or is due soon enough, or asks a person who can be reached, or waits
for an event or a child run, or was paused by an operator, or is parked, which has an alarm.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from agent_continuations.core.awaiting import Await
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.effects import (
    AskApproval,
    AskIfHappened,
    CallModel,
    NotifyApprovers,
    RunTool,
    StartRun,
    TakeSignal,
    effects,
)
from agent_continuations.core.notice import Notice
from agent_continuations.core.path import path_text
from agent_continuations.core.run import RunHead, Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.next_wake import next_wake
from agent_continuations.errors import Fatal, NewerForm
from agent_continuations.ports.clock import utc_now
from agent_continuations.ports.store import Store, read_run
from agent_continuations.services.runs import DEFAULT_TENANT

# The sweeper runs every minute, so a run that is overdue by more than this was missed.
SWEEP_GRACE = timedelta(minutes=10)


def why_stuck(
    head: RunHead,
    root: Continuation,
    now: datetime,
    *,
    limits: Limits | None = None,
    notices: Sequence[Notice] = (),
) -> str | None:
    """Returns the reason why a run is stuck, or None if it is not.

    Args:
        head: head of the run.
        root: continuation of the run.
        now: current time.
        limits: time limits of the run's executions; None for those of a deployment.
        notices: notices of the run.
    """
    limits = limits or Limits()
    if not _can_be_stuck(head):
        return None
    by_head = why_suspicious(head, now, limits)
    if by_head:
        return by_head
    if head.status is not Status.SUSPENDED:
        return None
    if unreached := _unreached(root, notices):
        return unreached
    # A head with a note is blocked, so its model back-off no longer applies.
    backing_off = head.model_pause and head.model_pause.until > now and not head.note
    backoff = head.model_pause if backing_off else None
    # An execution that lost its lease may store results without a wake-up message. The run is due
    # at that execution's deadline at the latest.
    latest = now + timedelta(seconds=limits.default_tool_timeout + limits.clock_skew)
    in_time = head.due is not None and head.due <= latest
    if not head.note and not in_time and _has_work(root, backoff):
        return f"has work to do, but {_due_text(head)}"
    # A blocked run may have nobody to ask about a doubt; that is tried again with the obstacle.
    doubts = [each.path for each in effects(root) if isinstance(each, AskIfHappened)]
    blocked = doubts if head.obstacle else ()
    wake = next_wake(root, model_backoff=backoff, clock_skew=limits.clock_skew, blocked=blocked)
    if wake.due and (head.due is None or head.due > wake.due + SWEEP_GRACE):
        return f"waits until {wake.due}, but {_due_text(head)}"
    if head.due is None and not wake.is_waiting:
        return "suspended, but nobody is asked and nothing is due"
    return None


def _can_be_stuck(head: RunHead) -> bool:
    """Whether a run is one that must go on by itself."""
    held = head.paused and head.status is Status.SUSPENDED
    return not (head.status.ended or head.status is Status.PARKED or held)


def why_suspicious(head: RunHead, now: datetime, limits: Limits) -> str | None:
    """Returns the reason why a run is stuck that its head alone shows, or None."""
    if head.due is None and head.status is not Status.SUSPENDED:
        return f"{head.status.value}, but has no due time"
    if head.due and head.due < now - SWEEP_GRACE:
        return f"due since {head.due}, but was not picked up"
    if head.status is Status.READY and head.due and head.due > now + SWEEP_GRACE:
        return f"ready, but not due before {head.due}"
    blocked = head.obstacle
    if blocked and (now - blocked.since).total_seconds() >= limits.blocked_alarm:
        return f"blocked since {blocked.since}: {head.note}"
    return None


def _unreached(root: Continuation, notices: Sequence[Notice]) -> str | None:
    """The reason if a call in doubt, which waits without a deadline, asks nobody who can answer."""
    for effect in effects(root):
        if not (isinstance(effect, Await) and effect.reason == "doubt"):
            continue
        doubt = root.call_at(effect.path).doubt
        if doubt and not doubt.approvers:
            return f"the call {path_text(effect.path)} is in doubt, and nobody is asked"
        for notice in notices:
            failed = notice.failure and notice.due is None
            if failed and notice.request_id == effect.request_id:
                return f"the call {path_text(effect.path)} is in doubt: {notice.failure}"
    return None


def _due_text(head: RunHead) -> str:
    return f"is not due before {head.due}" if head.due else "has no due time"


def _has_work(root: Continuation, backoff: ModelBackoff | None) -> bool:
    """Whether an effect of the run can start now."""
    return any(
        isinstance(effect, RunTool | AskApproval | NotifyApprovers | StartRun | TakeSignal)
        or (isinstance(effect, CallModel) and not backoff)
        for effect in effects(root)
    )


def stuck_runs(
    store: Store, now: datetime, tenant: str = DEFAULT_TENANT
) -> Iterator[tuple[str, str]]:
    """Yields the id of each stuck run of a tenant, and the reason."""
    cursor: str | None = None
    while True:
        page = store.list_runs(tenant, cursor=cursor, limit=100)
        for listed in page.heads:
            if reason := _why_listed(store, listed, now):
                yield listed.run_id, reason
        cursor = page.next
        if cursor is None:
            return


def _why_listed(store: Store, listed: RunHead, now: datetime) -> str | None:
    if not _can_be_stuck(listed):
        return None
    # What is due soon enough need not be loaded: its next execution will look at it.
    if listed.due and not why_suspicious(listed, now, Limits()):
        return None
    try:
        read = read_run(store, listed.run_id)
        if read is None:
            return "listed, but missing"
        notices = store.notices(listed.run_id)
        return why_stuck(read[0].head, read[1], now, notices=notices)
    except (Fatal, NewerForm) as error:
        return f"cannot be loaded: {error}"


def main() -> int:
    """Prints the stuck runs; returns 1 if there are any, otherwise 0."""
    from agent_continuations.bootstrap import services

    count = 0
    for run_id, reason in stuck_runs(services.store(), utc_now()):
        sys.stdout.write(f"{run_id}  {reason}\n")
        count += 1
    sys.stdout.write(f"stuck runs: {count}\n")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
