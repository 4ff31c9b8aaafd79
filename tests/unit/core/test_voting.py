"""Votes in any order and at once: a call is approved only if enough different approvers agreed to
it in every stage, and the audit trail has all of it.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from agent_continuations import Agent, Approval, Escalation, ScriptedModel, Stage, call, say, tool
from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.audit_chain import audit_entry, faults
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.lookup import find_request
from agent_continuations.core.decisions.responses import (
    Decide,
    Reassign,
    Response,
    WithdrawApproval,
)
from agent_continuations.core.run import LoadedRun
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import Conflict, Invalid
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.operations.stuck_runs import why_stuck
from agent_continuations.services.services import Services
from tests.crash.approval_oracle import audit_events, was_approved

PEOPLE = [f"{name}@example.com" for name in ("ann", "bob", "carl", "dora", "eve")]
START = datetime(2026, 11, 25, tzinfo=UTC)

people = st.sampled_from(PEOPLE)
stages = st.lists(
    st.lists(people, min_size=1, max_size=3, unique=True).flatmap(
        lambda asked: st.builds(Stage, approvers=st.just(asked), needed=st.integers(1, len(asked)))
    ),
    min_size=1,
    max_size=3,
)
policies = st.builds(
    Approval,
    stages=stages,
    timeout_seconds=st.just(1000),
    self_approval=st.booleans(),
    on_deadline=st.sampled_from(["reject", "fail"]),
    remind_after_seconds=st.sampled_from([(), (300,)]),
    escalations=st.lists(
        st.builds(
            Escalation,
            approvers=st.lists(people, min_size=1, max_size=2, unique=True).map(tuple),
            timeout_seconds=st.just(500),
        ),
        max_size=1,
    ),
)
responses = st.one_of(
    st.builds(
        Decide,
        verdict=st.sampled_from([Verdict.APPROVE] * 6 + [Verdict.REJECT]),
        arguments=st.sampled_from([None, None, None, {"amount": 1}, {"amount": 2}]),
        approver=people,
        via=st.just("link"),
    ),
    st.builds(WithdrawApproval, approver=people, via=st.just("link")),
    st.builds(Reassign, to=people, approver=people, via=st.just("link")),
    st.floats(1, 600),
)


@dataclass
class Harness:
    """One call that needs approval, and a clock that the test moves."""

    policy: Approval
    now: datetime = START
    paid: list[int] = field(default_factory=list)
    seen: LoadedRun | None = None

    def __post_init__(self) -> None:
        @tool(approval=self.policy)
        def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return "paid"

        store = InMemoryStore()
        registry = Registry([Agent("clerk", "Pay.", tools=[pay])])
        self.runner = Runner(
            store=store,
            model=ScriptedModel({"clerk": [call("pay", amount=7), say("done")]}),
            registry=registry,
            queue=LocalWorkQueue(),
            clock=lambda: self.now,
        )
        self.services = Services.of(
            store=store, queue=LocalWorkQueue(), registry=lambda: registry, clock=lambda: self.now
        )
        self.run_id = self.services.runs.start("clerk", "pay", requester=PEOPLE[4]).run_id
        self.runner.advance(self.run_id)

    def respond(self, what: Response | float, *, late: bool) -> None:
        """Respond, perhaps to the run as it was before the last response; or let time pass."""
        if isinstance(what, float):
            self.now += timedelta(seconds=what)
            self.runner.advance(self.run_id)
            return
        now = self.services.runs.load(self.run_id)
        seen, self.seen = (self.seen or now) if late else now, now
        [(_, asked)] = seen.continuation.calls()
        assert asked.approval
        request = find_request(seen, asked.approval.request_id)
        try:
            self.services.decisions.decide_loaded(seen, request, what)
        except (Conflict, Invalid):
            return
        self.runner.advance(self.run_id)


@settings(max_examples=300)
@given(policies, st.lists(st.tuples(responses, st.booleans()), max_size=25))
def test_a_call_runs_only_with_enough_approvals(
    policy: Approval, said: list[tuple[Response | float, bool]]
) -> None:
    harness = Harness(policy)
    for what, late in said:
        harness.respond(what, late=late)
    loaded = harness.services.runs.load(harness.run_id)
    [(path, asked)] = loaded.continuation.calls()
    if harness.paid:
        assert asked.decision
        assert harness.paid == [asked.arguments["amount"]]
        assert was_approved(loaded, path, {"amount": harness.paid[0]})
    elif asked.decision:
        assert asked.decision.verdict is Verdict.REJECT
    else:
        assert why_stuck(loaded.head, loaded.continuation, harness.now) is None
    entries = [audit_entry(each) for each in audit_events(loaded.snapshot.events())]
    assert faults(entries, loaded.head.trail) == []
