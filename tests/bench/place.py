"""The tables in DynamoDB Local and the bucket in MiniStack that measured runs are stored in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from tests.bench.wire import Meter
from tests.local import dynamodb_local
from tests.local.ministack import MiniStack, client
from tests.local.template import ROOT, create_table
from tests.simulation.dynamodb import item_bytes

# The same client settings as in `bootstrap`.
AS_DEPLOYED: Any = {
    "retries": {"mode": "standard", "total_max_attempts": 5},
    "max_pool_connections": 64,
}


@dataclass(frozen=True)
class Stored:
    """The contents of the tables and their bucket: number and bytes of items and objects."""

    items: int
    bytes: int
    objects: int
    object_bytes: int


@dataclass(frozen=True)
class Place:
    """Separate tables and a bucket; `meter` counts the clients' requests."""

    dynamodb: Any
    s3: Any
    table: str
    outbox: str
    meter: Meter

    def store(self) -> DynamoDBStore:
        return DynamoDBStore(
            dynamodb=self.dynamodb,
            s3=self.s3,
            table=self.table,
            bucket=self.table,
            outbox_table=self.outbox,
        )

    def items(self) -> list[dict[str, Any]]:
        """All items of the tables, as stored."""
        scan = self.dynamodb.get_paginator("scan")
        pages = (
            page for name in (self.table, self.outbox) for page in scan.paginate(TableName=name)
        )
        return [item for page in pages for item in page["Items"]]

    def stored(self) -> Stored:
        """The contents of the tables and the bucket. These requests are not counted."""
        items = self.items()
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.table)
        objects = [each["Size"] for page in pages for each in page.get("Contents", ())]
        self.meter.take()
        return Stored(len(items), sum(map(item_bytes, items)), len(objects), sum(objects))


@dataclass(frozen=True)
class Ground:
    """The two servers."""

    dynamodb_url: str
    s3_url: str

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Create tables and a bucket for the block, and delete the tables after it."""
        meter = Meter()
        dynamodb = client("dynamodb", self.dynamodb_url, **AS_DEPLOYED)
        s3 = client("s3", self.s3_url, **AS_DEPLOYED)
        table, outbox = create_table(dynamodb), create_table(dynamodb, "OutboxTable")
        s3.create_bucket(Bucket=table)
        meter.attach(dynamodb.meta.events)
        meter.attach(s3.meta.events)
        try:
            yield Place(dynamodb, s3, table, outbox, meter)
        finally:
            for each in (table, outbox):
                dynamodb.delete_table(TableName=each)
            dynamodb.close()
            s3.close()


@contextmanager
def ground() -> Iterator[Ground]:
    """Run both servers during the block.

    Raises:
        Unavailable: DynamoDB Local is not on this machine and cannot be downloaded.
        RuntimeError: MiniStack is not installed, or does not start.
    """
    with (
        dynamodb_local.running(ROOT / ".cache") as dynamodb_url,
        MiniStack.throwaway() as s3_url,
    ):
        yield Ground(dynamodb_url, s3_url)
