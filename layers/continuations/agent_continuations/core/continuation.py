"""The continuation: one immutable, recursive value with all that a run needs to continue.

Nothing in it depends on code that may change: an agent's instructions and limits are pinned when
its frame starts, and the side effect and approval policy of each call when the model asks for it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from agent_continuations.core.approvals.policy import ApprovalPolicy, Preview, Risk, Stage
from agent_continuations.core.approvals.request import ApprovalRequest, Decision
from agent_continuations.core.base import FrozenModel
from agent_continuations.core.inbound import Message, Restore, Signal
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, Step, parse_path, path_text
from agent_continuations.core.plans import ConditionPlan, Plan, RefusedPlan
from agent_continuations.core.replies import Reply
from agent_continuations.core.waits import ChildWait, QuestionWait, Wait

MAX_DEPTH = 32
MAX_CALLS_PER_TURN = 128
# With calls that become child runs, which exist for wide turns.
MAX_CALLS_WITH_RUNS = 256
MAX_FAULTY_TURNS = 3
# Conditions use call indices from 900 on, above any real call.
CONDITION_INDEX_BASE = 900


class Intent(FrozenModel):
    """A tool is about to run, or has run. It is stored before the tool starts.

    Attributes:
        deadline: after this time, the process that runs the tool cannot be alive.
    """

    attempt: int
    started_at: datetime
    deadline: datetime


class Doubt(FrozenModel):
    """A `once` tool may or may not have happened, and people were asked.

    The call's approvers are asked or, if it needed no approval, the operators. If there are no
    operators either, any caller of the API can answer.

    Attributes:
        stages: how many of whom must say that it did not happen; one of `approvers` if empty.
        votes: those who have said so.
    """

    request_id: str
    intent: Intent
    approvers: tuple[str, ...] = ()
    requested_at: datetime
    stages: tuple[Stage, ...] = ()
    votes: tuple[Decision, ...] = ()


class Call(FrozenModel):
    """The state of one tool call.

    Attributes:
        plan: the call's needs, determined when the model asked for it.
        approval: the request to people, if one was made.
        decision: the decision on it.
        intent: set while its tool may be running.
        doubt: set while it is unknown whether its tool ran.
        wait: the source of an outcome that comes later.
        child: the frame of a sub-agent.
        outcome: the result; None while the call is open.
        senders: who sent the messages that the child run had read whose result this is.
        attempts: how many attempts are certainly over.
        cleared_at: when a person last answered that an attempt in doubt had not happened.
    """

    plan: Plan
    approval: ApprovalRequest | None = None
    decision: Decision | None = None
    intent: Intent | None = None
    doubt: Doubt | None = None
    wait: Wait | None = None
    child: "Continuation | None" = None
    outcome: Outcome | None = None
    senders: tuple[str, ...] = ()
    attempts: int = 0
    cleared_at: datetime | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that run: the approver's edited ones if there are any, else the model's."""
        if isinstance(self.plan, RefusedPlan):
            return {}
        if self.decision:
            edited = self.decision.arguments
        else:
            edited = self.approval.arguments if self.approval else None
        return self.plan.arguments if edited is None else edited

    @property
    def edited_raw(self) -> str | None:
        """The text that an approver's edited arguments are read from; None if unchanged."""
        edits = self.decision or self.approval
        return edits.raw if edits else None

    @property
    def raw_digest(self) -> str | None:
        """The digest of the text that the arguments are read from, if an approval covers it."""
        edits = self.decision or self.approval
        if edits and edits.arguments is not None:
            return edits.raw_digest
        return None if isinstance(self.plan, RefusedPlan | ConditionPlan) else self.plan.raw_digest

    @property
    def risk(self) -> Risk:
        """The risk of the call, which determines the sources that may decide on it."""
        policy = self.gate
        if policy is None:
            return Risk.LOW
        return self.approval.risk_under(policy) if self.approval else policy.risk

    @property
    def preview(self) -> Preview | None:
        """The tool author's preview of the call with the arguments that are requested now."""
        policy = self.gate
        if policy is None or self.approval is None:
            return policy.preview if policy else None
        return self.approval.preview_under(policy)

    @property
    def gate(self) -> ApprovalPolicy | None:
        """The approval policy of the call or of its question; None if it needs no people."""
        if self.question:
            return self.question.gate
        return None if isinstance(self.plan, RefusedPlan) else self.plan.gate

    @property
    def asks(self) -> Literal["approval", "question", "condition"]:
        """The kind of the request in `approval`."""
        if isinstance(self.plan, ConditionPlan):
            return "condition"
        return "question" if self.question else "approval"

    @property
    def question(self) -> QuestionWait | None:
        """The question that its tool has asked people; None if it has asked none."""
        return self.wait if isinstance(self.wait, QuestionWait) else None

    @property
    def child_run(self) -> str | None:
        """The id of the child run that the call has started; None if it has started none."""
        return self.wait.run_id if isinstance(self.wait, ChildWait) else None


class Turn(FrozenModel):
    """One model reply and the calls that it asks for.

    Attributes:
        heard: messages that were included in the request since the turn before.
        profile: the digest of the request's profile; None if it was not recorded.
    """

    reply: Reply
    calls: tuple[Call, ...] = ()
    heard: tuple[Message, ...] = ()
    profile: str | None = None

    @property
    def settled(self) -> bool:
        """Whether every call of the turn has its outcome."""
        return all(call.outcome for call in self.calls)


class Continuation(FrozenModel):
    """A frame: one agent with one input, its turns so far, and its sub-agents inside them.

    Attributes:
        output: the JSON schema of the answer, if the agent has one.
        holds: stops by conditions, by key as `turn.call`.
        failed: why the whole run failed at a deadline; only in the root frame.
        messages: messages that no model request has included yet; only in the root frame.
        signals: events that no call has taken yet, the oldest first; only in the root frame.
        restore: the restore of the table that an operator has not cleared; only in the root frame.
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
    restore: Restore | None = None

    @property
    def outcome(self) -> Outcome | None:
        """The result of the frame; None while it is open."""
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
        """The failure of a frame whose model has used up its turns; None if it has not.

        Turns are counted from the last one that included a message of a person.
        """
        first = max((n for n, turn in enumerate(self.turns) if turn.heard), default=0)
        turns = self.turns[first:]
        faults = [turn.reply.fault for turn in turns[-MAX_FAULTY_TURNS:] if not turn.calls]
        if len(faults) == MAX_FAULTY_TURNS:
            why = ", ".join(str(fault) for fault in faults)
            return Outcome(kind="error", content=f"the model gave no usable answer: {why}")
        if len(turns) >= self.max_turns:
            return Outcome(kind="error", content=f"the limit of {self.max_turns} turns is reached")
        return None

    @property
    def open_condition(self) -> tuple[Step, Call] | None:
        """The stop by a condition that people have not decided on; None if there is none."""
        for key, call in self.holds.items():
            if not call.outcome:
                return parse_path(key)[0], call
        return None

    def calls(self, path: Path = ()) -> Iterator[tuple[Path, Call]]:
        """Every call of the tree with its path, a call before those inside it."""
        for number, turn in enumerate(self.turns):
            for index, call in enumerate(turn.calls):
                at = (*path, Step(number, index))
                yield at, call
                if call.child:
                    yield from call.child.calls(at)
        for key, call in self.holds.items():
            yield (*path, *parse_path(key)), call

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
            LookupError: there is none at this path.
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
            LookupError: there is none at this path.
        """
        frame = self.call_at(path).child if path else self
        if frame is None:
            raise LookupError(path)
        return frame

    def agents_to(self, path: Path) -> tuple[str, ...]:
        """The names of the agents from the root to the one that made the call at `path`."""
        return tuple(self.frame_at(path[:depth]).agent for depth in range(len(path)))

    def _call(self, step: Step) -> Call:
        if stop := self.holds.get(path_text((step,))):
            return stop
        if step.turn >= len(self.turns) or step.call >= len(self.turns[step.turn].calls):
            raise LookupError(step)
        return self.turns[step.turn].calls[step.call]
