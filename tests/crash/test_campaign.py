"""Thirty kills of real processes on each real store, and none of the promises broken.

The long form is a program: `python -m tests.crash.campaign --kills 500 --store ministack`.
"""

import pytest

from tests.crash.campaign import campaign
from tests.crash.stores import STORES
from tests.local.dynamodb_local import Unavailable

KILLS = 30


@pytest.mark.parametrize("store", STORES)
def test_no_kill_loses_a_run_or_doubles_an_effect(store: str) -> None:
    try:
        done = campaign(store, KILLS, seed=1)
    except Unavailable as reason:
        pytest.skip(f"DynamoDB Local is not to be had: {reason}")
    assert not done.broken, done.report()
    # It was worth something: the kills hit workers at work, on runs in which much happened.
    assert (done.fleet.kills, done.restarts) == (KILLS, 1)
    assert done.fleet.hits["nothing"] <= KILLS // 10, done.report()
    for place in ("a tool", "a model call", "a store request"):
        assert done.fleet.hits[place] >= 2, done.report()
    ran = {each.tool for each in done.entries}
    assert ran >= {"", "look", "note", "pay", "note_gated", "pay_gated"}
    assert len(done.people.told) > KILLS
