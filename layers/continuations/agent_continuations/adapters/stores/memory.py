"""The store in memory: for people's own tests, and for scripts that need no AWS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import RLock

from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.continuation import Intent
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Snapshot, Status
from agent_continuations.errors import Conflict, Fenced, Invalid, Stale
from agent_continuations.ports.limits import (
    MAX_ENTRIES_AT_ONCE,
    MAX_INTENTS_AT_ONCE,
    MAX_SETTLED_AT_ONCE,
    MAX_STARTS_AT_ONCE,
)
from agent_continuations.ports.store import Due, Page, ReleaseTerms, TrailMove


@dataclass
class _Run:
    head: RunHead
    registers: dict[str, JournalEntry] = field(default_factory=dict)
    notices: dict[str, Notice] = field(default_factory=dict)


class InMemoryStore:
    """Keeps runs in a dictionary, by the same rules as the table; safe between threads."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._grants: dict[str, Grant] = {}
        self._lock = RLock()

    def create(self, head: RunHead, start: JournalEntry) -> RunHead:
        with self._lock:
            if head.run_id in self._runs:
                return self._runs[head.run_id].head
            self._runs[head.run_id] = _Run(head, {start.key: start})
            return head

    def head(self, run_id: str) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            return run.head if run else None

    def load(self, run_id: str) -> Snapshot | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                return None
            return Snapshot(run.head, tuple(run.registers[key] for key in sorted(run.registers)))

    def claim(
        self, run_id: str, *, holder: str, now: datetime, lease_until: datetime
    ) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.head.status.terminal:
                return None
            head = run.head
            if head.lease_until and head.lease_until > now and head.owner != holder:
                return None
            return self._update(
                run,
                status=Status.RUNNING,
                epoch=head.epoch + 1,
                owner=holder,
                lease_until=lease_until,
                due=lease_until,
                stalls=head.stalls + 1,
                updated_at=now,
            )

    def renew(self, run_id: str, *, epoch: int, lease_until: datetime) -> RunHead:
        with self._lock:
            run = self._owned(run_id, epoch)
            return self._update(run, lease_until=lease_until, due=lease_until)

    def progress(self, run_id: str, *, epoch: int, entry_count: int) -> RunHead:
        with self._lock:
            return self._update(self._owned(run_id, epoch), stalls=1, registers=entry_count)

    def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
        with self._lock:
            return self._runs[run_id].registers.setdefault(entry.key, entry)

    def record_intents(
        self,
        run_id: str,
        *,
        epoch: int,
        intents: Mapping[str, Intent],
        settled: Sequence[str],
    ) -> RunHead:
        if len(intents) > MAX_INTENTS_AT_ONCE or len(settled) > MAX_SETTLED_AT_ONCE:
            raise ValueError("too many intents for one write")
        with self._lock:
            run = self._owned(run_id, epoch)
            known = run.head.intents
            repeated = any(
                path in known and known[path].attempt >= intent.attempt
                for path, intent in intents.items()
            )
            if run.head.cancelled or run.head.paused or repeated:
                raise Fenced(run_id)
            kept = {path: intent for path, intent in known.items() if path not in settled}
            return self._update(run, intents={**kept, **intents})

    def commit(
        self,
        run_id: str,
        *,
        epoch: int,
        entries: Sequence[JournalEntry] = (),
        notices: Sequence[Notice] = (),
        settled: Sequence[str] = (),
        release: ReleaseTerms | None = None,
        trail: TrailMove | None = None,
        uses: Sequence[Grant] = (),
        starts: Sequence[NewRun] = (),
        now: datetime,
    ) -> bool:
        wide = max(len(entries), len(notices)) > MAX_ENTRIES_AT_ONCE
        if wide or len(settled) > MAX_SETTLED_AT_ONCE or len(starts) > MAX_STARTS_AT_ONCE:
            raise ValueError("too many items for one write")
        with self._lock:
            run = self._owned(run_id, epoch)
            if run.head.cancelled and not release:
                raise Fenced(run_id)
            if release and run.head.wake != release.wake:
                return False
            if trail and run.head.trail.number != trail.before:
                return False
            taken = any(register.key in run.registers for register in entries)
            if taken or any(each.head.run_id in self._runs for each in starts):
                return False
            if not self._use(uses, now):
                return False
            run.registers.update({register.key: register for register in entries})
            run.notices.update({notice.notice_id: notice for notice in notices})
            for each in starts:
                self.create(each.head, each.entry)
            kept = {path: each for path, each in run.head.intents.items() if path not in settled}
            self._update(run, intents=kept)
            if trail:
                self._update(run, trail=trail.after)
            if release:
                self._update(
                    run,
                    status=release.status,
                    paused=run.head.paused and not release.status.terminal,
                    due=release.due,
                    note=release.note,
                    model_pause=release.model_pause,
                    registers=release.entry_count,
                    owner=None,
                    lease_until=None,
                    stalls=0 if release.progress else run.head.stalls,
                    updated_at=now,
                )
            return True

    def append_external(
        self,
        run_id: str,
        entries: Sequence[JournalEntry],
        *,
        trail: TrailMove | None = None,
        reopen: bool = False,
        now: datetime,
    ) -> JournalEntry | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                raise Conflict("the run is gone")
            for register in entries:
                if register.key in run.registers:
                    return run.registers[register.key]
            reopened = reopen and run.head.status is Status.COMPLETED
            if run.head.status.terminal and not reopened:
                raise Conflict(f"the run is {run.head.status.value}")
            if trail and run.head.trail.number != trail.before:
                raise Stale(run_id)
            run.registers.update({register.key: register for register in entries})
            if trail:
                self._update(run, trail=trail.after)
            self._wake(run, now)
            return None

    def wake(self, run_id: str, *, now: datetime, cancel: bool = False) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run and cancel and run.head.status is Status.PARKED:
                return self._update(run, status=Status.CANCELLED, cancelled=True, updated_at=now)
            if run is None or run.head.status.terminal:
                return run.head if run else None
            if cancel:
                self._update(run, cancelled=True)
            return self._wake(run, now)

    def pause(self, run_id: str, *, paused: bool, now: datetime) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.head.status.terminal or run.head.paused is paused:
                return run.head if run else None
            self._update(run, paused=paused)
            if not paused or run.head.status is Status.RUNNING:
                return self._wake(run, now)
            return self._update(
                run, status=Status.SUSPENDED, due=None, wake=run.head.wake + 1, updated_at=now
            )

    def redrive(self, run_id: str, *, now: datetime) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.head.status is not Status.PARKED:
                return None
            changes = {"stalls": 0, "note": None, "model_pause": None}
            return self._update(run, status=Status.READY, due=now, **changes)

    def due(self, now: datetime, limit: int) -> list[Due]:
        with self._lock:
            found: list[tuple[datetime, Due]] = []
            for run_id, run in self._runs.items():
                times = [(run.head.due, Due(run_id, None, new=run.head.epoch == 0))]
                times += [(each.due, Due(run_id, each.notice_id)) for each in run.notices.values()]
                found += [(at, due) for at, due in times if at and at <= now]
            return [each for _, each in sorted(found, key=lambda pair: pair[0])[:limit]]

    def list_runs(
        self,
        tenant: str,
        *,
        status: Status | None = None,
        agent: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        with self._lock:
            heads = sorted(
                (run.head for run in self._runs.values() if run.head.tenant == tenant),
                key=lambda head: (head.created_at, head.run_id),
                reverse=True,
            )
        if cursor is not None:
            ids = [head.run_id for head in heads]
            if cursor not in ids:
                raise Invalid("not a cursor of this list", [("cursor", "unknown")])
            heads = heads[ids.index(cursor) + 1 :]
        wanted = [
            head
            for head in heads
            if (status is None or head.status is status) and (agent is None or head.agent == agent)
        ]
        more = len(wanted) > limit
        return Page(tuple(wanted[:limit]), wanted[limit - 1].run_id if more else None)

    def grant(self, grant: Grant) -> None:
        with self._lock:
            self._grants[grant.grant_id] = grant

    def grants(self, tenant: str, tool: str | None = None) -> list[Grant]:
        with self._lock:
            found = [each for each in self._grants.values() if each.tenant == tenant]
        return [each for each in found if tool in (None, each.tool)]

    def revoke(self, grant: Grant, *, by: str, now: datetime) -> Grant:
        with self._lock:
            kept = self._grants[grant.grant_id]
            if kept.revoked_at is None:
                kept = kept.model_copy(update={"revoked_at": now, "revoked_by": by})
                self._grants[grant.grant_id] = kept
            return kept

    def _use(self, uses: Sequence[Grant], now: datetime) -> bool:
        """Count uses of grants, all or none."""
        after = dict(self._grants)
        for each in uses:
            kept = after.get(each.grant_id)
            if kept is None or not kept.is_active(now):
                return False
            after[each.grant_id] = kept.model_copy(update={"uses": kept.uses + 1})
        self._grants = after
        return True

    def notice(self, run_id: str, notice_id: str) -> Notice | None:
        with self._lock:
            run = self._runs.get(run_id)
            notice = run.notices.get(notice_id) if run else None
            return notice if notice and notice.due else None

    def notices(self, run_id: str) -> list[Notice]:
        with self._lock:
            run = self._runs.get(run_id)
            return list(run.notices.values()) if run else []

    def update_notice(self, notice: Notice) -> None:
        with self._lock:
            self._runs[notice.run_id].notices[notice.notice_id] = notice

    def _owned(self, run_id: str, epoch: int) -> _Run:
        run = self._runs.get(run_id)
        if run is None or run.head.epoch != epoch or run.head.status is not Status.RUNNING:
            raise Fenced(run_id)
        return run

    def _wake(self, run: _Run, now: datetime) -> RunHead:
        sleeping = run.head.status in (Status.SUSPENDED, Status.COMPLETED)
        changes = {"status": Status.READY, "due": now} if sleeping else {}
        return self._update(run, wake=run.head.wake + 1, **changes)

    def _update(self, run: _Run, **changes: object) -> RunHead:
        run.head = run.head.model_copy(update=changes)
        return run.head
