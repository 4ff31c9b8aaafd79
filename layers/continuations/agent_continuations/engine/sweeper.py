"""The sweeper: sends wake-up messages again for all that is overdue."""

from datetime import datetime

from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import RunStore


def sweep(store: RunStore, queue: WorkQueue, now: datetime, limit: int = 1000) -> int:
    """Send the wake-up message of each item that is due, and return how many there were.

    Timers, deadlines, lost wake-up messages and dead lease holders need no distinction: each is an
    item of the store whose due time has passed.
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
