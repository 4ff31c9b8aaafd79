"""Counts the requests to AWS and their capacity units, by botocore's events."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

# The operations whose responses can contain the consumed capacity.
READS = ("GetItem", "BatchGetItem", "Query", "Scan")
WRITES = ("PutItem", "UpdateItem", "TransactWriteItems")


@dataclass(frozen=True)
class Tally:
    """The counts of one interval.

    Attributes:
        operations: attempts by `service.Operation`, repeated ones included.
        write, write_indexes: write units of the table, and of its indexes.
        read, read_indexes: read units, alike.
        twice_indexes: what of `write_indexes` was consumed in transactions, where DynamoDB Local
            counts index writes twice.
    """

    operations: Mapping[str, int]
    write: float
    write_indexes: float
    read: float
    read_indexes: float
    twice_indexes: float

    def requests(self, service: str) -> int:
        """How many requests a service got."""
        return sum(
            count for name, count in self.operations.items() if name.startswith(f"{service}.")
        )

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "operations": dict(sorted(self.operations.items())),
            "requests": self.requests("dynamodb"),
            "s3_requests": self.requests("s3"),
            "write": _whole(self.write),
            "write_indexes": _whole(self.write_indexes),
            "twice_indexes": _whole(self.twice_indexes),
            "read": _whole(self.read),
            "read_indexes": _whole(self.read_indexes),
        }


def _whole(units: float) -> float:
    return int(units) if units == int(units) else units


class Meter:
    """Counts requests and the units that DynamoDB says they consumed; for several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._operations: Counter[str] = Counter()
        self._units: Counter[str] = Counter()

    def attach(self, events: Any) -> None:
        """Subscribe to the events of a client, or of a session and all its clients."""
        for name in READS + WRITES:
            events.register(f"before-parameter-build.dynamodb.{name}", self._ask)
            events.register(f"response-received.dynamodb.{name}", self._answered)
        events.register_first("before-send", self._sent)

    def take(self) -> Tally:
        """The counts since the previous call."""
        with self._lock:
            operations, self._operations = self._operations, Counter()
            units, self._units = self._units, Counter()
        return Tally(
            operations=dict(operations),
            write=units["write"],
            write_indexes=units["write_indexes"],
            read=units["read"],
            read_indexes=units["read_indexes"],
            twice_indexes=units["twice_indexes"],
        )

    def _ask(self, params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "INDEXES"

    def _sent(self, event_name: str, **_: Any) -> None:
        _event, service, operation = event_name.split(".")
        with self._lock:
            self._operations[f"{service}.{operation}"] += 1

    def _answered(self, event_name: str, parsed_response: Any, **_: Any) -> None:
        found = (parsed_response or {}).get("ConsumedCapacity")
        kind = "read" if event_name.rpartition(".")[2] in READS else "write"
        several: Sequence[Any] = found if isinstance(found, list) else [found] if found else []
        with self._lock:
            for each in several:
                indexes = each.get("GlobalSecondaryIndexes", {}).values()
                inside = sum(index["CapacityUnits"] for index in indexes)
                self._units[kind] += each["CapacityUnits"] - inside
                self._units[f"{kind}_indexes"] += inside
                if event_name.endswith("TransactWriteItems"):
                    self._units["twice_indexes"] += inside
