"""A grant with a maximum of uses is used that often, however many calls ask for it at once."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from agent_continuations import Agent, Approval, ScriptedModel, calls, say, tool
from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.grant import Grant
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide, GrantTerms
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import RunHead, Status
from agent_continuations.engine.runner import Runner
from agent_continuations.ports.model import ModelRequest
from agent_continuations.ports.store import Store
from agent_continuations.services.services import Services
from tests.support.recording_queue import RecordingQueue
from tests.support.simulated_store import simulated_store

ANN, BOB = "ann@example.com", "bob@example.com"
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
DAY = 24 * 3600


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return InMemoryStore()
    return simulated_store().store


def pays_its_input(request: ModelRequest) -> Reply:
    """Pay the amounts in the task, and then end."""
    if request.messages[-1]["role"] == "tool":
        return say("done")
    amounts = request.messages[-1]["content"].split()
    return calls(*(("pay", {"amount": int(each)}) for each in amounts))


class Clerks:
    """Agents that pay, each with approval by Ann, and a run for each test to start."""

    def __init__(self, store: Store, *, needed: int = 1) -> None:
        self.store, self.now, self.paid = store, NOW, list[int]()
        policy = Approval([ANN, BOB], needed=needed, grant_seconds=DAY)

        @tool(approval=policy)
        def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        clerk = Agent("clerk", "Pay.", tools=[pay])
        self.registry = Registry(
            [clerk, Agent("chief", tools=[clerk.as_tool(description="Pays.")])]
        )
        self.model = ScriptedModel({"clerk": pays_its_input})
        self.queue = RecordingQueue()
        self.services = Services.of(
            store=store, queue=self.queue, registry=lambda: self.registry, clock=lambda: self.now
        )

    def runner(self, store: Store | None = None) -> Runner:
        return Runner(
            store=store or self.store,
            model=self.model,
            registry=self.registry,
            queue=self.queue,
            clock=lambda: self.now,
        )

    def start(self, *amounts: int) -> str:
        """A new run whose only turn pays all of these amounts at once."""
        return self.services.runs.start("clerk", " ".join(map(str, amounts))).run_id

    def granted(self, max_uses: int | None) -> Grant:
        """A grant by Ann for payments up to 700; the one that it was made with is paid."""
        run_id = self.start(700)
        self.runner().advance(run_id)
        terms = GrantTerms(seconds=3600, rules={"amount": "up_to"}, max_uses=max_uses)
        self.answer(run_id, ANN, grant=terms)
        self.runner().advance(run_id)
        self.paid.clear()
        [grant] = self.services.grants.all(ANN)
        return grant

    def answer(self, run_id: str, approver: str, **more: Any) -> None:
        request_id = self.open_requests(run_id)[0]
        response = Decide(verdict=Verdict.APPROVE, approver=approver, via="session", **more)
        self.services.decisions.decide(run_id, request_id, response)

    def open_requests(self, run_id: str) -> list[str]:
        found = self.services.runs.load(run_id).continuation.calls()
        return [
            call.approval.request_id
            for _, call in found
            if call.approval and call.decision is None and not call.outcome
        ]

    def uses(self) -> int:
        [grant] = self.store.grants("default")
        return grant.uses

    def head(self, run_id: str) -> RunHead:
        found = self.store.head(run_id)
        assert found
        return found

    def notified(self, run_id: str) -> int:
        return len(self.store.notices(run_id))


@pytest.mark.parametrize(("left", "asked"), [(1, 2), (2, 1), (3, 0), (None, 0)])
def test_of_three_like_calls_as_many_as_uses_are_left_need_no_request(
    store: Store, left: int | None, asked: int
) -> None:
    clerks = Clerks(store)
    clerks.granted(left)
    run_id = clerks.start(1, 2, 3)
    status = clerks.runner().advance(run_id)
    assert status is (Status.SUSPENDED if asked else Status.COMPLETED)
    assert len(clerks.open_requests(run_id)) == clerks.notified(run_id) == asked
    assert len(clerks.paid) == 3 - asked
    assert clerks.uses() == 3 - asked
    for _ in range(asked):
        clerks.answer(run_id, BOB)
    if asked:
        assert clerks.runner().advance(run_id) is Status.COMPLETED
    assert sorted(clerks.paid) == [1, 2, 3]
    assert clerks.head(run_id).stalls == 0


def test_a_grant_is_counted_over_all_frames_of_a_run(store: Store) -> None:
    clerks = Clerks(store)
    clerks.granted(2)
    tasks = calls(*(("clerk", {"input": "5"}) for _ in range(4)))
    clerks.model.scripts = {**clerks.model.scripts, "chief": [tasks, say("all done")]}
    run_id = clerks.services.runs.start("chief", "go").run_id
    assert clerks.runner().advance(run_id) is Status.SUSPENDED
    assert len(clerks.open_requests(run_id)) == clerks.notified(run_id) == 2
    assert (clerks.paid, clerks.uses()) == ([5, 5], 2)


def test_a_turn_of_more_calls_than_one_transaction_takes_uses_a_grant_to_its_end(
    store: Store,
) -> None:
    clerks = Clerks(store)
    clerks.granted(50)
    run_id = clerks.start(*range(60))
    assert clerks.runner().advance(run_id) is Status.SUSPENDED
    assert (len(clerks.paid), clerks.uses()) == (50, 50)
    assert len(clerks.open_requests(run_id)) == clerks.notified(run_id) == 10


def test_a_used_up_grant_still_leaves_the_vote_that_it_has_cast(store: Store) -> None:
    clerks = Clerks(store, needed=2)
    run_id = clerks.start(700)
    clerks.runner().advance(run_id)
    terms = GrantTerms(seconds=3600, rules={"amount": "up_to"}, max_uses=1)
    clerks.answer(run_id, ANN, grant=terms)
    clerks.answer(run_id, BOB)
    clerks.runner().advance(run_id)
    clerks.paid.clear()
    run_id = clerks.start(1, 2)
    assert clerks.runner().advance(run_id) is Status.SUSPENDED
    assert (clerks.uses(), clerks.paid) == (1, [])
    votes = [
        len(call.approval.votes)
        for _, call in clerks.services.runs.load(run_id).continuation.calls()
        if call.approval
    ]
    assert sorted(votes) == [0, 1]


class Between:
    """A store on which something happens just before the next commit that uses a grant."""

    def __init__(self, store: Store, happen: Callable[[], object]) -> None:
        self._store = store
        self._happen: Callable[[], object] | None = happen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, run_id: str, **terms: Any) -> bool:
        happen = self._happen
        if happen and terms["uses"]:
            self._happen = None
            happen()
        return self._store.commit(run_id, **terms)


def raced(clerks: Clerks, happen: Callable[[], object], *amounts: int) -> tuple[str, Status | None]:
    """A run that has read the grants before something happens, and commits after it."""
    run_id = clerks.start(*amounts)
    between = cast(Store, Between(clerks.store, happen))
    return run_id, clerks.runner(between).advance(run_id)


def test_of_two_runs_that_compete_for_the_last_use_one_asks_people(store: Store) -> None:
    clerks = Clerks(store)
    clerks.granted(1)
    first = clerks.start(1)
    run_id, status = raced(clerks, lambda: clerks.runner().advance(first), 2)
    assert clerks.head(first).status is Status.COMPLETED
    assert status is Status.SUSPENDED
    assert (clerks.uses(), len(clerks.open_requests(run_id)), clerks.notified(run_id)) == (1, 1, 1)
    clerks.answer(run_id, BOB)
    assert clerks.runner().advance(run_id) is Status.COMPLETED


def test_a_run_that_loses_one_of_its_uses_to_another_takes_those_that_are_left(
    store: Store,
) -> None:
    clerks = Clerks(store)
    clerks.granted(3)
    first = clerks.start(1)
    run_id, status = raced(clerks, lambda: clerks.runner().advance(first), 2, 3, 4)
    assert status is Status.SUSPENDED
    assert (clerks.uses(), len(clerks.paid)) == (3, 3)
    assert len(clerks.open_requests(run_id)) == clerks.notified(run_id) == 1


def test_a_grant_that_is_revoked_before_the_commit_is_not_used(store: Store) -> None:
    clerks = Clerks(store)
    grant = clerks.granted(None)
    run_id, status = raced(
        clerks, lambda: clerks.services.grants.revoke(grant.grant_id, by=ANN), 2, 3
    )
    assert status is Status.SUSPENDED
    assert (clerks.uses(), clerks.paid) == (0, [])
    assert len(clerks.open_requests(run_id)) == clerks.notified(run_id) == 2
