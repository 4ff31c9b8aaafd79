"""Update expressions, and the updates of a head: DynamoDB would accept each."""

from datetime import UTC, datetime
from itertools import product

import pytest

from agent_continuations.adapters.stores.dynamodb.expressions import UpdateExpression
from agent_continuations.adapters.stores.dynamodb.head_updates import (
    cancel_update,
    commit_update,
    intents_update,
    pause_update,
    resume_update,
    trail_update,
    wake_update,
)
from agent_continuations.core.approvals.audit_chain import ChainHead
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Intent
from agent_continuations.core.run import Status
from agent_continuations.ports.commit import ReleaseTerms, TrailMove
from agent_continuations.ports.limits import MAX_INTENTS_AT_ONCE, MAX_SETTLED_AT_ONCE
from tests.simulation.dynamodb import check_expressions

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_an_update_is_rendered_as_the_parameters_of_a_request() -> None:
    update = UpdateExpression(
        sets=("#status = :ready", "due = :now"),
        removes=("note", "intents.#r0"),
        conditions=("#status = :parked", "(a = :now OR attribute_not_exists(a))"),
        values={":ready": "ready", ":parked": "parked", ":now": 7},
        names={"#r0": "0.0/1.2"},
    )
    assert update.render() == {
        "UpdateExpression": "SET #status = :ready, due = :now REMOVE note, intents.#r0",
        "ConditionExpression": "#status = :parked AND (a = :now OR attribute_not_exists(a))",
        "ExpressionAttributeNames": {"#status": "status", "#r0": "0.0/1.2"},
        "ExpressionAttributeValues": {
            ":ready": {"S": "ready"},
            ":parked": {"S": "parked"},
            ":now": {"N": "7"},
        },
    }


def test_empty_parameters_are_left_out() -> None:
    assert UpdateExpression(removes=("note",)).render() == {"UpdateExpression": "REMOVE note"}
    assert UpdateExpression(conditions=("attribute_exists(pk)",)).render() == {
        "ConditionExpression": "attribute_exists(pk)"
    }
    assert UpdateExpression().render() == {}


def test_an_unused_value_is_refused_even_if_a_longer_name_is_used() -> None:
    UpdateExpression(sets=("a = :a10",), values={":a10": 10})
    with pytest.raises(ValueError, match=r"\[':a1'\]"):
        UpdateExpression(sets=("a = :a10",), values={":a1": 1, ":a10": 10})
    with pytest.raises(ValueError, match=r"\['#i1'\]"):
        UpdateExpression(removes=("intents.#i10",), names={"#i1": "0.1", "#i10": "0.10"})


@pytest.mark.parametrize(
    "text", ["a = :missing", "#missing = a", "attribute_not_exists(intents.#missing.attempt)"]
)
def test_a_placeholder_without_a_value_or_a_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="missing"):
        UpdateExpression(conditions=(text,))


def test_two_updates_are_merged() -> None:
    one = UpdateExpression(("a = :now",), ("b",), ("c = :c",), {":now": 1, ":c": 2})
    other = UpdateExpression(
        ("d = :now",), ("e.#f",), ("g = :g",), {":now": 1, ":g": 3}, {"#f": "f"}
    )
    both = (one + other).render()
    assert both["UpdateExpression"] == "SET a = :now, d = :now REMOVE b, e.#f"
    assert both["ConditionExpression"] == "c = :c AND g = :g"
    assert sorted(both["ExpressionAttributeValues"]) == [":c", ":g", ":now"]
    assert both["ExpressionAttributeNames"] == {"#f": "f"}
    assert one + UpdateExpression() == one


def test_a_placeholder_has_one_value_in_a_merged_update() -> None:
    one = UpdateExpression(sets=("a = :now",), values={":now": 1})
    with pytest.raises(ValueError, match=r"two values: \[':now'\]"):
        one + UpdateExpression(sets=("b = :now",), values={":now": 2})
    named = UpdateExpression(removes=("#r0",), names={"#r0": "a"})
    with pytest.raises(ValueError, match=r"two values: \['#r0'\]"):
        named + UpdateExpression(removes=("b.#r0",), names={"#r0": "b"})


def test_each_of_many_intents_has_separate_placeholders() -> None:
    intents = {
        f"0.{number}": Intent(attempt=1, started_at=NOW, deadline=NOW) for number in range(11)
    }
    request = intents_update(3, intents, settled=["0.10", "1.0"]).render()
    check_expressions(request)
    assert request["ExpressionAttributeNames"]["#i10"] == "0.10"
    assert "intents.#i10.attempt < :a10" in request["ConditionExpression"]
    # A path that is both settled and begun again is overwritten, not removed.
    assert request["UpdateExpression"].endswith(" REMOVE intents.#r0")
    assert request["ExpressionAttributeNames"]["#r0"] == "1.0"


def test_the_largest_writes_stay_below_the_limit_of_an_expression() -> None:
    intent = Intent(attempt=1, started_at=NOW, deadline=NOW)
    intents = {f"0.{number}": intent for number in range(MAX_INTENTS_AT_ONCE)}
    settled = [f"1.{number}" for number in range(MAX_SETTLED_AT_ONCE)]
    release = ReleaseTerms(Status.SUSPENDED, NOW, wake=1, entry_count=1)
    trail = TrailMove(before=0, after=ChainHead(number=1, digest="d" * 64))
    for update in (
        intents_update(1, intents, settled),
        commit_update(1, settled, release, trail, NOW),
    ):
        for text in ("UpdateExpression", "ConditionExpression"):
            assert len(update.render()[text]) <= 4096


def test_every_update_of_a_head_uses_what_it_defines() -> None:
    trails = (None, *(TrailMove(number, ChainHead(number=9, digest="d")) for number in (0, 8)))
    pause = ModelBackoff(until=NOW, tries=1, reason="busy")
    releases = (
        None,
        ReleaseTerms(Status.SUSPENDED, NOW, wake=1, entry_count=1),
        ReleaseTerms(Status.READY, NOW, wake=1, entry_count=1, progress=False, model_pause=pause),
        ReleaseTerms(Status.FAILED, None, wake=1, entry_count=1, note="it failed"),
    )
    for release, trail, settled in product(releases, trails, ([], ["0.0", "0.1"])):
        check_expressions(commit_update(4, settled, release, trail, NOW).render())
    for status, trail in product(Status, trails):
        check_expressions((wake_update(status, NOW) + trail_update(trail)).render())
        for update in (cancel_update, pause_update, resume_update):
            check_expressions(update(status, NOW).render())
