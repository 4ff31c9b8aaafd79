"""Each mechanism of the protocol is needed: without it, the simulator finds a broken promise.

The mechanisms are switched off here, by rewriting requests to the store or replacing a function;
the library has no switches for it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any, TypeAlias

import pytest

from agent_continuations.adapters.stores.dynamodb import DynamoDBStore
from agent_continuations.core import call_hash, voting
from agent_continuations.core.approvals.policy import Stage
from agent_continuations.core.approvals.request import ApprovalRequest, Decision
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.effects import (
    AskIfHappened,
    NextEffect,
    NotifyApprovers,
    RunTool,
    effects,
)
from agent_continuations.core.plans import Effect
from agent_continuations.core.voting import with_vote
from agent_continuations.engine import calls, next_wake, scheduler
from agent_continuations.errors import Retryable
from agent_continuations.services import decision_events
from tests.simulation import functions, inbound, world
from tests.simulation.checks import run_world
from tests.simulation.dynamodb import SimulatedDynamoDB
from tests.simulation.faults import Faults
from tests.simulation.host_ablations import HOSTS
from tests.simulation.interruptions import INTERRUPTED
from tests.simulation.scenario import ANY, Scenario
from tests.simulation.scheduler import Process

WORLDS = 400


Request: TypeAlias = dict[str, Any]
Patch: TypeAlias = pytest.MonkeyPatch


def rewrite(patch: Patch, rule: Callable[[str, Request], Request]) -> None:
    """Rewrite all writes to the table; `rule` gets the sort key and the request."""

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
    """The write, with a part of its condition made true in any case."""
    either = f"({condition} OR attribute_exists(pk))"
    before = write.get("ConditionExpression", "")
    # DynamoDB refuses parentheses in parentheses.
    plain = before.replace(f"({condition})", condition)
    return {"ConditionExpression": plain.replace(condition, either)} if before else {}


def no_write_once(patch: Patch) -> None:
    def rule(sort_key: str, write: Request) -> Request:
        return always(write, "attribute_not_exists(pk)") if sort_key.startswith("J#") else {}

    rewrite(patch, rule)


def no_intents(patch: Patch) -> None:
    def record_intents(store: DynamoDBStore, run_id: str, **_: Any) -> Any:
        return store.head(run_id)

    patch.setattr(DynamoDBStore, "record_intents", record_intents)


def no_doubt(patch: Patch) -> None:
    def guessing(root: Continuation) -> Iterator[NextEffect]:
        for effect in effects(root):
            if isinstance(effect, AskIfHappened):
                attempt = effect.intent.attempt + 1
                yield RunTool(path=effect.path, attempt=attempt, effect=Effect.ONCE)
            else:
                yield effect

    patch.setattr(scheduler, "effects", guessing)


def no_wait_for_the_lease_holders_deadline(patch: Patch) -> None:
    for module in (scheduler, next_wake):
        patch.setattr(module, "lease_dead_at", lambda effect, _skew: effect.intent.started_at)


def no_second_receive(patch: Patch) -> None:
    receive = inbound.Inbound.receive

    def received_once(self: inbound.Inbound, process: Process, text: str) -> None:
        with suppress(Retryable):
            receive(self, process, text)

    patch.setattr(inbound.Inbound, "receive", received_once)


def no_stable_key(patch: Patch) -> None:
    numbers = count()
    patch.setattr(calls, "idempotency_key", lambda *_: f"key {next(numbers)}")


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


def no_check_of_the_trails_end(patch: Patch) -> None:
    """Two writers can append to the trail at once, each without the other's entry."""
    rewrite(patch, lambda _sort_key, write: always(write, "entries = :before"))


def no_count_of_votes_at_decision(patch: Patch) -> None:
    """The first vote closes the request. The check right before the call still counts votes."""
    patch.setattr(decision_events, "with_vote", _closed_by_one_vote)


def no_count_of_votes_at_all(patch: Patch) -> None:
    for module in (decision_events, call_hash):
        patch.setattr(module, "with_vote", _closed_by_one_vote)


def _closed_by_one_vote(request: ApprovalRequest, decision: Decision) -> ApprovalRequest:
    return with_vote(request, decision).model_copy(update={"stages": ()})


def no_vote_is_dropped_at_a_reassignment(patch: Patch) -> None:
    """An approver who has reassigned a request can still answer it."""

    def kept(stage: Stage, _approver: str, to: str) -> Stage:
        return stage.model_copy(update={"approvers": (*stage.approvers, to)})

    patch.setattr(voting, "_replace_approver", kept)


def no_further_notices(patch: Patch) -> None:
    def silent(root: Continuation) -> Iterator[NextEffect]:
        return (each for each in effects(root) if not isinstance(each, NotifyApprovers))

    patch.setattr(scheduler, "effects", silent)


def no_sweeper(patch: Patch) -> None:
    patch.setattr(functions, "sweep", lambda *_: 0)


# Each mechanism with the promises that break without it, and the first seed to try, because some
# break in few worlds. These belong to the protocol; one approver decides in their worlds.
PROTOCOL = [
    (no_write_once, "S1", 0),
    (no_intents, "S2", 0),
    (no_doubt, "S2", 0),
    (no_wait_for_the_lease_holders_deadline, "S2", 0),
    (no_stable_key, "S3", 0),
    # A tool that a lost lease starts runs twice, or its run is not woken when it is overdue.
    (no_fence_on_intents, "S2 L1", 398),
    (no_wake_counter, "L1", 0),
    (no_due_on_decide, "L1", 0),
    (no_due_at_the_end_of_a_lease, "L1", 0),
    (no_sweeper, "L1", 0),
]
# These belong to what other systems report, in worlds with waits.
REPORTS = [
    (no_second_receive, "I1", 0),
]
# These belong to requests, in worlds of all policies.
POLICIES = [
    (no_check_of_the_trails_end, "T1", 0),
    # The check right before the call holds: nothing runs, and the run is parked.
    (no_count_of_votes_at_decision, "L1", 0),
    (no_count_of_votes_at_all, "S4", 0),
    (no_vote_is_dropped_at_a_reassignment, "S4", 0),
    (no_further_notices, "L1", 0),
]


def assert_broken(worlds: Iterable[Scenario], promises: str) -> None:
    """Assert that one of these worlds breaks one of these promises."""
    for scenario in worlds:
        _, broken = run_world(scenario, Faults.drawn(scenario.seed))
        if any(each[:2] in promises.split() for each in broken):
            return
    pytest.fail("no world broke a promise")


@pytest.mark.parametrize(
    ("ablation", "promises", "first"), PROTOCOL, ids=[each.__name__ for each, *_ in PROTOCOL]
)
def test_a_promise_of_the_protocol_breaks_without_the_mechanism(
    ablation: Callable[[Patch], None], promises: str, first: int, monkeypatch: Patch
) -> None:
    ablation(monkeypatch)
    seeds = range(first, first + WORLDS)
    assert_broken((replace(Scenario.drawn(seed), policy=ANY) for seed in seeds), promises)


@pytest.mark.parametrize(
    ("ablation", "promises", "first"), INTERRUPTED, ids=[each.__name__ for each, *_ in INTERRUPTED]
)
def test_a_promise_about_interruptions_breaks_without_the_mechanism(
    ablation: Callable[[Patch], None], promises: str, first: int, monkeypatch: Patch
) -> None:
    ablation(monkeypatch)
    assert_broken((Scenario.drawn(seed) for seed in range(first, first + WORLDS)), promises)


@pytest.mark.parametrize(
    ("ablation", "promises", "first"), HOSTS, ids=[each.__name__ for each, *_ in HOSTS]
)
def test_a_promise_about_tool_hosts_breaks_without_the_mechanism(
    ablation: Callable[[Patch], None], promises: str, first: int, monkeypatch: Patch
) -> None:
    ablation(monkeypatch)
    assert_broken((Scenario.drawn(seed) for seed in range(first, first + WORLDS)), promises)


@pytest.mark.parametrize(
    ("ablation", "promises", "first"), REPORTS, ids=[each.__name__ for each, *_ in REPORTS]
)
def test_a_promise_about_reports_breaks_without_the_mechanism(
    ablation: Callable[[Patch], None], promises: str, first: int, monkeypatch: Patch
) -> None:
    ablation(monkeypatch)
    assert_broken((Scenario.drawn(seed) for seed in range(first, first + WORLDS)), promises)


@pytest.mark.parametrize(
    ("ablation", "promises", "first"), POLICIES, ids=[each.__name__ for each, *_ in POLICIES]
)
def test_a_promise_about_requests_breaks_without_the_mechanism(
    ablation: Callable[[Patch], None], promises: str, first: int, monkeypatch: Patch
) -> None:
    ablation(monkeypatch)
    assert_broken((Scenario.drawn(seed) for seed in range(first, first + WORLDS)), promises)
