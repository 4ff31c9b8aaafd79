"""The promises hold in every simulated world; `python -m tests.simulation` replays one."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from agent_continuations.core.events import ConditionReached, Suspended
from tests.simulation.checks import explored, played
from tests.simulation.scenario import ANY, CONDITIONS, Scenario
from tests.simulation.wire import Faults

WORLDS = 320
AT_ONCE = 20

# Scenarios of at most 160 points, but for the last three; all effects, gates and children are among
# them, and quorums, stages and escalations.
KILLED = (
    *(2, 3, 4, 7, 8, 11, 13, 15, 20, 30, 33, 37, 39, 40, 54),
    *(63, 69, 79, 86, 106, 110, 115, 123, 125, 159, 178, 296, 361, 365, 727, 805),
    *(366, 435, 640),
)
# Where runs wait for everything else: all kinds of waiting, being held by each kind of condition,
# and being spoken to.
WAITING = (251, 435, 164, 301, 657, 533, 663, 501, 134, 0, 642, 518, 705, 211, 116)
WAITED = "timer question event job child polled spoken signalled held"
CANCELLED = (7, 8, 13, 33, 79, 110, 125, 159, 296, 365, 435)
HAPPENINGS = "voted told withdrawn reassigned escalated decided"


def each_point(seed: int, *, waiting: bool = False) -> Iterator[tuple[int, Scenario]]:
    """Every point that the small scenario of a seed meets when nothing goes wrong."""
    scenario = Scenario.drawn(seed).waiting() if waiting else Scenario.drawn(seed).small()
    for point in range(1, explored(scenario, Faults()).points + 1):
        yield point, scenario


@pytest.mark.parametrize("first", range(0, WORLDS, AT_ONCE))
def test_every_promise_holds_in_random_worlds(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        explored(Scenario.drawn(seed), Faults.drawn(seed))


@pytest.mark.parametrize("seed", KILLED)
def test_every_promise_holds_wherever_a_process_is_killed(seed: int) -> None:
    for point, scenario in each_point(seed):
        assert explored(scenario, Faults(kill_at=point)).killed_in


def test_all_that_can_happen_to_a_question_happens_where_processes_are_killed() -> None:
    seen: set[tuple[str, str]] = set()
    for seed in KILLED:
        scenario = Scenario.drawn(seed).small()
        world = explored(scenario, Faults())
        loaded = world.truth(world.run_ids[0])
        assert loaded
        seen |= {(scenario.policy, each.kind) for each in loaded.snapshot.events()}
    assert {kind for _, kind in seen} >= {*HAPPENINGS.split()}
    decided = {policy for policy, kind in seen if kind == "decided"}
    assert decided >= {ANY, "two of three", "one, then another", "escalated soon"}


@pytest.mark.parametrize("seed", WAITING)
def test_every_promise_holds_wherever_a_process_is_killed_that_waits(seed: int) -> None:
    for point, scenario in each_point(seed, waiting=True):
        assert explored(scenario, Faults(kill_at=point)).killed_in


@pytest.mark.parametrize("seed", WAITING[::3])
def test_every_promise_holds_wherever_a_run_is_cancelled_that_waits(seed: int) -> None:
    for point, scenario in each_point(seed, waiting=True):
        assert explored(scenario, Faults(cancel_at=point)).cancelled_in


def test_runs_wait_for_everything_where_processes_are_killed() -> None:
    seen: set[str] = set()
    held: set[str] = set()
    for seed in WAITING:
        world = explored(Scenario.drawn(seed).waiting(), Faults())
        for loaded in map(world.truth, world.all_run_ids()):
            assert loaded
            for each in loaded.snapshot.events():
                seen.add(each.wait.kind if isinstance(each, Suspended) else each.kind)
                held |= {each.plan.tool} if isinstance(each, ConditionReached) else set()
    assert held == set(CONDITIONS)
    assert seen >= {*WAITED.split()}


@pytest.mark.parametrize("seed", CANCELLED)
def test_every_promise_holds_wherever_a_run_is_cancelled(seed: int) -> None:
    for point, scenario in each_point(seed):
        assert explored(scenario, Faults(cancel_at=point)).cancelled_in


def test_a_seed_is_the_same_world_each_time_and_in_each_process() -> None:
    world, _ = played(Scenario.drawn(5), Faults.drawn(5))
    for hash_seed in ("1", "2"):
        again = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "5"],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert again.stdout.splitlines() == world.trace
