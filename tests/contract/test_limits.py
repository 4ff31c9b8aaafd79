"""Runs at the documented limits, on every store: turns as wide and agents as deep as is allowed."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from agent_continuations import Agent, Approval, WaitFor, call, calls, say, tool
from agent_continuations.authoring.approval import MAX_APPROVERS
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.approvals.policy import Preview
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.continuation import (
    MAX_CALLS_PER_TURN,
    MAX_CALLS_WITH_RUNS,
    MAX_DEPTH,
)
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import Status
from agent_continuations.errors import Conflict
from agent_continuations.ports.store import Store
from agent_continuations.services.inbound_checks import MAX_PENDING_INBOUND
from agent_continuations.services.runs import MAX_INPUT_BYTES
from tests.support.engine_harness import Harness

ANN = "ann@example.com"
STORES = pytest.mark.parametrize("store", ["memory", "simulated", "dynamodb-local"], indirect=True)
pytestmark = STORES


def noise(characters: int) -> str:
    """A text that does not compress."""
    return random.Random(1).randbytes(characters // 2).hex()


@tool(effect="once")
def act(number: int) -> str:
    """Act."""
    return f"acted {number}"


@tool(effect="read")
def look(number: int) -> str:
    """Look."""
    return f"seen {number}"


def preview(arguments: Mapping[str, Any]) -> Preview:
    """Preview the call."""
    return Preview(effect=f"{arguments['number']} {arguments['text']}"[:2000])


@tool(effect="once", approval=Approval([ANN]), preview=preview)
def pay(number: int, text: str = "") -> str:
    """Pay."""
    return f"paid {number}"


def harness(store: Store, turn: Reply, *tools: Tool) -> tuple[Harness, str]:
    """A run whose first turn is given, and whose second one ends it."""
    child = Agent("child")
    made = Harness(script=[turn, say("done")], store=store)
    spawn = child.as_tool(name="spawn", description="Work.", spawn=True)
    made.registry = Registry([Agent("a", tools=[*tools, spawn])])
    made.model.scripts = {**made.model.scripts, "child": [say("worked")] * MAX_CALLS_WITH_RUNS}
    return made, made.start()


def turn_of(tools: Sequence[tuple[str, int]]) -> Reply:
    """A turn with so many calls of each tool."""
    asked = [
        (name, {"input": f"{n}"} if name == "spawn" else {"number": n})
        for name, count in tools
        for n in range(count)
    ]
    return calls(*asked)


def approve_all(made: Harness, run_id: str) -> int:
    """Approve every request. Returns how many there were."""
    asked = [each for each in made.waiting(run_id) if each.kind == "approval"]
    for each in asked:
        assert each.request_id
        answer = Decide(verdict=Verdict.APPROVE, approver=ANN, via="api")
        made.services.decisions.decide(run_id, each.request_id, answer)
    return len(asked)


def outcomes(made: Harness, run_id: str) -> set[str]:
    root = made.loaded(run_id).continuation
    return {call.outcome.content if call.outcome else "" for _, call in root.calls()}


@pytest.mark.parametrize("name", ["act", "look"])
def test_a_turn_of_as_many_calls_as_allowed_runs_them_all(store: Store, name: str) -> None:
    made, run_id = harness(store, turn_of([(name, MAX_CALLS_PER_TURN)]), act, look)
    assert made.worker().advance(run_id) is Status.COMPLETED
    word = {"act": "acted", "look": "seen"}[name]
    assert outcomes(made, run_id) == {f"{word} {n}" for n in range(MAX_CALLS_PER_TURN)}


def test_a_turn_of_as_many_gated_calls_as_allowed_asks_about_all_and_runs_them(
    store: Store,
) -> None:
    made, run_id = harness(store, turn_of([("pay", MAX_CALLS_PER_TURN)]), pay)
    assert made.worker().advance(run_id) is Status.SUSPENDED
    assert len(made.store.notices(run_id)) == MAX_CALLS_PER_TURN
    assert approve_all(made, run_id) == MAX_CALLS_PER_TURN
    assert made.worker().advance(run_id) is Status.COMPLETED
    assert outcomes(made, run_id) == {f"paid {n}" for n in range(MAX_CALLS_PER_TURN)}


@pytest.mark.parametrize(
    "tools",
    [
        [("spawn", MAX_CALLS_WITH_RUNS)],
        [("spawn", 20), ("pay", 25)],
        [("pay", MAX_CALLS_PER_TURN), ("spawn", MAX_CALLS_WITH_RUNS - MAX_CALLS_PER_TURN)],
        [("act", 50), ("pay", 50), ("look", 28), ("spawn", 128)],
        [("look", 100), ("spawn", 30), ("pay", 28)],
    ],
    ids=str,
)
def test_any_mix_of_calls_up_to_the_limit_is_written(
    store: Store, tools: list[tuple[str, int]]
) -> None:
    made, run_id = harness(store, turn_of(tools), act, look, pay)
    assert made.worker().advance(run_id) is Status.SUSPENDED
    counts = dict(tools)
    kinds = [each.kind for each in made.waiting(run_id)]
    assert kinds.count("child") == counts.get("spawn", 0)
    assert approve_all(made, run_id) == counts.get("pay", 0)
    for each in made.waiting(run_id):
        if each.kind == "child":
            assert each.run_id
            assert made.worker().advance(each.run_id) is Status.COMPLETED
    assert made.worker().advance(run_id) is Status.COMPLETED
    head = made.loaded(run_id).head
    assert (head.intents, head.stalls, head.note) == ({}, 0, None)


def test_requests_with_large_arguments_and_previews_are_written_together(store: Store) -> None:
    large = [("pay", {"number": n, "text": noise(60_000)}) for n in range(60)]
    made, run_id = harness(store, calls(*large), pay)
    assert made.worker().advance(run_id) is Status.SUSPENDED
    assert len(made.store.notices(run_id)) == 60
    assert approve_all(made, run_id) == 60
    assert made.worker().advance(run_id) is Status.COMPLETED


def test_as_many_approvers_as_allowed_are_asked_about_many_calls(store: Store) -> None:
    names = noise(16 * MAX_APPROVERS)
    everyone = [f"{names[16 * n : 16 * n + 16]}@example.com" for n in range(MAX_APPROVERS)]

    @tool(effect="once", approval=Approval(everyone))
    def close(number: int) -> str:
        """Close."""
        raise AssertionError("nobody approved")

    made, run_id = harness(store, turn_of([("close", 60)]), close)
    assert made.worker().advance(run_id) is Status.SUSPENDED
    assert len(made.store.notices(run_id)) == 60


def test_agents_as_deep_as_allowed_ask_at_the_bottom(store: Store) -> None:
    inner = Agent(f"level{MAX_DEPTH}", tools=[pay])
    scripts = {inner.name: [call("pay", number=1), say("done")]}
    for level in reversed(range(1, MAX_DEPTH)):
        inner = Agent(f"level{level}", tools=[inner.as_tool(name="down", description="Ask.")])
        scripts[inner.name] = [call("down", input="go"), say("done")]
    made = Harness(script=[call("down", input="go"), say("done")], store=store)
    made.registry = Registry([Agent("a", tools=[inner.as_tool(name="down", description="Ask.")])])
    made.model.scripts = {**made.model.scripts, **scripts}
    run_id = made.start()
    assert made.worker().advance(run_id) is Status.SUSPENDED
    [asked] = made.waiting(run_id)
    assert len(asked.agents) == MAX_DEPTH + 1
    assert approve_all(made, run_id) == 1
    assert made.worker().advance(run_id) is Status.COMPLETED


def test_the_largest_input_and_results_are_kept(store: Store) -> None:
    @tool(effect="once")
    def large(number: int) -> str:
        """Give much."""
        return noise(150_000 + 2 * number)

    made, _ = harness(store, turn_of([("large", 20)]), large)
    run_id = made.services.runs.start("a", noise(MAX_INPUT_BYTES)).run_id
    assert made.worker().advance(run_id) is Status.COMPLETED
    assert len(outcomes(made, run_id)) == 20


def test_as_many_events_and_messages_wait_as_allowed(store: Store) -> None:
    @tool(effect="read")
    def hear(number: int) -> WaitFor:
        """Hear."""
        return WaitFor(f"e{number}", timeout_seconds=3600)

    turn = calls(*[("hear", {"number": n}) for n in range(MAX_PENDING_INBOUND)])
    made, run_id = harness(store, turn, hear)
    for n in range(MAX_PENDING_INBOUND):
        made.services.inbound.signal(run_id, f"e{n}", {"n": n})
        made.services.inbound.message(run_id, f"word {n}")
    with pytest.raises(Conflict, match="already waiting"):
        made.services.inbound.signal(run_id, "more")
    with pytest.raises(Conflict, match="already waiting"):
        made.services.inbound.message(run_id, "more")
    made.later(seconds=1)
    assert made.worker().advance(run_id) is Status.COMPLETED
    assert outcomes(made, run_id) == {f'{{"n":{n}}}' for n in range(MAX_PENDING_INBOUND)}


def test_as_many_turns_as_an_agent_has_by_default(store: Store) -> None:
    made, run_id = harness(store, call("look", number=0), look)
    made.model.scripts = {"a": [*(call("look", number=n) for n in range(99)), say("done")]}
    run_id = made.start()
    assert made.worker().advance(run_id) is Status.COMPLETED
    assert len(made.loaded(run_id).continuation.turns) == 100
