"""How a run grows: bytes, requests and units by the number of its turns."""

from math import log
from time import perf_counter
from typing import Any

from agent_continuations.authoring.tool import EffectName
from agent_continuations.core.run import Status
from tests.bench.place import Ground
from tests.bench.reader import Desk, Reader, reader
from tests.bench.scale import Scale
from tests.bench.tables import Goal, Table
from tests.bench.texts import zlib_ratio

KIB = 1024
LARGE = 128 * KIB  # compresses to more than a journal entry keeps in its item


def run(ground: Ground, scale: Scale) -> dict[str, Any]:
    """Runs of many lengths, each from its start to its end."""
    lengths = (5, 10, 20) if scale.quick else (10, 50, 100, 200, 1000, 10_000)
    fenced = (10,) if scale.quick else (200,)
    large = 2 if scale.quick else 50
    wanted: list[tuple[int, EffectName, int]] = []
    wanted += [(size, "read", turns) for size in (KIB, 8 * KIB) for turns in lengths]
    wanted += [(KIB, effect, turns) for effect in ("idempotent", "once") for turns in fenced]
    wanted += [(LARGE, "read", large)]
    rows = [_measured(ground, *each, scale) for each in wanted]
    sizes = (KIB, 8 * KIB, LARGE)
    return {
        "rows": rows,
        "zlib_ratio": {str(size): round(zlib_ratio(size), 2) for size in sizes},
        "exponent": {
            str(size): {what: round(_exponent(rows, size, what), 3) for what in ("stored", "write")}
            for size in (KIB, 8 * KIB)
        },
    }


def _measured(
    ground: Ground, size: int, effect: EffectName, turns: int, scale: Scale
) -> dict[str, Any]:
    with ground.place() as place:
        desk = Desk(place.store(), Reader(turns), reader(size, effect))
        place.meter.take()
        began = perf_counter()
        status = desk.runner.advance(desk.start())
        seconds = perf_counter() - began
        if status is not Status.COMPLETED:
            raise AssertionError(f"a run of {turns} turns was left {status}")
        tally, stored = place.meter.take(), place.stored()
    scale.say(f"growth: {turns} turns of {size} bytes, {effect}: {seconds:.1f} s")
    return {
        "size": size,
        "effect": effect,
        "turns": turns,
        "stored": stored.bytes + stored.object_bytes,
        "items": stored.items,
        "item_bytes": stored.bytes,
        "objects": stored.objects,
        "object_bytes": stored.object_bytes,
        "seconds": round(seconds, 3),
        **tally.plain(),
    }


def _exponent(rows: list[dict[str, Any]], size: int, what: str) -> float:
    """The slope of a line through the logarithms, by least squares."""
    points = [
        (log(row["turns"]), log(row[what]))
        for row in rows
        if (row["size"], row["effect"]) == (size, "read")
    ]
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    over = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return over / sum((x - middle_x) ** 2 for x, _ in points)


def tables(result: dict[str, Any]) -> list[Table]:
    """One row a run."""
    rows = [
        (
            f"{row['turns']:,} of {row['size'] // KIB} KiB",
            row["effect"],
            f"{row['stored'] / 1e6:.3f}",
            round(row["stored"] / row["turns"]),
            row["requests"] + row["s3_requests"],
            round(row["requests"] / row["turns"], 2),
            row["write"],
            round(row["write"] / row["turns"], 2),
            row["write_indexes"],
            row["read"] + row["read_indexes"],
        )
        for row in result["rows"]
    ]
    ratios = ", ".join(
        f"{ratio} for {int(size) // KIB} KiB" for size, ratio in result["zlib_ratio"].items()
    )
    fits = "; ".join(
        f"{int(size) // KIB} KiB: bytes {fit['stored']}, write units {fit['write']}"
        for size, fit in result["exponent"].items()
    )
    head = ["turns, results", "tools", "MB stored", "bytes a turn", "requests", "a turn"]
    head += ["write units", "a turn", "of indexes", "read units"]
    note = (
        f"Results are English prose, which zlib makes smaller by {ratios}."
        f" Growth exponent, {fits}; a start and an end cost 7 write units however long the run is."
        " The largest results are stored in S3."
    )
    return [Table("How a run grows", head, rows, note)]


def goals(result: dict[str, Any]) -> list[Goal]:
    """The goals of 200 turns, of the growth exponent, and of growth up to 10,000 turns."""
    found = {(row["size"], row["effect"], row["turns"]): row for row in result["rows"]}
    read, long = found[KIB, "read", 200], found[KIB, "read", 10_000]
    thousand = found[KIB, "read", 1000]
    steps = {
        what: (long[what] / long["turns"]) / (thousand[what] / thousand["turns"])
        for what in ("stored", "write")
    }
    goals = [
        Goal("200 turns of 1 KiB, read tools: stored", 0.30, read["stored"] / 1e6, " MB"),
        Goal("200 turns of 1 KiB, read tools: write units", 450, read["write"]),
    ]
    goals += [
        Goal(f"200 turns of 1 KiB, {effect} tools: write units", 900, row["write"])
        for effect in ("idempotent", "once")
        if (row := found[KIB, effect, 200])
    ]
    exponent = result["exponent"][str(KIB)]
    goals += [
        Goal("growth exponent of bytes, 1 KiB", 1.05, exponent["stored"], low=0.95),
        # Below 1 is as it should be: a start and an end cost the same however long the run is.
        Goal("growth exponent of write units, 1 KiB", 1.05, exponent["write"]),
    ]
    goals += [
        Goal(f"10,000 turns: {what} a turn over those of 1,000", 1.1, steps[key], low=0.9)
        for what, key in (("bytes", "stored"), ("write units", "write"))
    ]
    more = (thousand["requests"] - read["requests"]) / (thousand["turns"] - read["turns"])
    goals.append(Goal("store requests for one more turn, read tools", 1, more))
    return goals
