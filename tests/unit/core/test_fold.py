"""`effects` and `fold` over random trees of agents.

A hypothetical world answers each effect: a model's reply is drawn when it is asked for, and stored.
After every event the whole state is dropped and folded again from the journal.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_continuations.core.approvals.policy import ApprovalPolicy, Stage
from agent_continuations.core.approvals.request import ApprovalRequest, Decision, Verdict
from agent_continuations.core.awaiting import Await
from agent_continuations.core.continuation import Call, Continuation, Doubt, Intent
from agent_continuations.core.effects import (
    AskApproval,
    AskIfHappened,
    CallModel,
    NextEffect,
    RunTool,
    effects,
)
from agent_continuations.core.events import (
    ApprovalRequested,
    Decided,
    DoubtResolved,
    Event,
    MarkedInDoubt,
    ModelReplied,
    Started,
    ToolStarted,
)
from agent_continuations.core.fold import apply, fold
from agent_continuations.core.keys import START_KEY, call_key, reply_key
from agent_continuations.core.path import Path, Step, parse_path, path_text
from agent_continuations.core.plans import AgentPlan, Effect, Plan, RefusedPlan, ToolPlan
from agent_continuations.core.replies import Reply, ToolRequest
from agent_continuations.core.transcript import chat_messages
from agent_continuations.errors import IllegalEvent
from tests.support.events import tool_returned

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ANYBODY = Stage(approvers=("a@example.com",))
ROOT_FRAME = Continuation(agent="root", instructions="be", input="go", max_turns=4)


@dataclass
class SimulatedRun:
    """The stored journal of a run, and the model calls and tools that were really executed."""

    data: st.DataObject
    journal: dict[str, Event] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    done: list[tuple[str, Path]] = field(default_factory=list)
    verdicts: dict[Path, Verdict] = field(default_factory=dict)
    calls_made: int = 0

    def load(self) -> Continuation:
        root = fold(self.journal[key] for key in sorted(self.journal))
        for path, intent in self.intents.items():
            if not root.call_at(parse_path(path)).outcome:
                root = apply(root, ToolStarted(path=path, intent=intent))
        return root

    def perform(self, root: Continuation, effect: NextEffect) -> Continuation:
        """Perform one effect, store its event, and fold it."""
        path = path_text(effect.path)
        event: Event
        match effect:
            case CallModel():
                key, event = reply_key(effect.path, effect.turn), self.reply(effect)
                self.done.append((f"model {effect.turn}", effect.path))
            case AskApproval():
                key, event = call_key(effect.path, "approval"), ask(effect.path)
            case RunTool() if effect.effect is not Effect.READ and self.data.draw(st.booleans()):
                # The tool was started, and its process was lost.
                intent = Intent(attempt=effect.attempt, started_at=NOW, deadline=NOW)
                self.intents[path] = intent
                return apply(root, ToolStarted(path=path, intent=intent))
            case RunTool():
                key, event = call_key(effect.path, "outcome"), tool_returned(path)
                self.done.append(("tool", effect.path))
            case AskIfHappened():
                key = call_key(effect.path, "doubt", effect.intent.attempt)
                doubt = Doubt(request_id=f"doubt {path}", intent=effect.intent, requested_at=NOW)
                event = MarkedInDoubt(path=path, doubt=doubt)
            case Await(reason="approval"):
                key, event = call_key(effect.path, "decision"), self.decide(effect)
            case Await():
                return self.settle(root, effect)
        self.journal[key] = event
        return apply(root, event)

    def reply(self, effect: CallModel) -> ModelReplied:
        """A random reply: text, a fault, or calls of every kind."""
        draw = self.data.draw
        room = self.calls_made < 14 and effect.turn < 3
        plans = draw(st.lists(plan(len(effect.path)), max_size=3)) if room else []
        self.calls_made += len(plans)
        fault = draw(st.sampled_from([None, None, "empty", "length"])) if not plans else None
        requests = tuple(ToolRequest(name=each.tool, arguments="{}") for each in plans)
        said = Reply(content=None if fault == "empty" else "ok", requests=requests, fault=fault)
        return ModelReplied(
            path=path_text(effect.path), turn=effect.turn, reply=said, calls=tuple(plans), at=NOW
        )

    def decide(self, effect: Await) -> Decided:
        verdict = self.data.draw(st.sampled_from(Verdict))
        self.verdicts[effect.path] = verdict
        return Decided(
            path=path_text(effect.path), request_id=effect.request_id, decision=decision(verdict)
        )

    def settle(self, root: Continuation, effect: Await) -> Continuation:
        """Answer a doubt; an answer that the call happened stores its outcome as well."""
        path = path_text(effect.path)
        call = root.call_at(effect.path)
        assert call.doubt
        attempt = call.doubt.intent.attempt
        verdict = self.data.draw(st.sampled_from(Verdict))
        answer = DoubtResolved(path=path, request_id=effect.request_id, decision=decision(verdict))
        self.journal[call_key(effect.path, "answer", attempt)] = answer
        root = apply(root, answer)
        if verdict is Verdict.APPROVE:
            self.done.append(("tool", effect.path))
            self.journal[call_key(effect.path, "outcome")] = tool_returned(path)
            root = apply(root, tool_returned(path))
        return root


def plan(depth: int) -> st.SearchStrategy[Plan]:
    gates = st.sampled_from([None, ApprovalPolicy(stages=(ANYBODY,), timeout_seconds=60)])
    tools = st.builds(
        ToolPlan,
        tool=st.just("t"),
        arguments=st.just({"x": None}),
        effect=st.sampled_from(Effect),
        schema_version=st.just("1"),
        gate=gates,
    )
    refused = st.just(RefusedPlan(tool="?", reason="there is no such tool"))
    if depth >= 3:
        return st.one_of(tools, refused)
    agents = st.builds(
        AgentPlan,
        tool=st.just("sub"),
        arguments=st.just({"input": "do"}),
        agent=st.just("sub"),
        instructions=st.just("be"),
        max_turns=st.just(4),
        schema_version=st.just("1"),
        gate=gates,
    )
    return st.one_of(tools, refused, agents)


def ask(path: Path) -> ApprovalRequested:
    request = ApprovalRequest(
        request_id=f"request {path_text(path)}",
        arguments_hash="hash",
        stages=(ANYBODY,),
        told=ANYBODY.approvers,
        requested_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    return ApprovalRequested(path=path_text(path), request=request)


def decision(verdict: Verdict) -> Decision:
    return Decision(
        verdict=verdict,
        approver="a@example.com",
        decided_by="a@example.com",
        via="api",
        arguments_hash="hash",
        decided_at=NOW,
    )


def gates_above(root: Continuation, path: Path) -> list[Path]:
    """The calls that need approval on the way to `path`, itself included."""
    above = [path[: depth + 1] for depth in range(len(path))]
    return [each for each in above if getattr(root.call_at(each).plan, "gate", None)]


@settings(max_examples=250)
@given(st.data())
def test_a_run_continues_from_every_prefix_of_its_journal(data: st.DataObject) -> None:
    world = SimulatedRun(data)
    started = Started(continuation=ROOT_FRAME, at=NOW)
    world.journal[START_KEY] = started
    root = apply(None, started)
    for _ in range(400):
        wanted = effects(root)
        assert wanted == tuple(sorted(wanted, key=lambda effect: effect.path))
        # A JSON round trip and a reload in another process: the same state, the same effects.
        assert Continuation.model_validate_json(root.model_dump_json()) == root
        assert world.load() == root
        if not wanted:
            break
        for effect in wanted:
            # A call that needs approval waits for it, and so does all that is below the call.
            for gated in gates_above(root, effect.path):
                if gated != effect.path or isinstance(effect, RunTool | CallModel | AskIfHappened):
                    assert world.verdicts[gated] is Verdict.APPROVE
        effect = data.draw(st.sampled_from(wanted))
        root = world.perform(root, effect)
    assert root.outcome
    # No finished effect is requested again.
    assert len(world.done) == len(set(world.done))
    for path, verdict in world.verdicts.items():
        if verdict is Verdict.REJECT:
            assert not [each for _, each in world.done if each[: len(path)] == path]


@settings(max_examples=100)
@given(st.data())
def test_every_call_in_a_transcript_has_its_result(data: st.DataObject) -> None:
    world = SimulatedRun(data)
    root = apply(None, Started(continuation=ROOT_FRAME, at=NOW))
    for _ in range(400):
        wanted = effects(root)
        if not wanted:
            break
        effect = data.draw(st.sampled_from(wanted))
        if isinstance(effect, CallModel):
            assert_answered(root.frame_at(effect.path))
        root = world.perform(root, effect)


def assert_answered(frame: Continuation) -> None:
    transcript = chat_messages(frame)
    open_ids: list[str] = []
    seen: set[str] = set()
    for message in transcript:
        assert isinstance(message["content"], str) or message.get("tool_calls")
        if message["role"] == "tool":
            open_ids.remove(message["tool_call_id"])
            continue
        assert not open_ids
        open_ids = [call["id"] for call in message.get("tool_calls", ())]
        assert not seen & set(open_ids)
        seen |= set(open_ids)
    assert not open_ids


@given(st.lists(st.tuples(st.integers(0, 99_999), st.integers(0, 999)), min_size=1, max_size=32))
def test_a_path_survives_a_round_trip(steps: list[tuple[int, int]]) -> None:
    path = tuple(Step(*step) for step in steps)
    assert parse_path(path_text(path)) == path


@pytest.mark.parametrize("text", ["0", "0.", ".0", "0.0/", "/0.0", "00.0", "0.01", "a.b", "0.0\n"])
def test_an_invalid_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        parse_path(text)


def one_call(plan: Plan) -> Continuation:
    root = apply(None, Started(continuation=ROOT_FRAME, at=NOW))
    said = Reply(requests=(ToolRequest(name="t", arguments="{}"),))
    return apply(root, ModelReplied(path="", turn=0, reply=said, calls=(plan,), at=NOW))


def tool_plan(*, gated: bool = False, effect: Effect = Effect.ONCE) -> ToolPlan:
    gate = ApprovalPolicy(stages=(ANYBODY,), timeout_seconds=60) if gated else None
    return ToolPlan(tool="t", arguments={}, effect=effect, schema_version="1", gate=gate)


def intent(attempt: int = 1) -> Intent:
    return Intent(attempt=attempt, started_at=NOW, deadline=NOW)


def doubted() -> MarkedInDoubt:
    return MarkedInDoubt(path="0.0", doubt=Doubt(request_id="d", intent=intent(), requested_at=NOW))


PENDING = one_call(tool_plan())
GATED = one_call(tool_plan(gated=True))
ENDED = apply(
    apply(None, Started(continuation=ROOT_FRAME, at=NOW)),
    ModelReplied(path="", turn=0, reply=Reply(content="bye"), at=NOW),
)


@pytest.mark.parametrize(
    ("root", "event"),
    [
        (PENDING, Started(continuation=ROOT_FRAME, at=NOW)),
        (None, tool_returned("0.0")),
        (PENDING, ModelReplied(path="", turn=1, reply=Reply(content="x"), at=NOW)),
        (PENDING, ModelReplied(path="", turn=0, reply=Reply(content="x"), at=NOW)),
        (PENDING, ModelReplied(path="0.0", turn=0, reply=Reply(content="x"), at=NOW)),
        (ENDED, ModelReplied(path="", turn=1, reply=Reply(content="x"), at=NOW)),
        (PENDING, tool_returned("0.1")),
        (PENDING, tool_returned("1.0")),
        (PENDING, tool_returned("0.0/0.0")),
        (PENDING, ask(parse_path("0.0"))),
        (PENDING, Decided(path="0.0", request_id="r", decision=decision(Verdict.APPROVE))),
        (GATED, Decided(path="0.0", request_id="r", decision=decision(Verdict.APPROVE))),
        (GATED, ToolStarted(path="0.0", intent=intent())),
        (apply(GATED, ask(parse_path("0.0"))), ask(parse_path("0.0"))),
        (one_call(tool_plan(effect=Effect.READ)), doubted()),
        (PENDING, DoubtResolved(path="0.0", request_id="d", decision=decision(Verdict.APPROVE))),
    ],
    ids=lambda value: getattr(value, "kind", "state"),
)
def test_an_illegal_event_is_refused(root: Continuation | None, event: Event) -> None:
    with pytest.raises(IllegalEvent):
        apply(root, event)


def test_the_outcome_that_was_stored_first_stands() -> None:
    root = apply(PENDING, tool_returned("0.0", "first"))
    assert apply(root, tool_returned("0.0", "late")) == root


def test_a_call_that_did_not_happen_starts_its_next_attempt() -> None:
    root = apply(apply(PENDING, ToolStarted(path="0.0", intent=intent())), doubted())
    denied = DoubtResolved(path="0.0", request_id="d", decision=decision(Verdict.REJECT))
    root = apply(root, denied)
    assert effects(root) == (RunTool(path=parse_path("0.0"), attempt=2, effect=Effect.ONCE),)
    # The first attempt's intent may still be folded after that; the attempt is over.
    assert apply(root, ToolStarted(path="0.0", intent=intent(1))) == root
    assert apply(root, ToolStarted(path="0.0", intent=intent(2))) != root


def test_a_reply_replaces_reads_by_those_that_it_was_made_from() -> None:
    root = one_call(tool_plan(effect=Effect.READ))
    other_execution = apply(root, tool_returned("0.0", "what another execution read"))
    reply = ModelReplied(
        path="", turn=1, reply=Reply(content="x"), reads=(tool_returned("0.0", "mine"),), at=NOW
    )
    assert apply(other_execution, reply) == apply(root, reply)
    outcome = apply(other_execution, reply).call_at(parse_path("0.0")).outcome
    assert outcome
    assert outcome.content == "mine"


def test_thirty_two_levels_survive_a_round_trip() -> None:
    frame = Continuation(agent="leaf", instructions="", input="go", max_turns=4)
    arguments: dict[str, object] = {"input": "do"}
    for _ in range(32):
        plan = AgentPlan(
            tool="sub",
            arguments=arguments,
            agent="sub",
            instructions="",
            max_turns=4,
            schema_version="1",
        )
        turn = {
            "reply": Reply(requests=(ToolRequest(name="sub", arguments="{}"),)),
            "calls": (Call(plan=plan, child=frame),),
        }
        frame = Continuation.model_validate(
            {"agent": "a", "instructions": "", "input": "go", "max_turns": 4, "turns": (turn,)}
        )
    assert Continuation.model_validate_json(frame.model_dump_json()) == frame
    assert len(effects(frame)[0].path) == 32
