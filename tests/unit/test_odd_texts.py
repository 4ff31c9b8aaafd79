"""Half a surrogate pair, which UTF-8 cannot express, breaks no write: each store holds a `?`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agent_continuations import (
    Agent,
    Approval,
    Escalation,
    Job,
    LocalRunner,
    Preview,
    Question,
    ScriptedModel,
    Stage,
    WaitFor,
    call,
    say,
    tool,
)
from agent_continuations.adapters.models.scripted import Script
from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.authoring.agent import AnyTool
from agent_continuations.authoring.conditions import Condition
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.policy import Risk
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.base import storable
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.decisions.responses import (
    Decide,
    GrantTerms,
    Reassign,
    Response,
    WithdrawApproval,
)
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.run import RunHead, Status
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import (
    Conflict,
    Fatal,
    Forbidden,
    Invalid,
    KeyReused,
    ModelUnavailable,
)
from agent_continuations.notifications.outbox import NoticeDispatcher
from agent_continuations.notifications.routes import NotificationRoutes
from agent_continuations.ports.store import Store
from agent_continuations.services.services import Services
from tests.support.recording_queue import RecordingQueue
from tests.support.simulated_store import simulated_store

ANN, BOB = "ann@example.com", "bob@example.com"
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
# A high half, a low half, both in the wrong order, and one beside whole characters.
HALVES = ["\ud800", "\udfff", "\udc00\ud83d", "é\ud83d 😀"]


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return InMemoryStore()
    return simulated_store().store


@pytest.fixture(params=HALVES, ids=["high", "low", "reversed", "among-others"])
def odd(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Desk:
    """One agent over a store, and the requests that its users send."""

    def __init__(self, store: Store, *tools: AnyTool, script: Script = (), **agent: Any) -> None:
        self.store, self.now, self.queue = store, NOW, RecordingQueue()
        self.model = ScriptedModel({"a": script or [say("done")]})
        self.registry = Registry([Agent("a", **{"tools": tools, **agent})])
        self.services = Services.of(
            store=store, queue=self.queue, registry=lambda: self.registry, clock=lambda: self.now
        )
        self.runner = Runner(
            store=store,
            model=self.model,
            registry=self.registry,
            queue=self.queue,
            clock=lambda: self.now,
        )

    def start(self, input: str = "go", **more: Any) -> str:
        self.run_id = self.services.runs.start("a", input, **more).run_id
        return self.run_id

    def advance(self) -> Status | None:
        return self.runner.advance(self.run_id)

    @property
    def root(self) -> Continuation:
        return self.services.runs.load(self.run_id).continuation

    @property
    def head(self) -> RunHead:
        return self.services.runs.load(self.run_id).head

    def respond(self, response: Response) -> None:
        [(_, asked)] = [each for each in self.root.calls() if each[1].approval]
        assert asked.approval
        self.services.decisions.decide(self.run_id, asked.approval.request_id, response)

    def outcome(self) -> str:
        [(_, only)] = self.root.calls()
        assert only.outcome
        return only.outcome.content

    def check_stored(self) -> None:
        """All that is stored of the run can be written as UTF-8."""
        loaded = self.services.runs.load(self.run_id)
        for each in (loaded.head, loaded.continuation, *self.store.notices(self.run_id)):
            each.model_dump_json().encode()
            json.dumps(each.model_dump(mode="json"), ensure_ascii=False).encode()
        for event in loaded.snapshot.events():
            json.dumps(event.model_dump(mode="json"), ensure_ascii=False).encode()


# -- the rule --------------------------------------------------------------------------------------


class Part(BaseModel):
    text: str = ""
    more: Any = None


TEXTS = st.text(alphabet=st.characters(codec=None, categories=("L", "Cs", "So")))
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXTS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(TEXTS, inner)
        | st.builds(Part, text=TEXTS, more=inner)
    ),
)


@given(VALUES)
def test_a_storable_value_is_well_formed_at_any_depth(value: Any) -> None:
    made = storable(value)
    text = repr(made) if made != made else Part(more=made).model_dump_json()
    assert not any("\ud800" <= each <= "\udfff" for each in text)
    assert storable(made) is made


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_well_formed_text_is_unchanged(text: str) -> None:
    assert storable(text) is text
    assert storable({text: [text]}) == {text: [text]}


def test_an_enumeration_keeps_its_type(odd: str) -> None:
    made = storable(Part(text=odd, more=[Risk.HIGH]))
    assert made.more[0] is Risk.HIGH
    assert made.text == odd.encode(errors="replace").decode()


# -- what people and programs send -----------------------------------------------------------------


def test_an_input_its_labels_and_its_requester_are_stored(store: Store, odd: str) -> None:
    desk = Desk(store)
    desk.start(f"pay {odd}", metadata={odd: odd, "a": f"b{odd}"}, requester=odd)
    assert desk.advance() is Status.COMPLETED
    desk.check_stored()
    shown = storable(odd)
    assert desk.root.input == f"pay {shown}"
    assert desk.head.metadata == {shown: shown, "a": f"b{shown}"}
    assert desk.head.requester == shown


def test_an_idempotency_key_of_any_characters_starts_one_run(store: Store, odd: str) -> None:
    desk = Desk(store)
    first = desk.start("go", key=odd)
    assert desk.start("go", key=odd) == first
    assert desk.start("go", key=storable(odd)) != first
    with pytest.raises(KeyReused):
        desk.start("stop", key=odd)


def test_a_request_with_odd_characters_is_the_same_when_it_is_repeated(
    store: Store, odd: str
) -> None:
    desk = Desk(store)
    about: dict[str, Any] = {"key": "k", "metadata": {odd: odd}, "requester": odd}
    assert desk.start(odd, **about) == desk.start(odd, **about)


def test_messages_are_stored_once_by_their_key(store: Store, odd: str) -> None:
    desk = Desk(store, script=lambda request: say(str(request.messages[-1]["content"])))
    desk.start()
    sent = [
        desk.services.inbound.message(desk.run_id, f"and {odd}", key=odd, sender=odd)
        for _ in range(2)
    ]
    assert sent[0] == sent[1]
    desk.services.inbound.message(desk.run_id, "more", key=storable(odd))
    assert desk.advance() is Status.COMPLETED
    desk.check_stored()
    assert sent[0].text == f"and {storable(odd)}"


def test_an_event_is_taken_by_the_call_that_waits_for_the_same_name(store: Store, odd: str) -> None:
    @tool
    def wait() -> WaitFor:
        """Wait."""
        return WaitFor(f"paid {odd}", correlation=odd, timeout_seconds=60)

    desk = Desk(store, wait, script=[call("wait"), say("done")])
    desk.start()
    assert desk.advance() is Status.SUSPENDED
    for _ in range(2):
        desk.services.inbound.signal(
            desk.run_id, f"paid {odd}", {odd: [odd, {"a": odd}]}, correlation=odd, key=odd
        )
    assert desk.advance() is Status.COMPLETED
    desk.check_stored()
    shown = storable(odd)
    assert json.loads(desk.outcome()) == {shown: [shown, {"a": shown}]}


@pytest.mark.parametrize("kind", ["ok", "error"])
def test_a_job_and_its_outcome_are_stored(store: Store, odd: str, kind: Any) -> None:
    @tool
    def ship() -> Job:
        """Ship."""
        return Job({odd: [odd, 1]}, timeout_seconds=60)

    desk = Desk(store, ship, script=[call("ship"), say("done")])
    desk.start()
    assert desk.advance() is Status.SUSPENDED
    desk.check_stored()
    for _ in range(2):
        outcome = Outcome(kind=kind, content=f"shipped {odd}")
        desk.services.inbound.complete(desk.run_id, "0.0", outcome)
    assert desk.advance() is Status.COMPLETED
    desk.check_stored()
    assert desk.outcome() == f"shipped {storable(odd)}"


def gated(store: Store, **policy: Any) -> Desk:
    @tool(approval=Approval(**{"approvers": [ANN], **policy}))
    def pay(amount: int, to: str = "x") -> str:
        """Pay."""
        return f"paid {amount} to {to}"

    desk = Desk(store, pay, script=[call("pay", amount=1), say("done")])
    desk.start()
    assert desk.advance() is Status.SUSPENDED
    return desk


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_decision_is_stored_with_its_reason_and_attribution(
    store: Store, odd: str, verdict: Verdict
) -> None:
    desk = gated(store)
    for _ in range(2):
        desk.respond(
            Decide(
                verdict=verdict,
                approver=ANN,
                decided_by=odd,
                via="api",
                reason=odd,
                groups=(odd,),
                authentication=odd,
            )
        )
    assert desk.advance() is Status.COMPLETED
    desk.check_stored()
    [(_, decided)] = desk.root.calls()
    assert decided.decision
    assert decided.decision.reason == storable(odd)


def test_a_withdrawal_and_a_reassignment_are_stored(store: Store, odd: str) -> None:
    desk = gated(store, approvers=[ANN, BOB], needed=2, delegates=["*@example.com"])
    desk.respond(Decide(verdict=Verdict.APPROVE, approver=ANN, via="api"))
    desk.respond(WithdrawApproval(approver=ANN, via="api", reason=odd, authentication=odd))
    desk.respond(
        Reassign(approver=ANN, to="carl@example.com", via="api", reason=odd, decided_by=odd)
    )
    desk.advance()
    desk.check_stored()
    [(_, asked)] = desk.root.calls()
    assert asked.approval
    assert "carl@example.com" in asked.approval.approvers


@pytest.mark.parametrize("about", ["approver", "arguments_hash"])
def test_an_unknown_approver_or_hash_is_refused_as_any_other(
    store: Store, odd: str, about: str
) -> None:
    desk = gated(store)
    given: dict[str, Any] = {"approver": ANN, about: odd}
    with pytest.raises((Conflict, Forbidden)):
        desk.respond(Decide(verdict=Verdict.APPROVE, via="api", **given))


def test_edited_arguments_are_refused_and_not_changed(store: Store, odd: str) -> None:
    desk = gated(store)
    edited = {"amount": 1, "to": odd}
    with pytest.raises(Invalid):
        desk.respond(Decide(verdict=Verdict.APPROVE, approver=ANN, via="api", arguments=edited))
    assert desk.head.trail.number == 1


def test_the_terms_of_a_grant_are_refused_as_any_other(store: Store, odd: str) -> None:
    desk = gated(store, grant_seconds=60)
    terms = GrantTerms(seconds=60, rules={odd: "any"})
    with pytest.raises(Invalid, match="unknown argument"):
        desk.respond(Decide(verdict=Verdict.APPROVE, approver=ANN, via="api", grant=terms))


def test_a_grant_is_stored_and_revoked(store: Store, odd: str) -> None:
    desk = gated(store, grant_seconds=60)
    desk.respond(
        Decide(
            verdict=Verdict.APPROVE,
            approver=ANN,
            via="api",
            authentication=odd,
            grant=GrantTerms(seconds=60, rules={"to": "any"}),
        )
    )
    [grant] = desk.services.grants.all(ANN)
    assert desk.services.grants.all(odd) == []
    assert desk.services.grants.revoke(grant.grant_id, by=odd).revoked_by == storable(odd)
    desk.services.grants.all()[0].model_dump_json()


def test_an_answer_is_refused_and_not_changed(store: Store, odd: str) -> None:
    @tool
    def ask() -> Question:
        """Ask."""
        return Question(f"{odd}?", ask=[ANN])

    desk = Desk(store, ask, script=[call("ask"), say("done")])
    desk.start()
    assert desk.advance() is Status.SUSPENDED
    desk.check_stored()
    with pytest.raises(Invalid):
        desk.respond(Decide(verdict=Verdict.APPROVE, answer=odd, approver=ANN, via="api"))
    desk.respond(Decide(verdict=Verdict.APPROVE, answer="yes", approver=ANN, via="api"))
    assert desk.advance() is Status.COMPLETED


def test_ids_of_odd_characters_are_not_found(store: Store, odd: str) -> None:
    desk = gated(store)
    response = Decide(verdict=Verdict.APPROVE, approver=ANN, via="api")
    lookups: list[Callable[[], Any]] = [
        lambda: desk.services.runs.load(odd),
        lambda: desk.services.control.cancel(odd),
        lambda: desk.services.decisions.decide(odd, "q", response),
        lambda: desk.services.decisions.decide(desk.run_id, odd, response),
        lambda: desk.services.grants.revoke(odd, by=ANN),
        lambda: desk.services.inbound.complete(desk.run_id, odd, Outcome(kind="ok", content="")),
        lambda: desk.services.runs.start(odd, "go"),
        lambda: desk.services.runs.page(cursor=odd),
    ]
    for look_up in lookups:
        with pytest.raises(Invalid) as caught:
            look_up()
        str(caught.value).encode()
    assert desk.services.runs.page(agent=odd).heads == ()


# -- what authors, models and channels give --------------------------------------------------------


def test_an_agent_of_odd_texts_runs(store: Store, odd: str) -> None:
    class Answer(BaseModel):
        text: str = Field(description=odd, examples=[odd])

    def describe(_arguments: Any) -> Preview:
        return Preview(effect=f"pays {odd}")

    policy = Approval(stages=[Stage([ANN, BOB])], delegates=[odd])

    @tool(approval=policy, preview=describe)
    def pay(amount: int) -> str:
        """Pay."""
        return odd

    desk = Desk(
        store,
        pay,
        script=[call("pay", amount=1), say(json.dumps({"text": "done"}))],
        instructions=f"Be {odd}.",
        output_type=Answer,
    )
    desk.start()
    assert desk.advance() is Status.SUSPENDED
    desk.check_stored()
    desk.respond(Decide(verdict=Verdict.APPROVE, approver=ANN, via="api"))
    assert desk.advance() is Status.COMPLETED
    desk.check_stored()
    assert desk.outcome() == storable(odd)


def test_a_policy_takes_no_odd_approvers(odd: str) -> None:
    with pytest.raises(ValueError, match="cannot be seen"):
        Stage([odd, ANN])
    escalation = Escalation(approvers=(odd, BOB), timeout_seconds=60)
    with pytest.raises(ValueError, match="cannot be seen"):
        Approval([ANN], escalations=[escalation])


def test_an_agent_within_an_agent_runs_with_odd_instructions(store: Store, odd: str) -> None:
    inner = Agent("inner", instructions=odd)
    for spawn in (False, True):
        as_tool = inner.as_tool(description=odd, spawn=spawn)
        desk = Desk(store, as_tool, script=[call("inner", input="go"), say("done")])
        desk.model.scripts = {**desk.model.scripts, "inner": [say(odd)]}
        desk.start()
        desk.advance()
        desk.check_stored()


def test_a_condition_says_why_in_odd_words(store: Store, odd: str) -> None:
    def fails(_frame: Continuation, _now: datetime) -> bool:
        raise ValueError(odd)

    @tool(effect="read")
    def look() -> str:
        """Look."""
        return odd

    condition = Condition(name="mine", approval=Approval([ANN]), check=fails)
    desk = Desk(store, look, script=[call("look"), say("done")], conditions=[condition])
    desk.start()
    assert desk.advance() is Status.SUSPENDED
    desk.check_stored()


@pytest.mark.parametrize("content", [True, False])
def test_a_models_reply_is_stored(store: Store, odd: str, content: bool) -> None:
    @tool
    def note(text: str) -> str:
        """Note."""
        return text

    named = [call(f"note{odd}", text="x"), call("note", text=odd), say(odd)]
    desk = Desk(store, note, script=[say(odd)] if content else named)
    desk.start()
    assert desk.advance() is Status.COMPLETED
    desk.check_stored()


@pytest.mark.parametrize("error", [RuntimeError, Fatal, ModelUnavailable])
def test_why_a_model_fails_is_stored(store: Store, odd: str, error: type[Exception]) -> None:
    def fails(_request: Any) -> Any:
        raise error(f"no {odd}")

    desk = Desk(store, script=fails)
    desk.start()
    desk.advance()
    desk.check_stored()
    pause = desk.head.model_pause
    assert f"no {storable(odd)}" in (pause.reason if pause else desk.head.note or "")


@pytest.mark.parametrize("error", [ValueError, KeyError, BaseException])
def test_why_a_tool_fails_is_stored(store: Store, odd: str, error: type[BaseException]) -> None:
    @tool
    def fail() -> str:
        """Fail."""
        raise error(odd) from ValueError(odd)

    desk = Desk(store, fail, script=[call("fail"), say("done")])
    desk.start()
    assert desk.advance() is Status.COMPLETED
    desk.check_stored()


def test_why_a_notice_fails_is_stored(store: Store, odd: str) -> None:
    class Failing:
        def deliver(self, *_: object) -> None:
            raise RuntimeError(f"no {odd}")

    desk = gated(store)
    [notice] = store.notices(desk.run_id)
    routes = NotificationRoutes({})
    dispatcher = NoticeDispatcher(
        store, {"email": Failing(), "inbox": Failing()}, routes, clock=lambda: NOW
    )
    dispatcher.deliver(desk.run_id, notice.notice_id)
    [stored] = store.notices(desk.run_id)
    failed = [f"{channel}:{ANN}: no {storable(odd)}" for channel in ("email", "inbox")]
    assert stored.failure == "; ".join(failed)


def test_a_document_of_a_run_with_odd_texts_is_loaded_elsewhere(odd: str) -> None:
    @tool(approval=Approval([ANN]))
    def pay() -> str:
        """Pay."""
        return odd

    def runner() -> LocalRunner:
        model = ScriptedModel({"a": [call("pay"), say(odd)]})
        return LocalRunner([Agent("a", odd, tools=[pay])], model, signing_key="shared")

    here, there = runner(), runner()
    run = here.start("a", odd, key=odd, requester=odd)
    moved = there.load(here.dump(run.run_id))
    [waiting] = moved.waiting
    assert waiting.request_id
    there.decide(run.run_id, waiting.request_id, "approve", approver=ANN, reason=odd)
    assert there.get(run.run_id).status is Status.COMPLETED
    there.dump(run.run_id).encode()
