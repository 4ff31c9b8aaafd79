"""The transport of requests to simulated AWS, and two of its services: S3 and SQS."""

from collections.abc import Callable
from io import BytesIO
from threading import RLock
from typing import Any, Protocol, TypeVar

from botocore.exceptions import ClientError

Answer = TypeVar("Answer")


class Requests(Protocol):
    """The transport between a client and the service."""

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
    """One bucket."""

    def __init__(self, requests: Requests) -> None:
        self.objects: dict[str, bytes] = {}
        self._requests = requests

    def put_object(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            self.objects[request["Key"]] = request["Body"]
            return {}

        return self._requests.send("PutObject", apply)

    def get_object(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            if request["Key"] not in self.objects:
                raise ClientError({"Error": {"Code": "NoSuchKey", "Message": ""}}, "GetObject")
            return {"Body": BytesIO(self.objects[request["Key"]])}

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
