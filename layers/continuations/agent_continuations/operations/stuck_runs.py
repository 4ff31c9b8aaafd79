"""No run is forgotten: what wakes whatever is due, and what tells that nothing ever would.

    python -m agent_continuations.operations.stuck_runs

looks at every run of the table that TABLE and BUCKET name, prints those that nothing will move, and
ends with 1 if there are any.
"""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.effects import (
    AskApproval,
    CallModel,
    NotifyApprovers,
    RunTool,
    StartRun,
    TakeSignal,
    effects,
)
from agent_continuations.core.run import RunHead, Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.next_wake import next_wake
from agent_continuations.errors import Fatal
from agent_continuations.ports.clock import utc_now
from agent_continuations.ports.store import RunStore, read_run
from agent_continuations.services.runs import DEFAULT_TENANT

# The sweeper comes every minute; what has been due for longer than this has been missed by it.
LATE = timedelta(minutes=10)


def why_stuck(
    head: RunHead, root: Continuation, now: datetime, *, limits: Limits | None = None
) -> str | None:
    """Why nothing will move a run any more; None if something will, or nothing need.

    A run that has not ended has a time at which it is looked at again, no later than what it
    waits for; or a question that a person can answer, an event or another run that it waits for; or
    an operator holds it.

    Args:
        head: of the run.
        root: the run.
        now: the time.
        limits: what owners of the run were bound by; those of a deployment where not given.
    """
    if head.status.terminal or (head.paused and head.status is Status.SUSPENDED):
        return None
    if head.due is None and head.status is not Status.SUSPENDED:
        return f"{head.status.value}, and not due"
    if head.due and head.due < now - LATE:
        return f"due since {head.due}, and nobody has looked"
    if head.status is Status.READY and head.due and head.due > now + LATE:
        return f"ready, but not due before {head.due}"
    if head.status is not Status.SUSPENDED:
        return None
    limits = limits or Limits()
    # A note says that what there is to be done cannot be done; its model call is not waited for.
    pausing = head.model_pause and head.model_pause.until > now and not head.note
    pause = head.model_pause if pausing else None
    # An owner that has lost the run may store what it had begun without waking anybody. The run
    # is due at the end of such an owner's time in any case.
    latest = now + timedelta(seconds=limits.default_tool_timeout + limits.clock_skew)
    in_time = head.due is not None and head.due <= latest
    if not head.note and not in_time and _can_go_on(root, pause):
        return f"could go on, but is not due before {head.due or 'ever'}"
    waits = next_wake(root, model_backoff=pause, clock_skew=limits.clock_skew)
    if waits.due and (head.due is None or head.due > waits.due + LATE):
        return f"waits for {waits.due}, but is not due before {head.due or 'ever'}"
    if head.due is None and not waits.asked:
        return "suspended, but nobody is asked and nothing is due"
    return None


def _can_go_on(root: Continuation, pause: ModelBackoff | None) -> bool:
    """Whether there is something to be done now."""
    return any(
        isinstance(effect, RunTool | AskApproval | NotifyApprovers | StartRun | TakeSignal)
        or (isinstance(effect, CallModel) and not pause)
        for effect in effects(root)
    )


def stuck_runs(
    store: RunStore, now: datetime, tenant: str = DEFAULT_TENANT
) -> Iterator[tuple[str, str]]:
    """Every run of a tenant that nothing will move, and why."""
    cursor: str | None = None
    while True:
        page = store.list_runs(tenant, cursor=cursor, limit=100)
        for listed in page.heads:
            if listed.status.terminal:
                continue
            try:
                read = read_run(store, listed.run_id)
                why = why_stuck(read[0].head, read[1], now) if read else "listed, but not there"
            except Fatal as error:
                why = f"cannot be loaded: {error}"
            if why:
                yield listed.run_id, why
        cursor = page.next
        if cursor is None:
            return


def main() -> int:
    """Entry point for operators."""
    from agent_continuations import bootstrap

    found = 0
    for run_id, why in stuck_runs(bootstrap.store(), utc_now()):
        sys.stdout.write(f"{run_id}  {why}\n")
        found += 1
    sys.stdout.write(f"{found} runs are stuck\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
