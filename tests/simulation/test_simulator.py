"""Every promise holds in simulated worlds; `python -m tests.simulation` replays one."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent_continuations.core.events import ConditionReached, Suspended
from tests.simulation.checks import run_and_check, run_world
from tests.simulation.faults import Faults
from tests.simulation.scenario import ANY, CONDITIONS, Scenario

WORLDS = 320
AT_ONCE = 20
# Worlds with 60, 128 and 256 calls in a turn; they take seconds each.
WIDE = (16, 33, 57)

# Scenarios of at most 160 points, except for the last three. Together they use all side effects,
# approvals, child frames, quorums, stages and escalations.
KILLED = (
    *(2, 3, 4, 7, 8, 11, 13, 15, 20, 30, 33, 37, 39, 40, 54),
    *(63, 69, 79, 86, 106, 110, 115, 123, 125, 159, 178, 296, 361, 365, 727, 805),
    *(637, 366, 435, 640),
)
# Scenarios with all other kinds of waits, stops by each kind of condition, and messages.
WAITING = (251, 435, 164, 301, 657, 533, 663, 501, 134, 0, 642, 518, 705, 211, 116, 331)
WAIT_EVENTS = "timer question event job child polled spoken signalled held"
CANCELLED = (7, 8, 13, 33, 79, 110, 125, 159, 296, 365, 435)
REQUEST_EVENTS = "voted told withdrawn reassigned escalated decided"


def each_point(seed: int, *, waiting: bool = False) -> Iterator[tuple[int, Scenario]]:
    """Every point that the short scenario of a seed reaches without faults."""
    scenario = Scenario.drawn(seed).waiting() if waiting else Scenario.drawn(seed).small()
    for point in range(1, run_and_check(scenario, Faults()).points + 1):
        yield point, scenario


@pytest.mark.parametrize("first", range(0, WORLDS, AT_ONCE))
def test_every_promise_holds_in_random_worlds(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        run_and_check(replace(Scenario.drawn(seed), wide=0), Faults.drawn(seed))


@pytest.mark.parametrize("seed", WIDE)
def test_every_promise_holds_in_worlds_with_a_wide_turn(seed: int) -> None:
    scenario = Scenario.drawn(seed)
    assert scenario.wide
    run_and_check(scenario, Faults.drawn(seed))


@pytest.mark.parametrize("seed", KILLED)
def test_every_promise_holds_wherever_a_process_is_killed(seed: int) -> None:
    for point, scenario in each_point(seed):
        assert run_and_check(scenario, Faults(kill_at=point)).killed_in


def test_the_killed_scenarios_use_every_event_of_a_request() -> None:
    seen: set[tuple[str, str]] = set()
    for seed in KILLED:
        scenario = Scenario.drawn(seed).small()
        world = run_and_check(scenario, Faults())
        loaded = world.stored_run(world.run_ids[0])
        assert loaded
        seen |= {(scenario.policy, each.kind) for each in loaded.snapshot.events()}
    assert {kind for _, kind in seen} >= {*REQUEST_EVENTS.split()}
    decided = {policy for policy, kind in seen if kind == "decided"}
    assert decided >= {ANY, "two of three", "one, then another", "escalated soon"}


@pytest.mark.parametrize("seed", WAITING)
def test_every_promise_holds_wherever_a_process_of_a_waiting_run_is_killed(seed: int) -> None:
    for point, scenario in each_point(seed, waiting=True):
        assert run_and_check(scenario, Faults(kill_at=point)).killed_in


@pytest.mark.parametrize("seed", WAITING[::3])
def test_every_promise_holds_wherever_a_waiting_run_is_cancelled(seed: int) -> None:
    for point, scenario in each_point(seed, waiting=True):
        assert run_and_check(scenario, Faults(cancel_at=point)).cancelled_in


def test_the_killed_scenarios_use_every_kind_of_wait() -> None:
    seen: set[str] = set()
    held: set[str] = set()
    for seed in WAITING:
        world = run_and_check(Scenario.drawn(seed).waiting(), Faults())
        for loaded in map(world.stored_run, world.all_run_ids()):
            assert loaded
            for each in loaded.snapshot.events():
                seen.add(each.wait.kind if isinstance(each, Suspended) else each.kind)
                held |= {each.plan.tool} if isinstance(each, ConditionReached) else set()
    assert held == set(CONDITIONS)
    assert seen >= {*WAIT_EVENTS.split()}


@pytest.mark.parametrize("seed", CANCELLED)
def test_every_promise_holds_wherever_a_run_is_cancelled(seed: int) -> None:
    for point, scenario in each_point(seed):
        assert run_and_check(scenario, Faults(cancel_at=point)).cancelled_in


def test_a_seed_gives_the_same_world_in_each_process() -> None:
    world, _ = run_world(Scenario.drawn(5), Faults.drawn(5))
    for hash_seed in ("1", "2"):
        again = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "5"],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert again.stdout.splitlines() == world.trace
