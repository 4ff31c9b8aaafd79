"""The real stores of a campaign, which can be restarted with their data.

MiniStack saves its state when it is stopped. DynamoDB Local keeps its data in a folder and is
killed: acknowledged writes must be there after the restart. It comes without S3, so large values
are kept in a folder, too.
"""

import io
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import get_ident
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from tests.local import dynamodb_local
from tests.local.ministack import MiniStack, client
from tests.local.template import ROOT, create_table

STORES = ("ministack", "dynamodb-local")
# The settings of the functions' clients, with shorter timeouts.
CLIENT_SETTINGS: Any = {
    "retries": {"mode": "standard", "total_max_attempts": 5},
    "connect_timeout": 2,
    "read_timeout": 5,
    "max_pool_connections": 32,
}


@dataclass(frozen=True)
class Address:
    """The address of a store.

    Attributes:
        table: the name of the table, and of the bucket.
        outbox: the name of the notices' table.
        objects: the endpoint of S3, or the folder in its place.
    """

    endpoint: str
    table: str
    outbox: str
    objects: str

    def save(self, place: Path) -> None:
        """Save the address for other processes."""
        place.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, place: Path) -> "Address":
        """The address that `save` wrote."""
        return cls(**json.loads(place.read_text()))


class RunningStore(Protocol):
    """A running store."""

    address: Address

    def restart(self) -> None:
        """Stop the store, even in the middle of a request, and start it with its data."""


@contextmanager
def running(store: str, home: Path) -> Iterator[RunningStore]:
    """An empty store for as long as the block lasts; `store` is one of `STORES`.

    Raises:
        dynamodb_local.Unavailable: this machine cannot run it.
    """
    kind = _MiniStack if store == "ministack" else _DynamoDBLocal
    place = kind(home / "store")
    try:
        yield place
    finally:
        place.stop()


class OpenStore:
    """A store as it is used by one process, with the client of its requests."""

    def __init__(self, address: Address) -> None:
        self.dynamodb = client("dynamodb", address.endpoint, **CLIENT_SETTINGS)
        if address.objects.startswith("http"):
            objects = client("s3", address.objects, **CLIENT_SETTINGS)
        else:
            objects = FolderBucket(Path(address.objects))
        self.store = DynamoDBStore(
            dynamodb=self.dynamodb,
            s3=objects,
            table=address.table,
            bucket=address.table,
            outbox_table=address.outbox,
        )


class FolderBucket:
    """The operations of S3 that the store uses, on a folder."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def put_object(self, *, Key: str, Body: bytes, **_bucket: str) -> dict[str, Any]:  # noqa: N803
        place = self._file(Key)
        draft = place.with_suffix(f".{os.getpid()}.{get_ident()}")
        draft.write_bytes(Body)
        draft.rename(place)  # a whole object or none
        return {}

    def get_object(self, *, Key: str, **_bucket: str) -> dict[str, Any]:  # noqa: N803
        with suppress(FileNotFoundError):
            return {"Body": io.BytesIO(self._file(Key).read_bytes())}
        raise ClientError({"Error": {"Code": "NoSuchKey", "Message": Key}}, "GetObject")

    def _file(self, key: str) -> Path:
        return self._place / key.replace("/", "_")


def _tables(endpoint: str) -> tuple[str, str]:
    dynamodb = client("dynamodb", endpoint, **CLIENT_SETTINGS)
    return create_table(dynamodb), create_table(dynamodb, "OutboxTable")


class _MiniStack:
    def __init__(self, home: Path) -> None:
        self._stack = MiniStack(home)
        self._stack.start()
        table, outbox = _tables(self._stack.url)
        client("s3", self._stack.url, **CLIENT_SETTINGS).create_bucket(Bucket=table)
        self.address = Address(self._stack.url, table, outbox, self._stack.url)

    def restart(self) -> None:
        self._stack.stop()
        self._stack.start()

    def stop(self) -> None:
        self._stack.stop()


class _DynamoDBLocal:
    def __init__(self, home: Path) -> None:
        self._data, objects = home / "data", home / "objects"
        for folder in (self._data, objects):
            folder.mkdir(parents=True)
        self._running = ExitStack()
        endpoint = self._start(0)
        self._port = cast(int, urlsplit(endpoint).port)
        self.address = Address(endpoint, *_tables(endpoint), str(objects))

    def _start(self, port: int) -> str:
        one = dynamodb_local.running(ROOT / ".cache", data=self._data, port=port)
        return self._running.enter_context(one)

    def restart(self) -> None:
        self._running.close()
        self._start(self._port)

    def stop(self) -> None:
        self._running.close()
