"""Each mechanism of the protocol is needed: without it, the simulator finds a broken promise.

The mechanisms are switched off from here, by rewriting requests to the store or by replacing a
function; the product knows nothing of it.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, TypeAlias

import pytest

from agent_continuations import dispatch, rest, tenure
from agent_continuations.adapters.dynamodb import DynamoDBStore
from agent_continuations.core.continuation import Continuation, Effect
from agent_continuations.core.effects import ClearDoubt, NextEffect, RunTool, effects
from tests.faults.simulator import world
from tests.faults.simulator.checks import played
from tests.faults.simulator.dynamodb import SimulatedDynamoDB
from tests.faults.simulator.scenario import Scenario
from tests.faults.simulator.wire import Faults

WORLDS = 400

Request: TypeAlias = dict[str, Any]
Patch: TypeAlias = pytest.MonkeyPatch


def rewrite(patch: Patch, rule: Callable[[str, Request], Request]) -> None:
    """Rewrite all writes to the table; `rule` is given the sort key and the request."""

    def rewritten(write: Request) -> Request:
        key = write.get("Key") or write["Item"]
        return {**write, **rule(key["sk"]["S"], write)}

    class Ablated(SimulatedDynamoDB):
        def put_item(self, **request: Any) -> Request:
            return super().put_item(**rewritten(request))

        def update_item(self, **request: Any) -> Request:
            return super().update_item(**rewritten(request))

        def transact_write_items(self, **request: Any) -> Request:
            writes = [
                {kind: rewritten(write) for kind, write in each.items()}
                for each in request["TransactItems"]
            ]
            return super().transact_write_items(**{**request, "TransactItems": writes})

    patch.setattr(world, "SimulatedDynamoDB", Ablated)


def always(write: Request, condition: str) -> Request:
    """The write, with a part of its condition made to hold in any case."""
    either = f"({condition} OR attribute_exists(pk))"
    before = write.get("ConditionExpression", "")
    return {"ConditionExpression": before.replace(condition, either)} if before else {}


def no_write_once(patch: Patch) -> None:
    def rule(sort_key: str, write: Request) -> Request:
        return always(write, "attribute_not_exists(pk)") if sort_key.startswith("J#") else {}

    rewrite(patch, rule)


def no_intents(patch: Patch) -> None:
    def intend(store: DynamoDBStore, run_id: str, **_: Any) -> Any:
        return store.head(run_id)

    patch.setattr(DynamoDBStore, "intend", intend)


def no_doubt(patch: Patch) -> None:
    def guessing(root: Continuation) -> Iterator[NextEffect]:
        for effect in effects(root):
            if isinstance(effect, ClearDoubt):
                attempt = effect.intent.attempt + 1
                yield RunTool(path=effect.path, attempt=attempt, effect=Effect.ONCE)
            else:
                yield effect

    patch.setattr(tenure, "effects", guessing)


def no_wait_for_the_owners_deadline(patch: Patch) -> None:
    for room in (tenure, rest):
        patch.setattr(room, "given_up_at", lambda effect, _skew: effect.intent.started_at)


def no_stable_key(patch: Patch) -> None:
    numbers = count()
    patch.setattr(dispatch, "idempotency_key", lambda *_: f"key {next(numbers)}")


def no_fence_on_intents(patch: Patch) -> None:
    def rule(_sort_key: str, write: Request) -> Request:
        begins = "intents.#i0 =" in write.get("UpdateExpression", "")
        return always(write, "epoch = :epoch") if begins else {}

    rewrite(patch, rule)


def no_wake_counter(patch: Patch) -> None:
    rewrite(patch, lambda _sort_key, write: always(write, "wake = :wake"))


def no_due_on_decide(patch: Patch) -> None:
    def rule(_sort_key: str, write: Request) -> Request:
        update = write.get("UpdateExpression", "")
        if "wake = wake + :one" not in update or "due = :now" not in update:
            return {}
        values = {**write["ExpressionAttributeValues"]}
        if ":now" not in update.replace("due = :now", ""):
            del values[":now"]
        update = update.replace(", due = :now", "")
        return {"UpdateExpression": update, "ExpressionAttributeValues": values}

    rewrite(patch, rule)


def no_due_at_the_end_of_a_lease(patch: Patch) -> None:
    def rule(_sort_key: str, write: Request) -> Request:
        update = write.get("UpdateExpression", "")
        if ", due = :lease" not in update:
            return {}
        return {"UpdateExpression": update.replace(", due = :lease", "") + " REMOVE due"}

    rewrite(patch, rule)


def no_sweeper(patch: Patch) -> None:
    patch.setattr(world, "sweep", lambda *_: 0)


ABLATIONS = [
    (no_write_once, "S1"),
    (no_intents, "S2"),
    (no_doubt, "S2"),
    (no_wait_for_the_owners_deadline, "S2"),
    (no_stable_key, "S3"),
    # What an owner of the past begins happens twice, or nobody looks when it is overdue.
    (no_fence_on_intents, "S2 L1"),
    (no_wake_counter, "L1"),
    (no_due_on_decide, "L1"),
    (no_due_at_the_end_of_a_lease, "L1"),
    (no_sweeper, "L1"),
]


@pytest.mark.parametrize(
    ("ablation", "promises"), ABLATIONS, ids=[each.__name__ for each, _ in ABLATIONS]
)
def test_without_it_a_promise_is_broken(
    ablation: Callable[[Patch], None], promises: str, monkeypatch: Patch
) -> None:
    ablation(monkeypatch)
    for seed in range(WORLDS):
        _, broken = played(Scenario.drawn(seed), Faults.drawn(seed))
        if any(each[:2] in promises.split() for each in broken):
            return
    pytest.fail(f"{WORLDS} worlds did not show it")
