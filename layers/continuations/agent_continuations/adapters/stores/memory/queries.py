"""Queries over all runs in memory: due runs and notices, and the list of runs."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from agent_continuations.adapters.stores.memory.record import RunRecord
from agent_continuations.core.run import RunHead, Status
from agent_continuations.errors import Invalid
from agent_continuations.ports.store import Due, Page


def due(runs: Iterable[RunRecord], now: datetime, limit: int) -> list[Due]:
    """See `RunStore.due`."""
    found = [(at, due) for run in runs for at, due in _times(run) if at and at <= now]
    return [each for _, each in sorted(found, key=lambda pair: pair[0])[:limit]]


def _times(run: RunRecord) -> Iterator[tuple[datetime | None, Due]]:
    run_id = run.head.run_id
    yield run.head.due, Due(run_id, None, new=run.head.epoch == 0)
    for notice in run.notices.values():
        yield notice.due, Due(run_id, notice.notice_id)


def page(
    heads: Iterable[RunHead],
    *,
    status: Status | None,
    agent: str | None,
    starter: str | None,
    cursor: str | None,
    limit: int,
) -> Page:
    """See `RunStore.list_runs`. The cursor is the id of a page's last run.

    Args:
        heads: all heads of the tenant.
    """
    newest = sorted(heads, key=lambda head: (head.created_at, head.run_id), reverse=True)
    if cursor is not None:
        ids = [head.run_id for head in newest]
        if cursor not in ids:
            raise Invalid("not a cursor of this list", [("cursor", "unknown")])
        newest = newest[ids.index(cursor) + 1 :]
    matching = [
        head
        for head in newest
        if (status is None or head.status is status)
        and (agent is None or head.agent == agent)
        and (starter is None or head.starter == starter)
    ]
    more = len(matching) > limit
    return Page(tuple(matching[:limit]), matching[limit - 1].run_id if more else None)
