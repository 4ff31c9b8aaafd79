"""How values are stored in an item, and the attributes that all kinds of items have.

Each item has its form's number in `f`. This code reads every form that was ever written; the tests
keep items of each. An item with a newer form is refused, which parks its run until the newer code
is deployed again.
"""

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from agent_continuations.errors import CorruptValue

# The attributes of an item, as plain Python values.
Item: TypeAlias = dict[str, Any]

FORM = 4
SHARDS = 8


def run_partition(run_id: str) -> str:
    """The partition key of a run's items."""
    return f"R#{run_id}"


def check_form(item: Item) -> None:
    """Refuse an item that was written by newer code.

    Raises:
        CorruptValue: the item's form is newer than this code.
    """
    form = int(item.get("f", FORM))
    if form > FORM:
        raise CorruptValue(f"{item['sk']} has form {form}, and this code knows {FORM} at most")


def millis(at: datetime) -> int:
    """A time as it is stored: milliseconds since 1970."""
    return int(at.timestamp() * 1000)


def read_time(millis: Any) -> datetime:
    """A stored time."""
    return datetime.fromtimestamp(int(millis) / 1000, UTC)


def typed(item: Mapping[str, Any]) -> Any:
    """Plain values in DynamoDB's notation; attributes that are None are left out."""
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in item.items() if value is not None}


def plain(item: Mapping[str, Any]) -> Item:
    """An item in DynamoDB's notation as plain values."""
    deserialize = TypeDeserializer().deserialize
    return {name: deserialize(value) for name, value in item.items()}


def due_shard(run_id: str) -> str:
    """The partition of the due index for runs that were claimed before, and for notices."""
    return f"D#{shard(run_id)}"


def new_shard(run_id: str) -> str:
    """The partition of the due index for runs that were never claimed; the first claim moves them.

    So the sweeper can distinguish new runs from suspended ones, which have a queue of their own.
    """
    return f"N#{shard(run_id)}"


def shard(run_id: str) -> int:
    """The shard of a run in the indexes."""
    return zlib.crc32(run_id.encode()) % SHARDS
