"""Recorded runs of simulated worlds are the same with the same agents, whatever went wrong."""

import json
from dataclasses import replace

import pytest

from agent_continuations.core.continuation import Continuation
from agent_continuations.testing import check_recording
from agent_continuations.views.recording import record
from tests.simulation.checks import run_and_check
from tests.simulation.faults import Faults
from tests.simulation.scenario import Scenario
from tests.simulation.world import World

WORLDS = 24
AT_ONCE = 8


def recordings_differ(world: World) -> list[str]:
    def load(run_id: str) -> Continuation:
        loaded = world.stored_run(run_id)
        assert loaded
        return loaded.continuation

    agents = list(world.registry.startable.values())
    recordings = [
        record(run_id, load, lambda request: world.profile(request.digest))
        for run_id in world.all_run_ids()
    ]
    for each in recordings:
        assert {request.digest for request in each.profiled_requests()} == set(each.requests)
    assert any(each.requests for each in recordings)
    documents = [json.loads(each.model_dump_json()) for each in recordings]
    return [str(found) for each in documents if (found := check_recording(each, agents))]


@pytest.mark.parametrize("first", range(0, WORLDS, AT_ONCE))
def test_runs_with_faults_answers_and_waits_do_not_differ(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        world = run_and_check(
            replace(Scenario.drawn(seed), deploy=False, wide=0), Faults.drawn(seed)
        )
        assert recordings_differ(world) == []
