"""Puts in doubt what may have run in the time that a restore of the table has lost.

    python -m agent_continuations.operations.after_restore --since 2026-11-22T12:00:00Z

marks every run of the restored table in TABLE, before anything is attached to that table. From then
on, a marked run asks people before each call of a `once` tool whether it happened. The command can
be repeated: a run is marked once.

    python -m agent_continuations.operations.after_restore --clear RUN --by ann@example.com

ends this for a run, once a person has checked all that it did in the lost time.
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from agent_continuations.core.awaiting import Await
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.effects import AskIfHappened, effects
from agent_continuations.core.events import RestoreCleared, Restored
from agent_continuations.core.fold import apply
from agent_continuations.core.inbound import Restore
from agent_continuations.core.keys import inbound_entry_key
from agent_continuations.core.path import path_text
from agent_continuations.core.run import JournalEntry, LoadedRun, RunHead, Status
from agent_continuations.engine.child_runs import child_run_ids, end_again
from agent_continuations.errors import Conflict, Fatal
from agent_continuations.ports.clock import utc_now
from agent_continuations.ports.store import RunStore, read_run
from agent_continuations.services.runs import DEFAULT_TENANT

# They take no message, so nothing will ever run in them again.
_OVER = (Status.FAILED, Status.CANCELLED)


class RunAfterRestore(NamedTuple):
    """A run of the restored table.

    Attributes:
        marked: whether the restore was recorded in it just now.
        in_doubt: the calls about which people are asked before anything else, as `tool at path`.
        unasked: those of them for which there is nobody to ask.
        faults: problems that a person has to look at.
    """

    run_id: str
    status: Status
    marked: bool
    in_doubt: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def mark_runs(
    store: RunStore,
    restore: Restore,
    *,
    operators: Sequence[str],
    dry_run: bool = False,
    tenant: str = DEFAULT_TENANT,
) -> Iterator[RunAfterRestore]:
    """Record a restore in every run that may have gone on in the time that is lost.

    That includes parked runs, which a redrive continues, and completed ones, which a message
    continues.

    Args:
        store: the restored table; nothing else may use it yet.
        restore: the restore. A run in which a restore to the same time is recorded stays as it is.
        operators: people who are asked about a call that has no approvers.
        dry_run: whether to record nothing.
        tenant: the tenant of the runs.
    """
    cursor: str | None = None
    while True:
        page = store.list_runs(tenant, cursor=cursor, limit=100)
        for head in page.heads:
            if head.status not in _OVER and head.created_at < restore.until:
                yield _mark(store, head, Restored(restore=restore), operators, dry_run)
        cursor = page.next
        if cursor is None:
            return


def clear_run(store: RunStore, run_id: str, *, by: str, now: datetime) -> bool:
    """Record that a person has checked all that a run did in the time that its restore has lost.

    Its `once` calls run again without a question, but for those that are in doubt already.

    Returns:
        False if there is no such run, or no restore to clear.

    Raises:
        Conflict: the run has ended.
    """
    read = read_run(store, run_id)
    if read is None or read[1].restore is None:
        return False
    event = RestoreCleared(since=read[1].restore.since, by=by, at=now)
    return _record(store, read[0].head, event, now)


def _mark(
    store: RunStore, head: RunHead, event: Restored, operators: Sequence[str], dry_run: bool
) -> RunAfterRestore:
    in_doubt: list[str] = []
    unasked: list[str] = []
    faults: list[str] = []
    try:
        read = None if head.status is Status.COMPLETED else read_run(store, head.run_id)
        if read:
            if not (dry_run or head.status.ended):
                _restore_ends(store, head.run_id, read[1], event.restore.at)
            faults += _lost_children(store, read[1])
            for call, has_approver in _calls_in_doubt(apply(read[1], event)):
                in_doubt.append(call)
                unasked += [] if has_approver or operators else [call]
    except Fatal as error:
        faults.append(f"cannot be loaded: {error}")
    marked = False
    if not dry_run:
        try:
            marked = _record(store, head, event, event.restore.at)
        except Conflict as error:
            faults.append(f"not marked: {error}")
    return RunAfterRestore(
        head.run_id, head.status, marked, tuple(in_doubt), tuple(unasked), tuple(faults)
    )


def _calls_in_doubt(root: Continuation) -> Iterator[tuple[str, bool]]:
    """The calls about which people are asked whether they happened, and whether each has one."""
    for effect in effects(root):
        if isinstance(effect, AskIfHappened) or (
            isinstance(effect, Await) and effect.reason == "doubt"
        ):
            call = root.call_at(effect.path)
            yield f"{call.plan.tool} at {path_text(effect.path)}", call.gate is not None


def _lost_children(store: RunStore, root: Continuation) -> Iterator[str]:
    """Child runs that are missing: a backup may hold only a part of the last transactions."""
    for path, run_id in child_run_ids(root):
        if store.head(run_id) is None:
            yield f"its child run {run_id} at {path_text(path)} is lost"


def _restore_ends(store: RunStore, run_id: str, root: Continuation, now: datetime) -> None:
    """Store again the ends of child runs that this run has lost: it would wait for ever."""
    for _, child_id in child_run_ids(root):
        read = read_run(store, child_id)
        entry = end_again(LoadedRun(read[0].head, *read), now) if read else None
        if entry:
            store.append_external(run_id, [entry], now=now)


def _record(
    store: RunStore, head: RunHead, event: Restored | RestoreCleared, now: datetime
) -> bool:
    """Store an event; False if it is stored already. A run that can go on by itself is woken."""
    entry = JournalEntry(inbound_entry_key(event), (event,))
    if head.status.ended:
        return store.append(head.run_id, entry) == entry
    return store.append_external(head.run_id, [entry], now=now) is None


def main(arguments: list[str] | None = None) -> int:
    """Marks or clears runs; returns 0, or 1 if a run needs a person, or 2 for a usage error."""
    from agent_continuations.bootstrap import routes, services

    options = _options(arguments)
    store, now = services.store(), utc_now()
    if options.clear:
        return _clear(store, options.clear, options.by, now)
    restore = Restore(since=options.since, until=options.until or now, at=now)
    runs = mark_runs(store, restore, operators=routes.operators(), dry_run=options.dry_run)
    return _report(runs, options)


def _report(runs: Iterator[RunAfterRestore], options: Namespace) -> int:
    marked, needs_person = 0, 0
    found = 0
    for run in runs:
        found += 1
        marked += run.marked
        needs_person += bool(run.unasked or run.faults)
        state = "marked" if run.marked else "not marked" if options.dry_run else "marked before"
        parts = [f"{run.run_id}  {run.status.value}", state]
        parts += [f"may have run: {', '.join(run.in_doubt)}"] if run.in_doubt else []
        parts += [f"nobody to ask about: {', '.join(run.unasked)}"] if run.unasked else []
        sys.stdout.write("; ".join([*parts, *run.faults]) + "\n")
    sys.stdout.write(f"runs: {found}, marked now: {marked}, need a person: {needs_person}\n")
    return 1 if needs_person else 0


def _clear(store: RunStore, run_ids: Sequence[str], by: str, now: datetime) -> int:
    failed = 0
    for run_id in run_ids:
        try:
            cleared = clear_run(store, run_id, by=by, now=now)
            text = "cleared" if cleared else "nothing to clear"
        except (Conflict, Fatal) as error:
            failed, text = 1, f"not cleared: {error}"
        sys.stdout.write(f"{run_id}  {text}\n")
    return failed


def _options(arguments: list[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="python -m agent_continuations.operations.after_restore",
        description="Put in doubt what may have run in the time that a restore of the table lost.",
    )
    parser.add_argument(
        "--since", type=_time, metavar="TIME", help="the time to which the table was restored"
    )
    parser.add_argument(
        "--until",
        type=_time,
        metavar="TIME",
        help="the end of the last process that used the lost table; default: now",
    )
    parser.add_argument("--dry-run", action="store_true", help="record nothing")
    parser.add_argument("--clear", nargs="+", metavar="RUN", help="runs that a person has checked")
    parser.add_argument("--by", metavar="NAME", help="the person who has checked them")
    options = parser.parse_args(arguments)
    if options.clear:
        if not options.by or options.since or options.until or options.dry_run:
            parser.error("--clear takes --by and no other option")
    elif options.since is None:
        parser.error("--since is required")
    elif not options.since < (options.until or utc_now()) <= utc_now():
        parser.error("--until must be later than --since, and not in the future")
    return options


def _time(text: str) -> datetime:
    """A time with its offset, e.g. 2026-11-22T12:00:00Z."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time; e.g. 2026-11-22T12:00:00Z") from None
    if time.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} has no offset; e.g. 2026-11-22T12:00:00Z")
    return time


if __name__ == "__main__":
    sys.exit(main())
