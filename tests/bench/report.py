"""All benches by name, and their results as text and as Markdown."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

from tests.bench import approval, crowd, growth, imports, overhead, rest, resume
from tests.bench.place import Ground
from tests.bench.scale import Scale
from tests.bench.tables import Goal, Table, goals_table


class Bench(Protocol):
    """What each module of a bench has."""

    def run(self, ground: Ground, scale: Scale) -> dict[str, Any]:
        """Measure; what comes back is plain JSON."""

    def tables(self, result: dict[str, Any]) -> list[Table]:
        """What was measured, for people."""

    def goals(self, result: dict[str, Any]) -> list[Goal]:
        """What was wanted of it; of a full measurement only."""


BENCHES: Mapping[str, Bench] = {
    module.__name__.rpartition(".")[2]: cast(Bench, module)
    for module in (growth, approval, resume, overhead, imports, crowd, rest)
}


def text(results: Mapping[str, Any], *, goals: bool = True) -> str:
    """All tables, and the goals."""
    every = _tables(results) + ([_goals(results)] if goals else [])
    return "\n\n".join([_about(results), *(table.text() for table in every)]) + "\n"


def markdown(results: Mapping[str, Any]) -> str:
    """The same for the README, between its markers."""
    every = [_goals(results), *_tables(results)]
    return "\n\n".join([_about(results), *(table.markdown() for table in every)]) + "\n"


def _about(results: Mapping[str, Any]) -> str:
    """On what it was measured, and when."""
    machine = results["machine"]
    days = sorted({results[name]["measured"] for name in BENCHES if name in results})
    return (
        f"Measured {' and '.join(days)} with Python {machine['python']} and DynamoDB Local"
        f" {machine['dynamodb_local']} on {machine['cores']} cores shared with other work: read the"
        " ratios, which were measured side by side, before the milliseconds."
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
