"""Measures several functions in turn, so that other load on the machine affects all alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import perf_counter, process_time
from typing import Any


@dataclass(frozen=True)
class Taken:
    """Seconds that a function took in each round: wall time, and CPU time of this process."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def ms(self) -> float:
        return round(1000 * median(self.wall), 2)

    @property
    def cpu_ms(self) -> float:
        return round(1000 * median(self.cpu), 2)


def interleaved(
    rounds: int,
    *things: Callable[[], Any],
    warm: bool = True,
    cpu: Callable[[], float] = process_time,
) -> list[Taken]:
    """Call each function once a round; each round starts with another one. See `Taken`.

    Args:
        rounds: the number of rounds.
        things: the functions.
        warm: whether to start with a round that is not counted.
        cpu: the clock of the CPU time; by default that of this process.
    """
    taken = [Taken() for _ in things]
    for number in range(0 if warm else 1, rounds + 1):
        for turn in range(len(things)):
            which = (number + turn) % len(things)
            began, began_cpu = perf_counter(), cpu()
            things[which]()
            if number:
                taken[which].wall.append(perf_counter() - began)
                taken[which].cpu.append(cpu() - began_cpu)
    return taken


def children_time() -> float:
    """CPU seconds of the processes that have ended as children of this one."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median over the rounds of one over the other."""
    return round(median(a / b for a, b in zip(one, other, strict=True)), 3)
