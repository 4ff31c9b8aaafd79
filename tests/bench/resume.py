"""Resuming a suspended run: the bytes read, the load time, and the time to the next model call."""

from math import ceil
from statistics import median
from time import perf_counter
from typing import Any

from agent_continuations.ports.store import read_run
from tests.bench.place import Ground, Place
from tests.bench.reader import Waiting
from tests.bench.rounds import interleaved, ratio
from tests.bench.scale import Scale
from tests.bench.tables import Goal, Row, Table
from tests.simulation.dynamodb import item_bytes

KIB = 1024


def run(ground: Ground, scale: Scale) -> dict[str, Any]:
    """Load and resume runs of several lengths that wait for an approval."""
    lengths = (20,) if scale.quick else (200, 2000)
    return {"rows": [_measured(ground, messages, scale) for messages in lengths]}


def _measured(ground: Ground, messages: int, scale: Scale) -> dict[str, Any]:
    """Measure one length. A turn is two messages: the model's reply and the tool's result."""
    rounds = 3 if scale.quick else 31 if messages <= 200 else 11
    resumes = 1 if scale.quick else 7
    with ground.place() as place:
        waiting = [Waiting(place.store(), messages // 2, KIB) for _ in range(resumes)]
        run_id, store = waiting[0].run_id, place.store()
        place.meter.take()
        read = read_run(store, run_id)
        tally = place.meter.take()
        if read is None:
            raise AssertionError("the run is gone")
        snapshot = read[0]
        items = _query(place, run_id)
        loads, queries, folds = interleaved(
            rounds,
            lambda: read_run(store, run_id),
            lambda: _query(place, run_id),
            lambda: snapshot.continuation(),
        )
        calls = [_to_the_model(each, place) for each in waiting]
    scale.say(f"resume: {messages} messages")
    return {
        "messages": messages,
        "read_bytes": sum(map(item_bytes, items)),
        "load_ms": loads.ms,
        "load_cpu_ms": loads.cpu_ms,
        "query_cpu_ms": queries.cpu_ms,
        "query_ms": queries.ms,
        "fold_ms": folds.ms,
        "load_over_query": ratio(loads.wall, queries.wall),
        "to_the_model_ms": round(1000 * median(seconds for seconds, _ in calls), 2),
        "to_the_model_requests": calls[0][1],
        "rounds": rounds,
        **tally.plain(),
    }


def _to_the_model(waiting: Waiting, place: Place) -> tuple[float, int]:
    """Approve and resume a run: the seconds to the next model call, and the store requests."""
    waiting.approve()
    found: list[tuple[float, int]] = []

    def asked() -> None:
        found.append((perf_counter() - began, place.meter.take().requests("dynamodb")))

    waiting.model.asked = asked
    place.meter.take()
    began = perf_counter()
    waiting.desk.runner.advance(waiting.run_id)
    return found[0]


def _query(place: Place, run_id: str) -> list[dict[str, Any]]:
    """The same items by boto3 alone: the part of a load that no library can avoid."""
    condition = "pk = :pk AND sk BETWEEN :low AND :high"
    values = {":pk": {"S": f"R#{run_id}"}, ":low": {"S": "#"}, ":high": {"S": "J~"}}
    pages = place.dynamodb.get_paginator("query").paginate(
        TableName=place.table,
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        ConsistentRead=True,
    )
    return [item for page in pages for item in page["Items"]]


def tables(result: dict[str, Any]) -> list[Table]:
    """One row a length."""
    rows: list[Row] = [
        (
            f"{row['messages']:,} messages",
            f"{row['read_bytes'] / 1e6:.3f}",
            row["requests"],
            row["read"],
            row["load_ms"],
            row["query_ms"],
            row["load_over_query"],
            row["load_cpu_ms"],
            row["query_cpu_ms"],
            row["fold_ms"],
            row["to_the_model_ms"],
            row["to_the_model_requests"],
        )
        for row in result["rows"]
    ]
    head = ["a run that waits", "MB", "reads", "read units", "load ms", "bare query ms", "ratio"]
    head += ["CPU ms", "of a bare query"]
    head += ["of it folding ms", "to the model ms", "store requests"]
    note = (
        "Results of 1 KiB. The load is measured in turn with a boto3 query for the same items; both"
        " include DynamoDB Local. To the model: from the wake-up message to the next model"
        " call, with the claim, the load, the approved tool's intent, the tool and its outcome."
    )
    return [Table("Resuming after a wait", head, rows, note)]


def goals(result: dict[str, Any]) -> list[Goal]:
    """Reads by size, and the load of the shorter run."""
    found = {row["messages"]: row for row in result["rows"]}
    goals = [
        Goal(f"resume at {count:,} messages: reads a MB begun", 2, reads)
        for count, row in found.items()
        if (reads := row["requests"] / ceil(row["read_bytes"] / 1e6))
    ]
    return [*goals, Goal("resume at 200 messages: load", 10, found[200]["load_ms"], " ms")]
