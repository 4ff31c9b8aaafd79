"""The continuation: one immutable, recursive value with all that a run needs to go on.

Nothing in it is derived from code that may change: an agent's instructions and limits are pinned
when its frame starts, and what each call needs (its effect, its approval) when the model asks.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from agent_continuations.core.approvals.policy import ApprovalPolicy, Preview, Risk
from agent_continuations.core.approvals.request import ApprovalRequest, Decision
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, Step, parse_path, path_text
from agent_continuations.core.plans import ConditionPlan, Plan, RefusedPlan
from agent_continuations.core.replies import Reply
from agent_continuations.core.waits import ChildWait, QuestionWait, Wait

MAX_DEPTH = 32


MAX_CALLS_PER_TURN = 128


# Together with those that become runs of their own, which are for width.
MAX_CALLS_WITH_RUNS = 256


MAX_FAULTY_TURNS = 3


# Where a frame is held has the place of a call that comes after all that a turn can have.
CONDITION_INDEX_BASE = 900


class Message(FrozenModel):
    """What somebody said to a run after its start."""

    message_id: str
    text: str
    sender: str | None = None
    at: datetime


class Signal(FrozenModel):
    """An event from outside that no call has taken yet."""

    event_id: str
    name: str
    correlation: str | None = None
    payload: Any = None
    at: datetime


class Intent(FrozenModel):
    """A tool is about to run or has run. Past the deadline its owner cannot be alive."""

    attempt: int
    started_at: datetime
    deadline: datetime


class Doubt(FrozenModel):
    """A `once` tool may or may not have happened; a person has been asked.

    Those who approved the call are asked, or the operators where it needed no approval. Where
    there are none of these either, whoever may call the API can answer.
    """

    request_id: str
    intent: Intent
    approvers: tuple[str, ...] = ()
    requested_at: datetime


class Call(FrozenModel):
    """A tool call with what is known of it.

    Attributes:
        attempts: how many are over for certain.
        wait: where the outcome comes from, once the tool has said that it comes later.
    """

    plan: Plan
    approval: ApprovalRequest | None = None
    decision: Decision | None = None
    intent: Intent | None = None
    doubt: Doubt | None = None
    wait: Wait | None = None
    child: "Continuation | None" = None
    outcome: Outcome | None = None
    attempts: int = 0

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that run, or would: an approver's where edited, else the model's."""
        if isinstance(self.plan, RefusedPlan):
            return {}
        if self.decision:
            edited = self.decision.arguments
        else:
            edited = self.approval.arguments if self.approval else None
        return self.plan.arguments if edited is None else edited

    @property
    def risk(self) -> Risk:
        """How surely one must know who decides on the call."""
        gate = self.gate
        if gate is None:
            return Risk.LOW
        return self.approval.risk_by(gate) if self.approval else gate.risk

    @property
    def preview(self) -> Preview | None:
        """What the tool's author says of the call as it is asked about now."""
        gate = self.gate
        if gate is None or self.approval is None:
            return gate.preview if gate else None
        return self.approval.preview_by(gate)

    @property
    def gate(self) -> ApprovalPolicy | None:
        """The approval that the call needs, or whose answer it waits for."""
        if self.question:
            return self.question.gate
        return None if isinstance(self.plan, RefusedPlan) else self.plan.gate

    @property
    def asks(self) -> Literal["approval", "question", "condition"]:
        """What its `approval` is a request for."""
        if isinstance(self.plan, ConditionPlan):
            return "condition"
        return "question" if self.question else "approval"

    @property
    def question(self) -> QuestionWait | None:
        """The question that its tool has put to people; None where it has put none."""
        return self.wait if isinstance(self.wait, QuestionWait) else None

    @property
    def child_run(self) -> str | None:
        """The id of the run that the call has started; None where it has started none."""
        return self.wait.run_id if isinstance(self.wait, ChildWait) else None


class Turn(FrozenModel):
    """One model reply and the calls that it asks for.

    Attributes:
        heard: what people had said since the turn before.
    """

    reply: Reply
    calls: tuple[Call, ...] = ()
    heard: tuple[Message, ...] = ()

    @property
    def settled(self) -> bool:
        """Every call of the turn has its outcome."""
        return all(call.outcome for call in self.calls)


class Continuation(FrozenModel):
    """A frame: one agent at work on one input, its turns so far, its sub-agents inside them.

    Attributes:
        output: the JSON schema that the answer must fit, if it must fit one.
        holds: where conditions held, by place as `turn.call`.
        failed: why the whole run ended before its time; only the root frame has it.
        messages: what people have said, and the model has not heard yet; only the root's.
        signals: events that no call has taken yet, the oldest first; only the root's.
    """

    version: Literal[1] = 1
    agent: str
    instructions: str
    input: str
    max_turns: int
    output: dict[str, Any] | None = None
    started_at: datetime | None = None
    turns: tuple[Turn, ...] = ()
    holds: dict[str, Call] = Field(default={})
    failed: str | None = None
    messages: tuple[Message, ...] = ()
    signals: tuple[Signal, ...] = ()

    @property
    def outcome(self) -> Outcome | None:
        """How the frame ended, or None while it goes on."""
        if self.failed is not None:
            return Outcome(kind="error", content=self.failed)
        for hold in self.holds.values():
            if hold.outcome and hold.outcome.kind == "rejected":
                return Outcome(kind="error", content=hold.outcome.content)
        if not self.turns or self.messages:
            return None
        last = self.turns[-1]
        if not last.calls and last.reply.fault is None:
            return Outcome(kind="ok", content=last.reply.content or "")
        if not last.settled:
            return None
        return self._exhausted()

    def _exhausted(self) -> Outcome | None:
        """How the frame failed, if its model has come to nothing in the turns that it has.

        They are counted from what a person said last.
        """
        heard = max((n for n, turn in enumerate(self.turns) if turn.heard), default=0)
        turns = self.turns[heard:]
        faults = [turn.reply.fault for turn in turns[-MAX_FAULTY_TURNS:] if not turn.calls]
        if len(faults) == MAX_FAULTY_TURNS:
            why = ", ".join(str(fault) for fault in faults)
            return Outcome(kind="error", content=f"the model gave no usable answer: {why}")
        if len(turns) >= self.max_turns:
            return Outcome(kind="error", content=f"the limit of {self.max_turns} turns is reached")
        return None

    @property
    def hold(self) -> tuple[Step, Call] | None:
        """Where the frame is held, and people have not let it go on."""
        for place, call in self.holds.items():
            if not call.outcome:
                return parse_path(place)[0], call
        return None

    def calls(self, path: Path = ()) -> Iterator[tuple[Path, Call]]:
        """Every call of the tree with its path, a call before those inside it."""
        for number, turn in enumerate(self.turns):
            for index, call in enumerate(turn.calls):
                at = (*path, Step(number, index))
                yield at, call
                if call.child:
                    yield from call.child.calls(at)
        for place, hold in self.holds.items():
            yield (*path, *parse_path(place)), hold

    def frames(self) -> Iterator["Continuation"]:
        """This frame and all inside it."""
        yield self
        for turn in self.turns:
            for call in turn.calls:
                if call.child:
                    yield from call.child.frames()

    def call_at(self, path: Path) -> Call:
        """The call at `path`.

        Raises:
            LookupError: there is none.
        """
        frame: Continuation | None = self
        call: Call | None = None
        for step in path:
            if frame is None:
                raise LookupError(path)
            call = frame._call(step)
            frame = call.child
        if call is None:
            raise LookupError(path)
        return call

    def frame_at(self, path: Path) -> "Continuation":
        """The frame that the call at `path` started; the root for the empty path.

        Raises:
            LookupError: there is none.
        """
        frame = self.call_at(path).child if path else self
        if frame is None:
            raise LookupError(path)
        return frame

    def agents_to(self, path: Path) -> tuple[str, ...]:
        """The names of the agents from the root to the one that made the call at `path`."""
        return tuple(self.frame_at(path[:depth]).agent for depth in range(len(path)))

    def _call(self, step: Step) -> Call:
        if hold := self.holds.get(path_text((step,))):
            return hold
        if step.turn >= len(self.turns) or step.call >= len(self.turns[step.turn].calls):
            raise LookupError(step)
        return self.turns[step.turn].calls[step.call]
