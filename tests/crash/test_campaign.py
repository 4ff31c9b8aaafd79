"""Thirty kills of real processes on each real store break no promise.

The long form is a program: `python -m tests.crash.campaign --kills 500 --store ministack`.
"""

import pytest

from tests.crash.campaign import run_campaign
from tests.crash.stores import STORES
from tests.local.dynamodb_local import Unavailable

KILLS = 30


@pytest.mark.parametrize("store", STORES)
def test_no_kill_loses_a_run_or_doubles_an_effect(store: str) -> None:
    try:
        done = run_campaign(store, KILLS, seed=1)
    except Unavailable as reason:
        pytest.skip(f"DynamoDB Local is not available: {reason}")
    assert not done.broken, done.report()
    # The campaign was meaningful: kills hit busy workers, and runs used every kind of call.
    assert (done.workers.kills, done.restarts) == (KILLS, 1)
    assert done.workers.kills_by_activity["nothing"] <= KILLS // 10, done.report()
    for activity in ("a tool", "a model call", "a store request"):
        assert done.workers.kills_by_activity[activity] >= 2, done.report()
    ran = {each.tool for each in done.records}
    assert ran >= {"", "look", "note", "pay", "note_gated", "pay_gated"}
    assert len(done.users.decisions) > KILLS
