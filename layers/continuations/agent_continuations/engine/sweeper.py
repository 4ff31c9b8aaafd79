"""Sweeper."""

from datetime import datetime

from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import RunStore


def sweep(store: RunStore, queue: WorkQueue, now: datetime, limit: int = 1000) -> int:
    """Send the hint of whatever is due again; how much that was.

    Timers, deadlines, lost hints and dead owners are all the same here: an item whose time has
    come.
    """
    found = store.due(now, limit)
    for due in found:
        if due.notice_id:
            queue.notify(due.run_id, due.notice_id)
        elif due.new:
            queue.advance(due.run_id)
        else:
            queue.resume(due.run_id)
    return len(found)
