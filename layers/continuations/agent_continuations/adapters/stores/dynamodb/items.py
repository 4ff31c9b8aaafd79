"""How values are stored in an item, and the attributes that all kinds of items have.

Each item has its form's number in `f`. This code reads every form that was ever written; the tests
keep items of each. A head has the newest form of all items of its run, so that older code does not
claim a run that it could not read; newer code is deployed beside it, or will be again.
"""

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from agent_continuations.errors import NewerForm

# The attributes of an item, as plain Python values.
Item: TypeAlias = dict[str, Any]

FORM = 7
SHARDS = 8


def run_partition(run_id: str) -> str:
    """The partition key of a run's items."""
    return f"R#{run_id}"


def check_form(item: Item, newest: int) -> None:
    """Refuse an item that was written by newer code.

    Args:
        item: the item.
        newest: the newest form that this code reads.

    Raises:
        NewerForm: the item's form is newer.
    """
    form = int(item.get("f", newest))
    if form > newest:
        raise NewerForm(f"{item['sk']} has form {form}, and this code knows {newest} at most")


def item_bytes(item: Mapping[str, Any]) -> int:
    """About the size of an item in DynamoDB's notation, as DynamoDB counts it; never less."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "M":
            return 3 + sum(
                1 + len(key.encode()) + _value_bytes(each) for key, each in content.items()
            )
        case "L":
            return 3 + sum(1 + _value_bytes(each) for each in content)
        case _:
            return 21  # the longest number


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
