"""The store on DynamoDB: one table, where everything that matters is a conditional write.

Items of one run share the partition key `R#<run>`:

    #H              the head; small, the only item that changes
    J#<register>    a register: written once, zlib-compressed JSON; large ones point to S3
    N#<notice>      the outbox

Two sparse indexes, keys only: `due` (shard, time) is the timer service, `runs` (tenant and shard,
creation time) is the list.
"""

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from random import uniform
from time import sleep
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter

from agent_continuations.core.continuation import Intent
from agent_continuations.core.event import Event
from agent_continuations.errors import Conflict, CorruptValue, Fenced, Invalid, Retryable
from agent_continuations.ports import Due, Head, Notice, Page, Register, Release, Snapshot, Status

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client

Item: TypeAlias = dict[str, Any]
# Update expression, condition, values, names.
_Update: TypeAlias = tuple[str, str, Item, dict[str, str]]

SHARDS = 8
OFFLOAD_BYTES = 32 * 1024
_EVENTS: TypeAdapter[tuple[Event, ...]] = TypeAdapter(tuple[Event, ...])
_HEAD_KEY = "#H"
_LIST_ROUNDS = 20


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
        self._values = _Values(s3, bucket)

    # -- runs ------------------------------------------------------------------------------------

    def create(self, head: Head, start: Register) -> Head:
        write_id = uuid4().hex
        item = _head_item(head) | {"w": write_id}
        puts = [
            self._put(item, "attribute_not_exists(pk)"),
            self._put_register(head.run_id, start, write_id),
        ]
        reasons = self._transact(puts, token=write_id)
        if reasons is None:
            return head
        stored = reasons[0].get("Item")
        if stored is None:
            raise Retryable("the run could not be stored")
        return _head(_plain(stored))

    def head(self, run_id: str) -> Head | None:
        answer = _ask(
            self._dynamodb.get_item,
            TableName=self._table,
            Key=_key(run_id, _HEAD_KEY),
            ConsistentRead=True,
        )
        return _head(_plain(answer["Item"])) if "Item" in answer else None

    def load(self, run_id: str) -> Snapshot | None:
        head: Head | None = None
        registers: list[Register] = []
        # '#H' sorts before 'J#', so the head is read first and never newer than the registers.
        for item in self._query(run_id, "#", "J~"):
            if item["sk"] == _HEAD_KEY:
                head = _head(item)
            else:
                registers.append(self._register(item))
        return Snapshot(head, tuple(registers)) if head else None

    def claim(
        self, run_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Head | None:
        return self._update_head(
            run_id,
            "SET #status = :running, epoch = epoch + :one, #owner = :owner, stalls = stalls + :one,"
            " lease_until = :lease, due = :lease, updated_at = :now",
            "attribute_exists(pk) AND #status IN (:ready, :running, :suspended)"
            " AND (attribute_not_exists(lease_until) OR lease_until <= :now OR #owner = :owner)",
            {
                ":ready": Status.READY,
                ":running": Status.RUNNING,
                ":suspended": Status.SUSPENDED,
                ":owner": owner,
                ":one": 1,
                ":now": _millis(now),
                ":lease": _millis(lease_until),
            },
        )

    def renew(self, run_id: str, *, epoch: int, lease_until: datetime) -> Head:
        return self._update_owned(
            run_id,
            epoch,
            "SET lease_until = :lease, due = :lease",
            {":lease": _millis(lease_until)},
        )

    def progress(self, run_id: str, *, epoch: int, registers: int) -> Head:
        return self._update_owned(
            run_id,
            epoch,
            "SET stalls = :one, registers = :registers",
            {":one": 1, ":registers": registers},
        )

    def append(self, run_id: str, register: Register) -> Register:
        write_id = uuid4().hex
        put = self._put_register(run_id, register, write_id)["Put"]
        try:
            _ask(self._dynamodb.put_item, **put)
        except _ConditionFailed as failed:
            stored = failed.item
            # Our own write, whose answer was lost and which the client then sent again.
            if stored["w"] == write_id:
                return register
            return self._register(stored)
        return register

    def intend(
        self,
        run_id: str,
        *,
        epoch: int,
        intents: Mapping[str, Intent],
        settled: Sequence[str],
    ) -> Head:
        names: dict[str, str] = {}
        values: Item = {":epoch": epoch, ":running": Status.RUNNING}
        sets, conditions = [], ["epoch = :epoch", "#status = :running"]
        conditions.append("attribute_not_exists(cancelled)")
        for number, (path, intent) in enumerate(intents.items()):
            names[f"#i{number}"] = path
            values[f":i{number}"] = _intent_item(intent)
            sets.append(f"intents.#i{number} = :i{number}")
            conditions.append(
                f"(attribute_not_exists(intents.#i{number})"
                f" OR intents.#i{number}.attempt < :a{number})"
            )
            values[f":a{number}"] = intent.attempt
        # A path both settled and begun again is simply overwritten.
        removed = _removals([path for path in settled if path not in intents], names)
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
            if head.cancelled or {**head.intents, **_stored(intents)} != head.intents:
                raise Fenced(run_id)
        return head

    def commit(
        self,
        run_id: str,
        *,
        epoch: int,
        registers: Sequence[Register] = (),
        notices: Sequence[Notice] = (),
        settled: Sequence[str] = (),
        release: Release | None = None,
        now: datetime,
    ) -> bool:
        write_id = uuid4().hex
        update = _owner_update(epoch, settled, release, now)
        if not registers and not notices:
            return self._commit_head(run_id, epoch, release, update)
        items = [self._update(run_id, update)]
        items += [self._put_register(run_id, register, write_id) for register in registers]
        items += [self._put(_notice_item(notice), "attribute_not_exists(pk)") for notice in notices]
        reasons = self._transact(items, token=write_id)
        if reasons is None:
            return True
        if "Item" in reasons[0] and _lost(_head(_plain(reasons[0]["Item"])), epoch, release):
            raise Fenced(run_id)
        return False

    def decide(
        self, run_id: str, registers: Sequence[Register], *, now: datetime
    ) -> Register | None:
        write_id = uuid4().hex
        puts = [self._put_register(run_id, register, write_id) for register in registers]
        # A decision nearly always meets a suspended run; if not, the answer says what it met.
        status = Status.SUSPENDED
        for _ in range(_CONTENDED_TRIES):
            items = [self._update(run_id, _wake_update(status, now)), *puts]
            reasons = self._transact(items, token=uuid4().hex)
            if reasons is None:
                return None
            for reason in reasons[1:]:
                if "Item" in reason:
                    stored = _plain(reason["Item"])
                    return None if stored["w"] == write_id else self._register(stored)
            if "Item" not in reasons[0]:
                raise Conflict("the run is gone")
            status = _head(_plain(reasons[0]["Item"])).status
            if status.terminal:
                raise Conflict(f"the run is {status.value}")
        raise Retryable("the run changes too fast to be decided on")

    def wake(self, run_id: str, *, now: datetime, cancel: bool = False) -> Head | None:
        for _ in range(_CONTENDED_TRIES):
            head = self.head(run_id)
            if head is None or head.status.terminal:
                return head
            update, condition, values, names = _wake_update(head.status, now)
            if cancel:
                update += ", cancelled = :true"
                values[":true"] = True
            woken = self._update_head(run_id, update, condition, values, names)
            if woken:
                return woken
        raise Retryable("the run changes too fast to be woken")

    def redrive(self, run_id: str, *, now: datetime) -> Head | None:
        return self._update_head(
            run_id,
            "SET #status = :ready, due = :now, stalls = :zero REMOVE note",
            "#status = :parked",
            {
                ":ready": Status.READY,
                ":parked": Status.PARKED,
                ":now": _millis(now),
                ":zero": 0,
            },
        )

    # -- indexes ---------------------------------------------------------------------------------

    def due(self, now: datetime, limit: int) -> list[Due]:
        found: list[tuple[int, Due]] = []
        for shard in range(SHARDS):
            answer = _ask(
                self._dynamodb.query,
                TableName=self._table,
                IndexName="due",
                KeyConditionExpression="due_shard = :shard AND due <= :now",
                ExpressionAttributeValues=_typed({":shard": f"D#{shard}", ":now": _millis(now)}),
                Limit=limit,
            )
            for item in map(_plain, answer["Items"]):
                notice_id = item["sk"][2:] if item["sk"].startswith("N#") else None
                found.append((int(item["due"]), Due(item["pk"][2:], notice_id)))
        return [each for _, each in sorted(found, key=lambda pair: pair[0])[:limit]]

    def page(
        self,
        tenant: str,
        *,
        status: Status | None = None,
        agent: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        before = _read_cursor(cursor) if cursor else None
        wanted: list[Head] = []
        for _ in range(_LIST_ROUNDS):
            keys = self._newest(tenant, before, limit + 1)
            if not keys:
                return Page(tuple(wanted), None)
            before = keys[-1]
            heads = self._heads([key.split("#")[1] for key in keys])
            wanted += [
                head
                for head in heads
                if (status is None or head.status is status)
                and (agent is None or head.agent == agent)
            ]
            if len(wanted) > limit:
                return Page(tuple(wanted[:limit]), _write_cursor(_list_key(wanted[limit - 1])))
            if len(keys) <= limit:
                return Page(tuple(wanted), None)
        return Page(
            tuple(wanted), _write_cursor(str(before))
        )  # a filter that fits few: go on there

    def _newest(self, tenant: str, before: str | None, limit: int) -> list[str]:
        """The list keys that come next over all shards, newest first."""
        keys: list[str] = []
        for shard in range(SHARDS):
            answer = _ask(
                self._dynamodb.query,
                TableName=self._table,
                IndexName="runs",
                KeyConditionExpression="list_shard = :shard AND list_key < :before",
                ExpressionAttributeValues=_typed(
                    {":shard": f"L#{tenant}#{shard}", ":before": before or "~"}
                ),
                ScanIndexForward=False,
                Limit=limit,
            )
            keys += [str(_plain(item)["list_key"]) for item in answer["Items"]]
        return sorted(keys, reverse=True)[:limit]

    def _heads(self, run_ids: Sequence[str]) -> list[Head]:
        found: dict[str, Head] = {}
        for start in range(0, len(run_ids), 100):
            wanted: Any = {
                self._table: {
                    "Keys": [_key(each, _HEAD_KEY) for each in run_ids[start : start + 100]]
                }
            }
            while wanted:
                answer = _ask(self._dynamodb.batch_get_item, RequestItems=wanted)
                for item in answer["Responses"].get(self._table, []):
                    head = _head(_plain(item))
                    found[head.run_id] = head
                wanted = answer.get("UnprocessedKeys")
        return [found[each] for each in run_ids if each in found]

    # -- the outbox ------------------------------------------------------------------------------

    def notice(self, run_id: str, notice_id: str) -> Notice | None:
        answer = _ask(
            self._dynamodb.get_item,
            TableName=self._table,
            Key=_key(run_id, f"N#{notice_id}"),
            ConsistentRead=True,
        )
        item = _plain(answer.get("Item", {}))
        return _notice(item) if "due" in item else None

    def notices(self, run_id: str) -> list[Notice]:
        return [_notice(item) for item in self._query(run_id, "N#", "N~")]

    def noticed(self, notice: Notice) -> None:
        _ask(
            self._dynamodb.put_item,
            TableName=self._table,
            Item=_typed(_notice_item(notice)),
        )

    # -- requests --------------------------------------------------------------------------------

    def _query(self, run_id: str, low: str, high: str) -> Iterator[Item]:
        page: Item = {}
        while True:
            answer = _ask(
                self._dynamodb.query,
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :low AND :high",
                ExpressionAttributeValues=_typed(
                    {":pk": f"R#{run_id}", ":low": low, ":high": high}
                ),
                ConsistentRead=True,
                **page,
            )
            yield from map(_plain, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _update_owned(self, run_id: str, epoch: int, update: str, values: Item) -> Head:
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
    ) -> Head | None:
        """The head after an update, or None where its condition did not hold."""
        try:
            answer = _ask(
                self._dynamodb.update_item,
                TableName=self._table,
                Key=_key(run_id, _HEAD_KEY),
                ReturnValues="ALL_NEW",
                **_expressions(update, condition, values, names or {}),
            )
        except _ConditionFailed:
            return None
        return _head(_plain(answer["Attributes"]))

    def _commit_head(
        self, run_id: str, epoch: int, release: Release | None, update: _Update
    ) -> bool:
        """A commit of the head alone, which needs no transaction."""
        if self._update_head(run_id, *update):
            return True
        head = self.head(run_id)
        if head and release and head.epoch == epoch and head.owner is None:
            return True  # our own release, whose answer was lost
        if head is None or _lost(head, epoch, release):
            raise Fenced(run_id)
        return False

    def _owned(self, run_id: str, epoch: int) -> Head:
        head = self.head(run_id)
        if head is None or head.epoch != epoch or head.status is not Status.RUNNING:
            raise Fenced(run_id)
        return head

    def _update(self, run_id: str, update: _Update) -> Item:
        return {
            "Update": {
                "TableName": self._table,
                "Key": _key(run_id, _HEAD_KEY),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **_expressions(*update),
            }
        }

    def _put(self, item: Item, condition: str) -> Item:
        return {
            "Put": {
                "TableName": self._table,
                "Item": _typed(item),
                "ConditionExpression": condition,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _put_register(self, run_id: str, register: Register, write_id: str) -> Item:
        value = zlib.compress(_EVENTS.dump_json(register.events), 6)
        item = {"pk": f"R#{run_id}", "sk": f"J#{register.key}", "w": write_id}
        return self._put(item | self._values.kept(run_id, value), "attribute_not_exists(pk)")

    def _register(self, item: Item) -> Register:
        try:
            events = _EVENTS.validate_json(zlib.decompress(self._values.read(item)))
        except (ValueError, zlib.error) as error:
            raise CorruptValue(f"the register {item['sk']} is not readable") from error
        return Register(item["sk"][2:], events)

    def _transact(self, items: Sequence[Item], *, token: str) -> list[Mapping[str, Any]] | None:
        """Write all or nothing. None when written, else the reason for each item."""
        try:
            _ask(
                self._dynamodb.transact_write_items,
                TransactItems=list(items),
                ClientRequestToken=token,
            )
        except _Cancelled as cancelled:
            return cancelled.reasons
        return None


class _Values:
    """Where compressed values stand: in their item, or in S3 under the hash of their content."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def kept(self, run_id: str, value: bytes) -> Item:
        """The attributes that hold a value; a large one is stored first."""
        if len(value) <= OFFLOAD_BYTES:
            return {"v": value}
        digest = sha256(value).hexdigest()
        key = f"runs/{run_id}/{digest}"
        _ask(self._s3.put_object, Bucket=self._bucket, Key=key, Body=value)
        return {"p": key, "h": digest}

    def read(self, item: Item) -> bytes:
        """The value that attributes hold.

        Raises:
            CorruptValue: what stands in S3 is not what was written, or is gone.
        """
        if "v" in item:
            return bytes(item["v"])
        try:
            answer = _ask(self._s3.get_object, Bucket=self._bucket, Key=item["p"])
            value = bytes(_ask(answer["Body"].read))
        except _Missing:
            raise CorruptValue(f"the value of {item['sk']} is gone") from None
        if sha256(value).hexdigest() != item["h"]:
            raise CorruptValue(f"the value of {item['sk']} has changed")
        return value


# -- from AWS's errors to ours -------------------------------------------------------------------


class _ConditionFailed(Exception):
    """A write's condition did not hold; `item` is what stood there, if anything did."""

    def __init__(self, item: Item) -> None:
        self.item = item


class _Cancelled(Exception):
    """A transaction's conditions did not hold; `reasons` stand in the order of its items."""

    def __init__(self, reasons: list[Mapping[str, Any]]) -> None:
        self.reasons = reasons


class _Missing(Exception):
    """There is no such object in the bucket."""


# Two transactions on one item at once: DynamoDB cancels one, and asks for it to be sent again.
_CONTENDED = {
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_CONTENDED_TRIES = 10
_MISTAKES = {"AccessDeniedException", "AccessDenied", "ValidationException"}


def _ask(operation: Callable[..., Any], **parameters: Any) -> Any:
    """Make a request, again where it met another transaction on the same item.

    Raises:
        _ConditionFailed, _Cancelled, _Missing: an answer that the caller must look at.
        Retryable: AWS did not answer in time, whatever was tried.
    """
    for tries in range(_CONTENDED_TRIES):
        try:
            return operation(**parameters)
        except ClientError as error:
            _explain(error)
        except BotoCoreError as error:
            raise Retryable(str(error)) from error
        sleep(uniform(0, 0.01 * 2**tries))
    raise Retryable("other transactions on the same item did not come to an end")


def _explain(error: ClientError) -> None:
    """Raise what an error means; return where the request should be made again."""
    response: Any = error.response
    code = response["Error"]["Code"]
    reasons = response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in reasons}
    if code == "ConditionalCheckFailedException":
        raise _ConditionFailed(_plain(response.get("Item", {}))) from None
    if code == "TransactionCanceledException" and "ConditionalCheckFailed" in codes:
        raise _Cancelled(reasons) from None
    if code in _CONTENDED or codes & _CONTENDED:
        return
    if code in ("NoSuchKey", "404"):
        raise _Missing from None
    if code in _MISTAKES:
        raise error
    raise Retryable(str(error)) from error


# -- items ---------------------------------------------------------------------------------------


def _key(run_id: str, sort: str) -> Any:
    return {"pk": {"S": f"R#{run_id}"}, "sk": {"S": sort}}


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _time(millis: Any) -> datetime:
    return datetime.fromtimestamp(int(millis) / 1000, UTC)


def _optional_time(item: Item, name: str) -> datetime | None:
    return _time(item[name]) if name in item else None


def _typed(item: Mapping[str, Any]) -> Any:
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in item.items() if value is not None}


def _plain(item: Mapping[str, Any]) -> Item:
    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}


def _shard(run_id: str) -> int:
    return zlib.crc32(run_id.encode()) % SHARDS


def _list_key(head: Head) -> str:
    return f"{_millis(head.created_at):013d}#{head.run_id}"


def _stored(intents: Mapping[str, Intent]) -> dict[str, Intent]:
    """Intents as they come back from the table, where times are whole milliseconds."""
    return {path: _intent(_intent_item(intent)) for path, intent in intents.items()}


def _intent(item: Item) -> Intent:
    return Intent(
        attempt=int(item["attempt"]),
        started_at=_time(item["started_at"]),
        deadline=_time(item["deadline"]),
    )


def _intent_item(intent: Intent) -> Item:
    return {
        "attempt": intent.attempt,
        "started_at": _millis(intent.started_at),
        "deadline": _millis(intent.deadline),
    }


def _head_item(head: Head) -> Item:
    return {
        "pk": f"R#{head.run_id}",
        "sk": _HEAD_KEY,
        "due_shard": f"D#{_shard(head.run_id)}",
        "due": _millis(head.due) if head.due else None,
        "list_shard": f"L#{head.tenant}#{_shard(head.run_id)}",
        "list_key": _list_key(head),
        "tenant": head.tenant,
        "agent": head.agent,
        "request_hash": head.request_hash,
        "status": head.status.value,
        "created_at": _millis(head.created_at),
        "updated_at": _millis(head.updated_at),
        "metadata": head.metadata or None,
        "epoch": head.epoch,
        "wake": head.wake,
        "stalls": head.stalls,
        "registers": head.registers,
        "intents": {},
    }


def _head(item: Item) -> Head:
    return Head(
        run_id=item["pk"][2:],
        tenant=item["tenant"],
        agent=item["agent"],
        request_hash=item["request_hash"],
        status=Status(item["status"]),
        created_at=_time(item["created_at"]),
        updated_at=_time(item["updated_at"]),
        due=_optional_time(item, "due"),
        metadata=item.get("metadata", {}),
        epoch=int(item["epoch"]),
        owner=item.get("owner"),
        lease_until=_optional_time(item, "lease_until"),
        wake=int(item["wake"]),
        cancelled=bool(item.get("cancelled")),
        stalls=int(item["stalls"]),
        registers=int(item["registers"]),
        intents={path: _intent(each) for path, each in item["intents"].items()},
        note=item.get("note"),
    )


def _notice_item(notice: Notice) -> Item:
    return {
        "pk": f"R#{notice.run_id}",
        "sk": f"N#{notice.notice_id}",
        "due_shard": f"D#{_shard(notice.run_id)}",
        "due": _millis(notice.due) if notice.due else None,
        "v": zlib.compress(notice.model_dump_json().encode()),
    }


def _notice(item: Item) -> Notice:
    return Notice.model_validate_json(zlib.decompress(bytes(item["v"])))


# -- expressions ---------------------------------------------------------------------------------


def _expressions(
    update: str, condition: str, values: Item, names: Mapping[str, str]
) -> dict[str, Any]:
    reserved = {"#status": "status", "#owner": "owner"}
    used = {alias: name for alias, name in reserved.items() if alias in update + condition}
    expressions = {
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": used | dict(names),
        "ExpressionAttributeValues": _typed(
            {name: value for name, value in values.items() if name in f"{update} {condition}"}
        ),
    }
    return {name: value for name, value in expressions.items() if value}


def _removals(paths: Sequence[str], names: dict[str, str]) -> str:
    aliases = []
    for number, path in enumerate(paths):
        names[f"#r{number}"] = path
        aliases.append(f"intents.#r{number}")
    return ", ".join(aliases)


def _owner_update(
    epoch: int, settled: Sequence[str], release: Release | None, now: datetime
) -> _Update:
    """What an owner's commit does to the head, and what it must find there."""
    names: dict[str, str] = {}
    values: Item = {":epoch": epoch, ":running": Status.RUNNING, ":now": _millis(now)}
    sets, removed = ["updated_at = :now"], _removals(settled, names)
    condition = "epoch = :epoch AND #status = :running"
    removes = [removed] if removed else []
    if release is None:
        condition += " AND attribute_not_exists(cancelled)"
    else:
        values |= {
            ":status": release.status,
            ":wake": release.wake,
            ":registers": release.registers,
            ":zero": 0,
        }
        condition += " AND wake = :wake"
        sets += ["#status = :status", "registers = :registers", "stalls = :zero"]
        removes += ["#owner", "lease_until"]
        for name, value in (("due", _due(release)), ("note", release.note)):
            if value is None:
                removes.append(name)
            else:
                sets.append(f"{name} = :{name}")
                values[f":{name}"] = value
    update = f"SET {', '.join(sets)}" + (f" REMOVE {', '.join(removes)}" if removes else "")
    return update, condition, values, names


def _due(release: Release) -> int | None:
    return _millis(release.due) if release.due else None


def _wake_update(status: Status, now: datetime) -> _Update:
    """Wake a run that has `status`: a suspended one becomes ready and due, a working one will see
    that `wake` has moved.
    """
    values: Item = {":one": 1, ":status": status}
    if status is not Status.SUSPENDED:
        return "SET wake = wake + :one", "#status = :status", values, {}
    values |= {":ready": Status.READY, ":now": _millis(now)}
    return "SET wake = wake + :one, #status = :ready, due = :now", "#status = :status", values, {}


def _lost(head: Head, epoch: int, release: Release | None) -> bool:
    """Whether this owner may not commit: the run is another's, or was cancelled."""
    if head.epoch != epoch or head.status is not Status.RUNNING:
        return True
    return head.cancelled and release is None


def _write_cursor(key: str) -> str:
    return urlsafe_b64encode(json.dumps(key).encode()).decode()


def _read_cursor(cursor: str) -> str:
    try:
        key = json.loads(urlsafe_b64decode(cursor))
    except ValueError:
        key = None
    if not isinstance(key, str):
        raise Invalid("not a cursor of this list", [("cursor", "unknown")])
    return key
