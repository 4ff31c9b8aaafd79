"""Where runs stand while they are measured: DynamoDB Local's table and MiniStack's bucket."""

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

# As `bootstrap` sets up the clients of AWS.
AS_DEPLOYED: Any = {
    "retries": {"mode": "standard", "total_max_attempts": 5},
    "max_pool_connections": 64,
}


@dataclass(frozen=True)
class Stored:
    """What lies in a table, or a run of it: items with their bytes, and the bucket's objects."""

    items: int
    bytes: int
    objects: int
    object_bytes: int


@dataclass(frozen=True)
class Place:
    """A table of its own and a bucket of the same name; the clients are counted."""

    dynamodb: Any
    s3: Any
    table: str
    meter: Meter

    def store(self) -> DynamoDBStore:
        return DynamoDBStore(
            dynamodb=self.dynamodb, s3=self.s3, table=self.table, bucket=self.table
        )

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table, as it lies there."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.table)
        return [item for page in pages for item in page["Items"]]

    def stored(self) -> Stored:
        """What the table and the bucket hold; this is not counted."""
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
        """A fresh table and bucket, which are gone afterwards."""
        meter = Meter()
        dynamodb = client("dynamodb", self.dynamodb_url, **AS_DEPLOYED)
        s3 = client("s3", self.s3_url, **AS_DEPLOYED)
        table = create_table(dynamodb)
        s3.create_bucket(Bucket=table)
        meter.attach(dynamodb.meta.events)
        meter.attach(s3.meta.events)
        try:
            yield Place(dynamodb, s3, table, meter)
        finally:
            dynamodb.delete_table(TableName=table)
            dynamodb.close()
            s3.close()


@contextmanager
def ground() -> Iterator[Ground]:
    """Both servers, for as long as the block lasts.

    Raises:
        Unavailable: there is no DynamoDB Local on this machine, and it cannot be got.
        RuntimeError: MiniStack is not installed, or does not start.
    """
    with (
        dynamodb_local.running(ROOT / ".cache") as dynamodb_url,
        MiniStack.throwaway() as s3_url,
    ):
        yield Ground(dynamodb_url, s3_url)
