"""The cost of a suspended run, calculated: measured bytes times prices."""

from typing import Any

from tests.bench.place import Ground
from tests.bench.reader import Waiting
from tests.bench.scale import Scale
from tests.bench.tables import Goal, Row, Table
from tests.simulation.dynamodb import INDEXES, item_bytes

KIB = 1024
# US dollars a GB-month in us-east-1, beyond the free tier. These pages carry no date, and the
# bench reads no network: look there before you quote it.
PRICES = {"table": 0.25, "recovery": 0.20, "bucket": 0.023}
PAGES = "aws.amazon.com/dynamodb/pricing/on-demand, aws.amazon.com/s3/pricing"
# AWS counts so many bytes for each item, in the table and in each index, beyond its own.
ITEM_OVERHEAD = 100


def run(ground: Ground, scale: Scale) -> dict[str, Any]:
    """Runs that wait after nothing, after much, and after large results."""
    cases = ((0, KIB), (2, KIB)) if scale.quick else ((0, KIB), (200, KIB), (50, 128 * KIB))
    return {"prices": PRICES, "rows": [_measured(ground, *case) for case in cases]}


def _measured(ground: Ground, turns: int, size: int) -> dict[str, Any]:
    with ground.place() as place:
        Waiting(place.store(), turns, size)
        items, stored = place.items(), place.stored()
    entries = [
        {name: item[name] for name in ("pk", "sk", *keys)}
        for item in items
        for keys in INDEXES.values()
        if all(name in item for name in keys)
    ]
    table = stored.bytes + ITEM_OVERHEAD * len(items)
    table += sum(map(item_bytes, entries)) + ITEM_OVERHEAD * len(entries)
    dollars = (
        table * (PRICES["table"] + PRICES["recovery"]) + stored.object_bytes * PRICES["bucket"]
    )
    return {
        "turns": turns,
        "size": size,
        "table_bytes": table,
        "object_bytes": stored.object_bytes,
        "dollars_a_month": dollars / 1e9,
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """One row a run."""
    rows: list[Row] = [
        (
            f"{row['turns']} turns of {row['size'] // KIB} KiB"
            if row["turns"]
            else "no turns before",
            row["table_bytes"],
            row["object_bytes"],
            f"{row['dollars_a_month']:.7f}",
            f"{1e6 * row['dollars_a_month']:,.2f}",
        )
        for row in result["rows"]
    ]
    head = ("a run that waits", "bytes in the table", "in S3", "$ a month", "$ a million runs")
    prices = result["prices"]
    note = (
        "Calculated, not measured: the stored bytes, with AWS's overhead for each item and"
        f" the indexes' entries, at ${prices['table']} a GB-month of DynamoDB and"
        f" ${prices['recovery']} of its recovery to a point in time, and ${prices['bucket']} of S3"
        f" (us-east-1, without the free tier; {PAGES})."
    )
    return [Table("What waiting costs", head, rows, note)]


def goals(_result: dict[str, Any]) -> list[Goal]:
    """No goals, because the prices are AWS's."""
    return []
