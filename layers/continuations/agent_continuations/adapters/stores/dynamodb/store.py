"""The store's protocol, a conditional write at a time. See `Store` for what each must do."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic import TypeAdapter

from agent_continuations.adapters.stores.dynamodb.blobs import Blobs
from agent_continuations.adapters.stores.dynamodb.client import (
    CONTENDED_TRIES,
    Cancelled,
    ConditionFailed,
    call,
)
from agent_continuations.adapters.stores.dynamodb.expressions import (
    Update,
    expressions,
    has_lost_lease,
    owner_update,
    pause_update,
    removals,
    wake_update,
    with_trail,
)
from agent_continuations.adapters.stores.dynamodb.grants import (
    grant_item,
    grant_key,
    partition,
    read_grant,
    use_updates,
)
from agent_continuations.adapters.stores.dynamodb.indexes import Indexes
from agent_continuations.adapters.stores.dynamodb.items import (
    FORM,
    HEAD_KEY,
    Item,
    as_stored,
    check_form,
    due_shard,
    head_item,
    intent_item,
    key,
    millis,
    notice_item,
    plain,
    read_head,
    read_notice,
    typed,
)
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.continuation import Intent
from agent_continuations.core.events import Event
from agent_continuations.core.notice import Notice
from agent_continuations.core.run import JournalEntry, NewRun, RunHead, Snapshot, Status
from agent_continuations.errors import Conflict, CorruptValue, Fenced, Retryable, Stale
from agent_continuations.ports.store import Due, Page, ReleaseTerms, TrailMove

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client

_EVENTS: TypeAdapter[tuple[Event, ...]] = TypeAdapter(tuple[Event, ...])


class DynamoDBStore:
    """Keeps runs in a table, and values above 32 KB in a bucket.

    Args:
        table: the table's name.
        bucket: where large values go.
    """

    def __init__(
        self, *, dynamodb: "DynamoDBClient", s3: "S3Client", table: str, bucket: str
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._values = Blobs(s3, bucket)
        self._indexes = Indexes(dynamodb, table)

    # -- runs ------------------------------------------------------------------------------------

    def create(self, head: RunHead, start: JournalEntry) -> RunHead:
        write_id = uuid4().hex
        puts = self._put_run(NewRun(head, start), write_id)
        reasons = self._transact(puts, token=write_id)
        if reasons is None:
            return head
        stored = reasons[0].get("Item")
        if stored is None:
            raise Retryable("the run could not be stored")
        return read_head(plain(stored))

    def head(self, run_id: str) -> RunHead | None:
        answer = call(
            self._dynamodb.get_item,
            TableName=self._table,
            Key=key(run_id, HEAD_KEY),
            ConsistentRead=True,
        )
        return read_head(plain(answer["Item"])) if "Item" in answer else None

    def load(self, run_id: str) -> Snapshot | None:
        head: RunHead | None = None
        registers: list[JournalEntry] = []
        # '#H' sorts before 'J#', so the head is read first and never newer than the registers.
        for item in self._query(f"R#{run_id}", "#", "J~"):
            if item["sk"] == HEAD_KEY:
                head = read_head(item)
            else:
                registers.append(self._register(item))
        return Snapshot(head, tuple(registers)) if head else None

    def claim(
        self, run_id: str, *, holder: str, now: datetime, lease_until: datetime
    ) -> RunHead | None:
        return self._update_head(
            run_id,
            "SET #status = :running, epoch = epoch + :one, #owner = :owner, stalls = stalls + :one,"
            " lease_until = :lease, due = :lease, due_shard = :shard, updated_at = :now",
            "attribute_exists(pk) AND #status IN (:ready, :running, :suspended)"
            " AND (attribute_not_exists(lease_until) OR lease_until <= :now OR #owner = :owner)",
            {
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

    def renew(self, run_id: str, *, epoch: int, lease_until: datetime) -> RunHead:
        return self._update_owned(
            run_id,
            epoch,
            "SET lease_until = :lease, due = :lease",
            {":lease": millis(lease_until)},
        )

    def progress(self, run_id: str, *, epoch: int, entry_count: int) -> RunHead:
        return self._update_owned(
            run_id,
            epoch,
            "SET stalls = :one, registers = :registers",
            {":one": 1, ":registers": entry_count},
        )

    def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
        write_id = uuid4().hex
        put = self._put_register(run_id, entry, write_id)["Put"]
        try:
            call(self._dynamodb.put_item, **put)
        except ConditionFailed as failed:
            stored = failed.item
            # Our own write, whose answer was lost and which the client then sent again.
            if stored["w"] == write_id:
                return entry
            return self._register(stored)
        return entry

    def record_intents(
        self,
        run_id: str,
        *,
        epoch: int,
        intents: Mapping[str, Intent],
        settled: Sequence[str],
    ) -> RunHead:
        names: dict[str, str] = {}
        values: Item = {":epoch": epoch, ":running": Status.RUNNING}
        sets, conditions = [], ["epoch = :epoch", "#status = :running"]
        conditions += ["attribute_not_exists(cancelled)", "attribute_not_exists(paused)"]
        for number, (path, intent) in enumerate(intents.items()):
            names[f"#i{number}"] = path
            values[f":i{number}"] = intent_item(intent)
            sets.append(f"intents.#i{number} = :i{number}")
            conditions.append(
                f"(attribute_not_exists(intents.#i{number})"
                f" OR intents.#i{number}.attempt < :a{number})"
            )
            values[f":a{number}"] = intent.attempt
        # A path both settled and begun again is simply overwritten.
        removed = removals([path for path in settled if path not in intents], names)
        head = self._update_head(
            run_id,
            f"SET {', '.join(sets)}" + (f" REMOVE {removed}" if removed else ""),
            " AND ".join(conditions),
            values,
            names,
        )
        if head is None:
            head = self._owned(run_id, epoch)
            # Only this owner writes in this epoch, and it begins no attempt twice. If these very
            # intents stand there, it was their answer that got lost.
            mine = {**head.intents, **as_stored(intents)} == head.intents
            if head.cancelled or head.paused or not mine:
                raise Fenced(run_id)
        return head

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
        write_id = uuid4().hex
        update = owner_update(epoch, settled, release, trail, now)
        if not entries and not notices:
            return self._commit_head(run_id, epoch, release, update)
        items = [self._update(run_id, update)]
        items += [self._put_register(run_id, register, write_id) for register in entries]
        items += [self._put(notice_item(notice), "attribute_not_exists(pk)") for notice in notices]
        items += use_updates(self._table, uses, now)
        items += [item for each in starts for item in self._put_run(each, write_id)]
        reasons = self._transact(items, token=write_id)
        if reasons is None:
            return True
        if "Item" in reasons[0] and has_lost_lease(
            read_head(plain(reasons[0]["Item"])), epoch, release
        ):
            raise Fenced(run_id)
        return False

    def append_external(
        self,
        run_id: str,
        entries: Sequence[JournalEntry],
        *,
        trail: TrailMove | None = None,
        reopen: bool = False,
        now: datetime,
    ) -> JournalEntry | None:
        write_id = uuid4().hex
        puts = [self._put_register(run_id, register, write_id) for register in entries]
        # A decision nearly always meets a suspended run; if not, the answer says what it met.
        status = Status.SUSPENDED
        for _ in range(CONTENDED_TRIES):
            items = [self._update(run_id, with_trail(wake_update(status, now), trail)), *puts]
            reasons = self._transact(items, token=uuid4().hex)
            if reasons is None:
                return None
            for reason in reasons[1:]:
                if "Item" in reason:
                    stored = plain(reason["Item"])
                    return None if stored["w"] == write_id else self._register(stored)
            if "Item" not in reasons[0]:
                raise Conflict("the run is gone")
            head = read_head(plain(reasons[0]["Item"]))
            status = head.status
            if status.terminal and not (reopen and status is Status.COMPLETED):
                raise Conflict(f"the run is {status.value}")
            if trail and head.trail.number != trail.before:
                raise Stale(run_id)
        raise Retryable("the run changes too fast to be decided on")

    def wake(self, run_id: str, *, now: datetime, cancel: bool = False) -> RunHead | None:
        for _ in range(CONTENDED_TRIES):
            head = self.head(run_id)
            parked = head is not None and cancel and head.status is Status.PARKED
            if head is None or (head.status.terminal and not parked):
                return head
            update, condition, values, names = wake_update(head.status, now)
            if cancel:
                update += ", cancelled = :true"
                values[":true"] = True
            if parked:
                update += ", #status = :cancelled, updated_at = :now"
                values |= {":cancelled": Status.CANCELLED, ":now": millis(now)}
            woken = self._update_head(run_id, update, condition, values, names)
            if woken:
                return woken
        raise Retryable("the run changes too fast to be woken")

    def pause(self, run_id: str, *, paused: bool, now: datetime) -> RunHead | None:
        for _ in range(CONTENDED_TRIES):
            head = self.head(run_id)
            if head is None or head.status.terminal or head.paused is paused:
                return head
            held = self._update_head(run_id, *pause_update(head.status, now, paused=paused))
            if held:
                return held
        raise Retryable("the run changes too fast to be held")

    def redrive(self, run_id: str, *, now: datetime) -> RunHead | None:
        return self._update_head(
            run_id,
            "SET #status = :ready, due = :now, stalls = :zero REMOVE note, model_pause",
            "#status = :parked",
            {
                ":ready": Status.READY,
                ":parked": Status.PARKED,
                ":now": millis(now),
                ":zero": 0,
            },
        )

    # -- indexes ---------------------------------------------------------------------------------

    def due(self, now: datetime, limit: int) -> list[Due]:
        return self._indexes.due(now, limit)

    def list_runs(
        self,
        tenant: str,
        *,
        status: Status | None = None,
        agent: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        return self._indexes.page(tenant, status, agent, cursor, limit)

    # -- grants ----------------------------------------------------------------------------------

    def grant(self, grant: Grant) -> None:
        call(self._dynamodb.put_item, TableName=self._table, Item=grant_item(grant))

    def grants(self, tenant: str, tool: str | None = None) -> list[Grant]:
        low, high = (f"{tool}#", f"{tool}#~") if tool else (" ", "~")
        return [read_grant(item) for item in self._query(partition(tenant), low, high)]

    def revoke(self, grant: Grant, *, by: str, now: datetime) -> Grant:
        try:
            answer = call(
                self._dynamodb.update_item,
                TableName=self._table,
                Key=grant_key(grant),
                UpdateExpression="SET revoked_at = :now, revoked_by = :by",
                ConditionExpression="attribute_exists(pk) AND attribute_not_exists(revoked_at)",
                ExpressionAttributeValues=typed({":now": now.isoformat(), ":by": by}),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as failed:
            return read_grant(failed.item)
        return read_grant(plain(answer["Attributes"]))

    # -- the outbox ------------------------------------------------------------------------------

    def notice(self, run_id: str, notice_id: str) -> Notice | None:
        answer = call(
            self._dynamodb.get_item,
            TableName=self._table,
            Key=key(run_id, f"N#{notice_id}"),
            ConsistentRead=True,
        )
        item = plain(answer.get("Item", {}))
        return read_notice(item) if "due" in item else None

    def notices(self, run_id: str) -> list[Notice]:
        return [read_notice(item) for item in self._query(f"R#{run_id}", "N#", "N~")]

    def update_notice(self, notice: Notice) -> None:
        call(
            self._dynamodb.put_item,
            TableName=self._table,
            Item=typed(notice_item(notice)),
        )

    # -- requests --------------------------------------------------------------------------------

    def _query(self, partition: str, low: str, high: str) -> Iterator[Item]:
        page: Item = {}
        while True:
            answer = call(
                self._dynamodb.query,
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
                ExpressionAttributeValues=typed({":pk": partition, ":low": low, ":high": high}),
                ConsistentRead=True,
                **page,
            )
            yield from map(plain, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _update_owned(self, run_id: str, epoch: int, update: str, values: Item) -> RunHead:
        head = self._update_head(
            run_id,
            update,
            "epoch = :epoch AND #status = :running",
            {":epoch": epoch, ":running": Status.RUNNING, **values},
        )
        if head is None:
            raise Fenced(run_id)
        return head

    def _update_head(
        self,
        run_id: str,
        update: str,
        condition: str,
        values: Item,
        names: Mapping[str, str] | None = None,
    ) -> RunHead | None:
        """The head after an update, or None where its condition did not hold."""
        try:
            answer = call(
                self._dynamodb.update_item,
                TableName=self._table,
                Key=key(run_id, HEAD_KEY),
                ReturnValues="ALL_NEW",
                **expressions(update, condition, values, names or {}),
            )
        except ConditionFailed:
            return None
        return read_head(plain(answer["Attributes"]))

    def _commit_head(
        self, run_id: str, epoch: int, release: ReleaseTerms | None, update: Update
    ) -> bool:
        """A commit of the head alone, which needs no transaction."""
        if self._update_head(run_id, *update):
            return True
        head = self.head(run_id)
        if head and release and head.epoch == epoch and head.owner is None:
            return True  # our own release, whose answer was lost
        if head is None or has_lost_lease(head, epoch, release):
            raise Fenced(run_id)
        return False

    def _owned(self, run_id: str, epoch: int) -> RunHead:
        head = self.head(run_id)
        if head is None or head.epoch != epoch or head.status is not Status.RUNNING:
            raise Fenced(run_id)
        return head

    def _update(self, run_id: str, update: Update) -> Item:
        return {
            "Update": {
                "TableName": self._table,
                "Key": key(run_id, HEAD_KEY),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **expressions(*update),
            }
        }

    def _put(self, item: Item, condition: str) -> Item:
        return {
            "Put": {
                "TableName": self._table,
                "Item": typed(item),
                "ConditionExpression": condition,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _put_run(self, start: NewRun, write_id: str) -> list[Item]:
        item = head_item(start.head) | {"w": write_id}
        return [
            self._put(item, "attribute_not_exists(pk)"),
            self._put_register(start.head.run_id, start.entry, write_id),
        ]

    def _put_register(self, run_id: str, register: JournalEntry, write_id: str) -> Item:
        value = zlib.compress(_EVENTS.dump_json(register.events), 6)
        item = {"pk": f"R#{run_id}", "sk": f"J#{register.key}", "f": FORM, "w": write_id}
        return self._put(item | self._values.store(run_id, value), "attribute_not_exists(pk)")

    def _register(self, item: Item) -> JournalEntry:
        check_form(item)
        try:
            events = _EVENTS.validate_json(zlib.decompress(self._values.load(item)))
        except (ValueError, zlib.error) as error:
            raise CorruptValue(f"the register {item['sk']} is not readable") from error
        return JournalEntry(item["sk"][2:], events)

    def _transact(self, items: Sequence[Item], *, token: str) -> list[Mapping[str, Any]] | None:
        """Write all or nothing. None when written, else the reason for each item."""
        try:
            call(
                self._dynamodb.transact_write_items,
                TransactItems=list(items),
                ClientRequestToken=token,
            )
        except Cancelled as cancelled:
            return cancelled.reasons
        return None
