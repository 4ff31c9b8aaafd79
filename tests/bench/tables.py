"""Tables in plain text and in Markdown, and goals beside the measured values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Row: TypeAlias = Sequence[Any]


@dataclass(frozen=True)
class Table:
    """Rows under a title. A `note` says how they were measured."""

    title: str
    head: Sequence[str]
    rows: Sequence[Row]
    note: str = ""

    def text(self) -> str:
        """Aligned, for a terminal."""
        lines = [list(self.head), *([shown(each) for each in row] for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        drawn = [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        note = [f"  {self.note}"] if self.note else []
        return "\n".join([self.title, *note, *(f"  {line}" for line in drawn)])

    def markdown(self) -> str:
        """For this folder's README."""
        rule = ["---", *["---:"] * (len(self.head) - 1)]
        lines = [self.head, rule, *([shown(each) for each in row] for row in self.rows)]
        drawn = [f"| {' | '.join(line)} |" for line in lines]
        note = [self.note, ""] if self.note else []
        return "\n".join([f"**{self.title}**", "", *note, *drawn])


@dataclass(frozen=True)
class Goal:
    """A limit, and the measured value."""

    what: str
    limit: float
    measured: float
    unit: str = ""
    low: float | None = None

    @property
    def met(self) -> bool:
        above = self.low is None or self.measured >= self.low
        return above and self.measured <= self.limit


def goals_table(goals: Iterable[Goal]) -> Table:
    """Each goal, met or missed."""
    rows = [
        (
            goal.what,
            f"{shown(goal.low)} to {shown(goal.limit)}"
            if goal.low is not None
            else f"≤ {shown(goal.limit)}{goal.unit}",
            f"{shown(goal.measured)}{goal.unit}",
            "met" if goal.met else "**missed**",
        )
        for goal in goals
    ]
    return Table("Goals", ("goal", "wanted", "measured", ""), rows)


def shown(value: Any) -> str:
    """A cell: numbers with three significant digits, everything else unchanged."""
    if isinstance(value, float):
        if value.is_integer() and abs(value) >= 10:
            return f"{int(value):,}"
        if abs(value) >= 100:
            return f"{value:,.0f}"
        return (
            f"{value:.1f}"
            if abs(value) >= 10
            else f"{value:.3g}"
            if value < 0.1
            else f"{value:.2f}"
        )
    return f"{value:,}" if isinstance(value, int) else str(value)
