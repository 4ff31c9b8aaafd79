"""`Store` on DynamoDB, composed of one class for each kind of item."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from agent_continuations.adapters.stores.dynamodb.blobs import Blobs
from agent_continuations.adapters.stores.dynamodb.grants import Grants
from agent_continuations.adapters.stores.dynamodb.heads import Heads
from agent_continuations.adapters.stores.dynamodb.indexes import Indexes
from agent_continuations.adapters.stores.dynamodb.items import FORM
from agent_continuations.adapters.stores.dynamodb.journal import Journal
from agent_continuations.adapters.stores.dynamodb.outbox import Outbox
from agent_continuations.adapters.stores.dynamodb.profiles import Profiles
from agent_continuations.adapters.stores.dynamodb.runs import Runs
from agent_continuations.adapters.stores.dynamodb.table import Table
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.continuation import Intent
from agent_continuations.core.notice import Notice
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Snapshot, Status
from agent_continuations.ports.commit import ReleaseTerms, TrailMove
from agent_continuations.ports.store import Due, Page

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client


class DynamoDBStore:
    """Stores runs in a DynamoDB table, and values above 32 KB in an S3 bucket.

    The table needs the string keys `pk` and `sk`, and two indexes that project keys only: `due`
    (`due_shard`, a string, and `due`, a number) and `runs` (`list_shard` and `list_key`, strings).
    The attribute `ttl` should be its time to live. Notices can have a table of their own, so that
    who delivers them needs no right to write runs; it needs the keys, `due` and `ttl`. See `Store`
    for the methods.

    Args:
        dynamodb: a boto3 client; the store retries only contended transactions, so other retries
            and time limits are the client's.
        s3: a boto3 client.
        table: the table's name.
        bucket: the bucket's name.
        outbox_table: the name of the notices' table; None for the same one.
        form: the newest form of items that is read and written. Older code knows an older one.
    """

    def __init__(
        self,
        *,
        dynamodb: "DynamoDBClient",
        s3: "S3Client",
        table: str,
        bucket: str,
        outbox_table: str | None = None,
        form: int = FORM,
    ) -> None:
        items, blobs = Table(dynamodb, table, form), Blobs(s3, bucket)
        apart = outbox_table if outbox_table != table else None
        outbox = Table(dynamodb, apart, form) if apart else items
        self._heads = Heads(items)
        self._journal = Journal(items, blobs)
        self._outbox = Outbox(outbox)
        self._grants = Grants(items)
        self._profiles = Profiles(items, blobs)
        self._indexes = Indexes(items, outbox)
        self._runs = Runs(items, self._heads, self._journal, self._grants, self._outbox)

    # -- runs ------------------------------------------------------------------------------------

    def create(self, head: RunHead, start: JournalEntry) -> RunHead:
        return self._runs.create(head, start)

    def head(self, run_id: str) -> RunHead | None:
        return self._heads.head(run_id)

    def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
        return self._runs.load(run_id, partial=partial)

    def claim(
        self, run_id: str, *, holder: str, now: datetime, lease_until: datetime
    ) -> RunHead | None:
        return self._heads.claim(run_id, holder=holder, now=now, lease_until=lease_until)

    def renew(self, run_id: str, *, epoch: int, lease_until: datetime) -> RunHead:
        return self._heads.renew(run_id, epoch=epoch, lease_until=lease_until)

    def count_stall(self, head: RunHead) -> RunHead:
        return self._heads.count_stall(head)

    def hand_back(
        self, run_id: str, *, epoch: int, due: datetime, note: str, counted: bool
    ) -> None:
        self._heads.hand_back(run_id, epoch=epoch, due=due, note=note, counted=counted)

    def progress(self, run_id: str, *, epoch: int, entry_count: int) -> RunHead:
        return self._heads.progress(run_id, epoch=epoch, entry_count=entry_count)

    def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
        return self._journal.append(run_id, entry)

    def record_intents(
        self,
        run_id: str,
        *,
        epoch: int,
        intents: Mapping[str, Intent],
        settled: Sequence[str],
    ) -> RunHead:
        return self._heads.record_intents(run_id, epoch=epoch, intents=intents, settled=settled)

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
        return self._runs.commit(
            run_id,
            epoch=epoch,
            entries=entries,
            notices=notices,
            settled=settled,
            release=release,
            trail=trail,
            uses=uses,
            starts=starts,
            now=now,
        )

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
        return self._runs.append_external(
            run_id, entries, trail=trail, grant=grant, reopen=reopen, now=now
        )

    def wake(self, run_id: str, *, now: datetime, cancel: bool = False) -> RunHead | None:
        return self._heads.wake(run_id, now=now, cancel=cancel)

    def pause(self, run_id: str, *, paused: bool, now: datetime) -> RunHead | None:
        return self._heads.pause(run_id, paused=paused, now=now)

    def redrive(self, run_id: str, *, now: datetime) -> RunHead | None:
        return self._heads.redrive(run_id, now=now)

    def hand_over(self, run_id: str, *, epoch: int, number: int) -> RunHead | None:
        return self._heads.hand_over(run_id, epoch=epoch, number=number)

    def restore(self, snapshot: Snapshot, notices: Sequence[Notice]) -> RunHead:
        return self._runs.restore(snapshot, notices)

    def due(self, now: datetime, limit: int) -> list[Due]:
        return self._indexes.due(now, limit)

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
        return self._indexes.list_runs(
            tenant, status=status, agent=agent, starter=starter, cursor=cursor, limit=limit
        )

    # -- grants ----------------------------------------------------------------------------------

    def grant(self, grant: Grant) -> None:
        self._grants.grant(grant)

    def grants(self, tenant: str, tool: str | None = None) -> list[Grant]:
        return self._grants.grants(tenant, tool)

    def revoke(self, grant: Grant, *, by: str, now: datetime) -> Grant:
        return self._grants.revoke(grant, by=by, now=now)

    # -- the outbox ------------------------------------------------------------------------------

    def notice(self, run_id: str, notice_id: str) -> Notice | None:
        return self._outbox.notice(run_id, notice_id)

    def notices(self, run_id: str) -> list[Notice]:
        return self._outbox.notices(run_id)

    def update_notice(self, notice: Notice) -> None:
        self._outbox.update_notice(notice)

    # -- request profiles --------------------------------------------------------------------------

    def save_profile(self, profile: RequestProfile) -> None:
        self._profiles.save_profile(profile)

    def profile(self, digest: str) -> RequestProfile | None:
        return self._profiles.profile(digest)
