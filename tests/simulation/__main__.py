"""Run many simulated worlds, or replay one.

python -m tests.simulation --seeds 50000     print the seeds that broke a promise
python -m tests.simulation 4711              replay one world, step by step
python -m tests.simulation 17 --kill-at 60   replay its small form with one kill as the only fault
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from time import monotonic

from tests.simulation.checks import Violation, run_and_check, run_world
from tests.simulation.faults import Faults
from tests.simulation.scenario import GRANTED, Scenario

BATCH = 50


def main() -> int:
    """Exit status 1 if a world broke a promise, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seed", nargs="?", type=int, help="replay this world and print its steps")
    parser.add_argument("--kill-at", type=int, help="replay the small form, killed at this point")
    parser.add_argument("--seeds", type=int, default=1000, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    given = parser.parse_args()
    if given.seed is not None:
        return replay(given.seed, given.kill_at)
    return soak(given.first, given.seeds, given.workers)


def replay(seed: int, kill_at: int | None) -> int:
    """Replay one world, and print its trace."""
    scenario, faults = Scenario.drawn(seed), Faults.drawn(seed)
    if kill_at:
        scenario, faults = scenario.small(), Faults(kill_at=kill_at)
    world, broken = run_world(scenario, faults)
    for line in world.trace:
        print(line)
    for line in broken:
        print(line)
    return 1 if broken else 0


def soak(first: int, seeds: int, workers: int) -> int:
    """Run many worlds, and print each broken promise at once."""
    began, failed, kinds = monotonic(), 0, Counter[str]()
    starts = range(first, first + seeds, BATCH)
    ends = [min(start + BATCH, first + seeds) for start in starts]
    with ProcessPoolExecutor(workers) as pool:
        for number, (found, played) in enumerate(pool.map(_batch, starts, ends), 1):
            failed += len(found)
            kinds += played
            print(*found, sep="\n", end="\n" if found else "", flush=True)
            if sys.stderr.isatty() or number % 20 == 0:
                print(f"{ends[number - 1] - first} of {seeds} worlds", file=sys.stderr)
    print(f"{seeds} worlds from seed {first}, {failed} failed, {monotonic() - began:.0f} s")
    print("of these", ", ".join(f"{kinds[kind]} with {kind}" for kind in sorted(kinds)))
    return 1 if failed else 0


def _batch(start: int, end: int) -> tuple[list[str], Counter[str]]:
    return list(_failures(start, end)), Counter(
        kind for seed in range(start, end) for kind in _kinds(seed)
    )


def _kinds(seed: int) -> Iterator[str]:
    """What is special about the world of a seed."""
    scenario, faults = Scenario.drawn(seed), Faults.drawn(seed)
    special = {
        "a wide turn": scenario.wide,
        "standing approvals": scenario.policy == GRANTED,
        "outages": faults.outages,
        "older code": faults.older,
        "lost objects": faults.damaged,
        "clock jumps": faults.jump,
    }
    return (name for name, value in special.items() if value)


def _failures(start: int, end: int) -> Iterator[str]:
    for seed in range(start, end):
        try:
            run_and_check(Scenario.drawn(seed), Faults.drawn(seed))
        except Violation as violation:
            yield str(violation)
        except Exception as error:  # noqa: BLE001 - continue with the other worlds
            yield f"seed {seed}\n{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
