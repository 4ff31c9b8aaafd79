"""All benches by name, and their results as text and as Markdown."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

from tests.bench import approval, crowd, growth, imports, overhead, rest, resume
from tests.bench.place import Ground
from tests.bench.scale import Scale
from tests.bench.tables import Goal, Table, goals_table


class Bench(Protocol):
    """A module with one benchmark."""

    def run(self, ground: Ground, scale: Scale) -> dict[str, Any]:
        """Measure; the result is plain JSON."""

    def tables(self, result: dict[str, Any]) -> list[Table]:
        """The result as tables."""

    def goals(self, result: dict[str, Any]) -> list[Goal]:
        """The goals, of a full measurement only."""


BENCHES: Mapping[str, Bench] = {
    module.__name__.rpartition(".")[2]: cast(Bench, module)
    for module in (growth, approval, resume, overhead, imports, crowd, rest)
}

_HEADING = """\
<!-- Written by `python -m tests.bench --markdown`. Edit tests/bench/report.py, not this file. -->

# What a run costs

Bytes, requests, capacity units and milliseconds, measured on one machine. `make bench` repeats the
measurements and stores them in `results.json`; `python -m tests.bench --markdown` rewrites this
page from that file, and a test compares the two. Requests and capacity units are counted on the
wire. No Docker and no AWS account are needed: DynamoDB Local holds the table, MiniStack the bucket,
and a server on loopback plays the model."""

_MISSED_GOALS = """\
**Missed goals**

- *Write units of a flat approval run.* DynamoDB Local counts index writes in a transaction twice.
  Counted once, the run takes 37 units.
- *Store requests of a flat approval run.* Every function is measured in a new process. One that
  calls a model stores the request profile, which takes one request; in a warm process the run takes
  18.
- *Load time.* More than half of a load is the query itself: the table above has the same query by
  boto3 alone beside it.
- *Imports of the approvals function.* Most of them are boto3, which every function needs. The ratio
  became worse when advance became lighter by leaving out Powertools' batch processor; no cold start
  became slower.
- *Imports of advance.* Beyond boto3 and openai, advance imports Powertools and this library.
  `python -X importtime` shows 146 ms for the library's own modules, most of it pydantic building
  the models of events and effects. Building them later (`defer_build`) saves nothing measurable,
  because the first event needs them."""


def text(results: Mapping[str, Any], *, goals: bool = True) -> str:
    """All tables, and the goals."""
    every = _tables(results) + ([_goals(results)] if goals else [])
    return "\n\n".join([_about(results), *(table.text() for table in every)]) + "\n"


def markdown(results: Mapping[str, Any]) -> str:
    """The whole of this folder's README.md, as `python -m tests.bench --markdown` writes it."""
    every = [_goals(results), *_tables(results)]
    parts = [_HEADING, _about(results), *(table.markdown() for table in every), _MISSED_GOALS]
    return "\n\n".join(parts) + "\n"


def _about(results: Mapping[str, Any]) -> str:
    """When and on what machine the results were measured."""
    machine = results["machine"]
    days = sorted({results[name]["measured"] for name in BENCHES if name in results})
    return (
        f"Measured {' and '.join(days)} with Python {machine['python']} and DynamoDB Local"
        f" {machine['dynamodb_local']} on {machine['cores']} cores shared with other work. The"
        " ratios were measured side by side and say more than the milliseconds."
    )


def _tables(results: Mapping[str, Any]) -> list[Table]:
    return [
        table
        for name, bench in BENCHES.items()
        if name in results
        for table in bench.tables(results[name])
    ]


def _goals(results: Mapping[str, Any]) -> Table:
    return goals_table(
        goal
        for name, bench in BENCHES.items()
        if name in results
        for goal in bench.goals(results[name])
    )
