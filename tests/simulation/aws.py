"""The transport of requests to simulated AWS, and two of its services: S3 and SQS."""

from collections.abc import Callable
from io import BytesIO
from threading import RLock
from typing import Any, Protocol, TypeVar

from botocore.exceptions import ClientError

Answer = TypeVar("Answer")


class Requests(Protocol):
    """The transport between a client and the service.

    Attributes:
        faults_off: whether the checks of a world are reading, which see no damage.
    """

    faults_off: bool

    def send(self, operation: str, apply: Callable[[], Answer]) -> Answer:
        """Apply a request once, twice or not at all; its response may be lost."""

    def now(self) -> float:
        """The service's time, in seconds."""

    def index_visible_at(self) -> float:
        """When a write of this moment becomes visible in an index."""

    def page_items(self) -> int:
        """The maximum number of items in a page of a query."""


class Direct:
    """A transport without faults or delays, safe for threads."""

    def __init__(self) -> None:
        self.faults_off = True
        self._lock = RLock()

    def send(self, operation: str, apply: Callable[[], Answer]) -> Answer:
        del operation
        with self._lock:
            return apply()

    def now(self) -> float:
        return 0.0

    def index_visible_at(self) -> float:
        return 0.0

    def page_items(self) -> int:
        return 1_000_000


class SimulatedS3:
    """One bucket.

    Attributes:
        objects: the objects by key, as they were stored.
        damaged: the objects that were changed since, or lost (None).
    """

    def __init__(self, requests: Requests) -> None:
        self.objects: dict[str, bytes] = {}
        self.damaged: dict[str, bytes | None] = {}
        self._requests = requests

    def put_object(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            self.objects[request["Key"]] = request["Body"]
            self.damaged.pop(request["Key"], None)
            return {}

        return self._requests.send("PutObject", apply)

    def get_object(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            found: bytes | None = self.objects.get(request["Key"])
            if not self._requests.faults_off:
                found = self.damaged.get(request["Key"], found)
            if found is None:
                raise ClientError({"Error": {"Code": "NoSuchKey", "Message": ""}}, "GetObject")
            return {"Body": BytesIO(found)}

        return self._requests.send("GetObject", apply)


class SimulatedSQS:
    """Queues that pass each message to `arrived`, which may lose, delay or repeat it."""

    def __init__(self, requests: Requests, arrived: Callable[[str, str], None]) -> None:
        self._requests = requests
        self._arrived = arrived

    def send_message(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            self._arrived(request["QueueUrl"], request["MessageBody"])
            return {}

        return self._requests.send("SendMessage", apply)
