"""Log lines under faults: a line is about what is on record, and no fact has two lines."""

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache
from typing import Any

import pytest

from agent_continuations.core.path import parse_path
from agent_continuations.core.run import LoadedRun
from tests.simulation import world
from tests.simulation.checks import run_world
from tests.simulation.faults import Faults
from tests.simulation.scenario import Scenario
from tests.support.log_lines import details, log_lines

SEEDS = (6, 26, 32, 48, 90, 107)  # leases are lost in most of them
# What happens once at a place, and the details that tell the place.
ONCE = {
    "model replied": ("run_id", "path", "turn"),
    "tool returned": ("run_id", "path"),
    # Two executions may poll at once, around a lost lease: one finds the job pending, one done.
    "job polled": ("run_id", "path", "poll", "outcome"),
    "wait ended": ("run_id", "path"),
    "child run started": ("run_id", "path"),
    "request decided": ("run_id", "path", "request_id"),
    "request escalated": ("run_id", "path", "request_id", "expires_at"),
}


def test_each_fact_has_one_line_and_each_line_is_on_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(world, "silenced", nullcontext)
    messages: set[str] = set()
    for seed in SEEDS:
        with log_lines(logging.DEBUG) as lines:
            played, broken = run_world(Scenario.drawn(seed), Faults.drawn(seed))
        assert not broken
        stored_run = cache(played.stored_run)
        facts: Counter[tuple[str, ...]] = Counter()
        for record in lines.records:
            message, found = record.getMessage(), details(record)
            if message in ONCE:
                check_recorded(stored_run(found["run_id"]), message, found)
                facts[message, *(str(found[name]) for name in ONCE[message])] += 1
        assert set(facts.values()) <= {1}, facts.most_common(3)
        messages |= {message for message, *_ in facts}
    assert messages == set(ONCE)


def check_recorded(loaded: LoadedRun | None, message: str, found: Mapping[str, Any]) -> None:
    """Check that the store has what a line says."""
    assert loaded
    path = parse_path(found["path"])
    if message == "model replied":
        assert len(loaded.continuation.frame_at(path).turns) > found["turn"]
    else:
        call = loaded.continuation.call_at(path)
        known = (call.decision, call.outcome, call.wait, call.approval, call.cleared_at)
        assert any(known)


def test_a_world_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with log_lines(logging.DEBUG) as lines:
        run_world(Scenario.drawn(0), Faults.drawn(0))
    assert lines.records == []
    assert capfd.readouterr() == ("", "")
