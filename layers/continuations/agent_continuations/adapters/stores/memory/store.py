"""`Store` in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import RLock

from agent_continuations.adapters.stores.memory import queries
from agent_continuations.adapters.stores.memory.grants import InMemoryGrants
from agent_continuations.adapters.stores.memory.record import RunRecord
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.continuation import Intent
from agent_continuations.core.notice import Notice
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Snapshot, Status
from agent_continuations.errors import Conflict, Fenced, Stale
from agent_continuations.ports.commit import ReleaseTerms, TrailMove, commit_items
from agent_continuations.ports.hand_over import check_same_entries
from agent_continuations.ports.limits import (
    MAX_INTENTS_AT_ONCE,
    MAX_ITEMS_AT_ONCE,
    MAX_SETTLED_AT_ONCE,
)
from agent_continuations.ports.store import Due, Page


class InMemoryStore:
    """Keeps runs in a dictionary, with the guarantees of the table; safe between threads.

    It passes the same contract suite as `DynamoDBStore`. See `Store` for the methods.
    """

    def __init__(self) -> None:
        self._runs: dict[str, RunRecord] = {}
        self._grants = InMemoryGrants()
        self._profiles: dict[str, RequestProfile] = {}
        self._lock = RLock()

    # -- runs ------------------------------------------------------------------------------------

    def create(self, head: RunHead, start: JournalEntry) -> RunHead:
        with self._lock:
            return self._runs.setdefault(head.run_id, RunRecord.new(head, start)).head

    def head(self, run_id: str) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            return run.head if run else None

    def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
        del partial
        with self._lock:
            run = self._runs.get(run_id)
            return run.snapshot() if run else None

    def claim(
        self, run_id: str, *, holder: str, now: datetime, lease_until: datetime
    ) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            return run.claim(holder, now, lease_until) if run else None

    def renew(self, run_id: str, *, epoch: int, lease_until: datetime) -> RunHead:
        with self._lock:
            return self._leased(run_id, epoch).update(lease_until=lease_until, due=lease_until)

    def hand_back(
        self, run_id: str, *, epoch: int, due: datetime, note: str, counted: bool
    ) -> None:
        with self._lock:
            self._leased(run_id, epoch).hand_back(due, note, counted=counted)

    def count_stall(self, head: RunHead) -> RunHead:
        with self._lock:
            run = self._leased(head.run_id, head.epoch)
            if not run.head.lost_execution:
                return run.head
            stalls = run.head.stalls + (head.released is not None)
            return run.update(stalls=stalls, released=head.epoch - 1)

    def progress(self, run_id: str, *, epoch: int, entry_count: int) -> RunHead:
        with self._lock:
            return self._leased(run_id, epoch).update(stalls=0, registers=entry_count)

    def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
        with self._lock:
            return self._runs[run_id].entries.setdefault(entry.key, entry)

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
        _check_once(settled)
        with self._lock:
            run = self._leased(run_id, epoch)
            if not run.can_begin(intents):
                raise Fenced(run_id)
            return run.change_intents(settled, intents)

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
        items = commit_items(entries, notices, uses, starts)
        if items > MAX_ITEMS_AT_ONCE or len(settled) > MAX_SETTLED_AT_ONCE:
            raise ValueError(f"too many items for one write: {items}")
        _check_once(settled)
        with self._lock:
            run = self._leased(run_id, epoch)
            if run.head.cancelled and not release:
                raise Fenced(run_id)
            if release and run.head.wake != release.wake:
                return False
            if trail and run.head.trail.number != trail.before:
                return False
            if run.first_stored(entries) or any(each.head.run_id in self._runs for each in starts):
                return False
            if not self._grants.use(uses, now):
                return False
            run.write(entries, notices)
            for each in starts:
                self.create(each.head, each.entry)
            run.change_intents(settled, {})
            if trail:
                run.update(trail=trail.after)
            if release:
                run.release(release, now)
            return True

    def append_external(
        self,
        run_id: str,
        entries: Sequence[JournalEntry],
        *,
        trail: TrailMove | None = None,
        grant: Grant | None = None,
        reopen: bool = False,
        now: datetime,
    ) -> JournalEntry | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                raise Conflict("the run is gone")
            stored = run.first_stored(entries)
            if stored:
                return stored
            reopened = reopen and run.head.status is Status.COMPLETED
            if run.head.status.ended and not reopened:
                raise Conflict(run.head.closed_reason)
            if trail and run.head.trail.number != trail.before:
                raise Stale(run_id)
            run.write(entries)
            if trail:
                run.update(trail=trail.after)
            if grant:
                self._grants.grant(grant)
            run.wake(now)
            return None

    def wake(self, run_id: str, *, now: datetime, cancel: bool = False) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.head.status.ended:
                return run.head if run else None
            return run.cancel(now) if cancel else run.wake(now)

    def pause(self, run_id: str, *, paused: bool, now: datetime) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.head.status.ended or run.head.paused is paused:
                return run.head if run else None
            if paused and run.head.cancelled:
                return run.head
            return run.pause(now) if paused else run.resume(now)

    def redrive(self, run_id: str, *, now: datetime) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or not run.can_be_redriven:
                return None
            return run.update(
                status=Status.READY, due=now, stalls=0, note=None, model_pause=None, obstacle=None
            )

    def hand_over(self, run_id: str, *, epoch: int, number: int) -> RunHead | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or run.head.epoch != epoch or run.head.status is Status.RUNNING:
                return None
            return run.hand_over(number)

    def restore(self, snapshot: Snapshot, notices: Sequence[Notice]) -> RunHead:
        with self._lock:
            head = snapshot.head
            run = self._runs.get(head.run_id)
            if run and not run.head.yields_to(head):
                return run.head
            if run:
                check_same_entries(run.snapshot(), snapshot)
            restored = run or RunRecord(head, {})
            restored.write(snapshot.entries, notices)
            restored.head = head
            self._runs[head.run_id] = restored
            return head

    def due(self, now: datetime, limit: int) -> list[Due]:
        with self._lock:
            return queries.due(self._runs.values(), now, limit)

    def list_runs(
        self,
        tenant: str,
        *,
        status: Status | None = None,
        agent: str | None = None,
        starter: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        with self._lock:
            heads = [run.head for run in self._runs.values() if run.head.tenant == tenant]
        return queries.page(
            heads, status=status, agent=agent, starter=starter, cursor=cursor, limit=limit
        )

    def _leased(self, run_id: str, epoch: int) -> RunRecord:
        """A run whose lease of this epoch is still held.

        Raises:
            Fenced: it is not.
        """
        run = self._runs.get(run_id)
        if run is None or run.head.epoch != epoch or run.head.status is not Status.RUNNING:
            raise Fenced(run_id)
        return run

    # -- grants ----------------------------------------------------------------------------------

    def grant(self, grant: Grant) -> None:
        with self._lock:
            self._grants.grant(grant)

    def grants(self, tenant: str, tool: str | None = None) -> list[Grant]:
        with self._lock:
            return self._grants.grants(tenant, tool)

    def revoke(self, grant: Grant, *, by: str, now: datetime) -> Grant:
        with self._lock:
            return self._grants.revoke(grant, by=by, now=now)

    # -- the outbox ------------------------------------------------------------------------------

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

    # -- request profiles --------------------------------------------------------------------------

    def save_profile(self, profile: RequestProfile) -> None:
        self._profiles.setdefault(profile.digest, profile)

    def profile(self, digest: str) -> RequestProfile | None:
        return self._profiles.get(digest)


def _check_once(settled: Sequence[str]) -> None:
    """Check that no path is given twice: DynamoDB refuses to remove an attribute twice."""
    if len(set(settled)) < len(settled):
        raise ValueError(f"one path twice in a write: {settled}")
