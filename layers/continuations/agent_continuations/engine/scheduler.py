"""What an owner of a run begins: questions, model calls and tools, each as soon as it can be."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from agent_continuations.core.awaiting import Await
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Intent
from agent_continuations.core.effects import (
    AskApproval,
    AskIfHappened,
    CallModel,
    NotifyApprovers,
    PollJob,
    RunTool,
    StartRun,
    TakeSignal,
    effects,
)
from agent_continuations.core.events import Polled, Suspended, ToolReturned
from agent_continuations.core.outcome import Outcome
from agent_continuations.core.path import Path, parse_path, path_text
from agent_continuations.core.waits import JobWait, Wait
from agent_continuations.engine.calls import bind_poll, bind_tool, model_request
from agent_continuations.engine.child_runs import start_child
from agent_continuations.engine.conditions import due_condition
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.deadlines import is_due, on_deadline, signal_outcome, timed_out
from agent_continuations.engine.in_flight import InFlight, has_intent
from agent_continuations.engine.next_wake import lease_dead_at
from agent_continuations.engine.questions import approval_question, doubt_question, notify_event
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.errors import Fatal
from agent_continuations.ports.limits import MAX_INTENTS_AT_ONCE


class EffectScheduler:
    """Begins what the state of a run needs next.

    Args:
        means: what the owner works with.
        run: the owner's.
        flights: where what was begun is on its way.
        deadline: when this process will be gone.

    Attributes:
        obstacles: why nothing can be done at a place before a person has mended something.
    """

    def __init__(
        self,
        context: EngineContext,
        run: RunUnitOfWork,
        in_flight: InFlight,
        deadline: datetime | None,
    ) -> None:
        self.blocked: dict[Path, str] = {}
        self._context = context
        self._run = run
        self._flights = in_flight
        self._deadline = deadline

    def start_ready(self, model_backoff: ModelBackoff | None) -> None:
        """Begin all that can be done now, but no more than there is room for: what waits for a
        place would begin after a cancel, or never, and its intent would raise a doubt for nothing.

        Args:
            model_pause: how long no model is called.
        """
        self._apply_timeouts_and_grants()
        self._reload_before_doubt()
        starts: list[RunTool] = []
        for effect in effects(self._run.continuation):
            if effect.path in self._flights or effect.path in self.blocked:
                continue
            match effect:
                case CallModel():
                    if not self._stopped_by_condition(effect):
                        self._call_model(effect, model_backoff)
                case RunTool():
                    starts.append(effect)
                case AskApproval() | NotifyApprovers() | AskIfHappened():
                    self._ask(effect)
                case StartRun():
                    head, root, now = self._run.head, self._run.continuation, self._context.clock()
                    self._run.stage(*start_child(head, root, effect.path, now))
                case Await(reason="job"):
                    self._poll(effect)
                case Await() | TakeSignal():
                    pass
                case _:
                    assert_never(effect)
        self._run_tools(starts)

    # -- questions -------------------------------------------------------------------------------

    def _ask(self, effect: AskApproval | NotifyApprovers | AskIfHappened) -> None:
        head, root, now = self._run.head, self._run.continuation, self._context.clock()
        match effect:
            case AskApproval():
                self._run.stage(approval_question(head, root, effect, now))
            case NotifyApprovers():
                self._run.stage(notify_event(root, effect, now))
            case AskIfHappened():
                skew, whom = self._context.limits.clock_skew, self._context.operators
                if lease_dead_at(effect, skew) <= self._run.loaded_at:
                    self._run.stage(doubt_question(head, root, effect, now, whom))
            case _:
                assert_never(effect)

    def _apply_timeouts_and_grants(self) -> None:
        """Where time is up, remind, ask others, or reject; where people agreed in advance, approve;
        where something has come, take it. It is on record before anything follows from it: an
        answer may have come first.
        """
        now = self._context.clock()
        for effect in effects(self._run.continuation):
            head, root = self._run.head, self._run.continuation
            match effect:
                case Await(asks_people=True) if is_due(effect, now):
                    self._run.stage(on_deadline(head, root, effect, now))
                case Await() if is_due(effect, now):
                    if late := timed_out(root, effect, now):
                        self._run.stage(late)
                case TakeSignal():
                    self._run.stage(signal_outcome(effect, now))
                case AskApproval() if effect.gate.grant_seconds:
                    self._run.stage_with_grants(approval_question(head, root, effect, now))
                case _:
                    pass
        if self._run.pending.staged:
            self._run.flush()

    def _stopped_by_condition(self, effect: CallModel) -> bool:
        """Whether people must say first that the agent, or the whole run, shall go on; they are
        asked then.
        """
        root, registry, now = self._run.continuation, self._context.registry, self._context.clock()
        agent, first = registry.find(root.frame_at(effect.path).agent), registry.find(root.agent)
        conditions = [each for each in (agent.conditions if agent else ()) if each.scope == "agent"]
        conditions += [each for each in (first.conditions if first else ()) if each.scope == "run"]
        if conditions and effect not in effects(root):
            return True  # the run was held for another agent just now
        for condition in conditions:
            held = due_condition(condition, root, effect.path, now)
            if held:
                self._run.stage(held)
                self._ask(AskApproval(path=parse_path(held.path), gate=held.plan.gate))
                return True
        return False

    def _reload_before_doubt(self) -> None:
        """Before a call is called in doubt: its owner may have left the outcome on record until it
        was given up, and it wakes nobody that does not know yet that it has lost the run.
        """
        now, skew = self._context.clock(), self._context.limits.clock_skew
        for effect in effects(self._run.continuation):
            if not isinstance(effect, AskIfHappened):
                continue
            if self._run.loaded_at < lease_dead_at(effect, skew) <= now:
                self._run.load()
                return

    # -- model calls, polls and tools --------------------------------------------------------------

    def _call_model(self, effect: CallModel, pause: ModelBackoff | None) -> None:
        pausing = pause and pause.until > self._context.clock()
        if pausing or not self._flights.room:
            return
        root, model = self._run.continuation, self._context.model
        try:
            request = model_request(self._context.registry, self._run.head, root, effect.path)
        except Fatal as error:
            self.blocked[effect.path] = str(error)
            return
        self._flights.submit(effect, lambda: model.reply(request))

    def _poll(self, effect: Await) -> None:
        """Ask how a job stands, if it is time."""
        now, root = self._context.clock(), self._run.continuation
        wait = root.call_at(effect.path).wait
        if not isinstance(wait, JobWait) or not is_due(effect, now) or not self._flights.room:
            return
        try:
            poll = bind_poll(self._context, self._run.head, root, effect.path)
        except Fatal as error:
            self.blocked[effect.path] = str(error)
            return
        path, number = path_text(effect.path), wait.polls + 1

        def perform() -> ToolReturned | Polled:
            outcome, at = poll(), self._context.clock()
            if outcome is None:
                return Polled(path=path, number=number, at=at)
            return ToolReturned(path=path, outcome=outcome, started_at=now, at=at)

        self._flights.submit(PollJob(path=effect.path, number=number), perform)

    def _run_tools(self, starts: Sequence[RunTool]) -> None:
        """Run tools; the intents of all that may not simply run again are put on record first."""
        ready: dict[Path, tuple[RunTool, Callable[[], Outcome | Wait]]] = {}
        room = self._flights.room
        for start in starts:
            if len(ready) >= room:
                break
            head, root = self._run.head, self._run.continuation
            try:
                run = bind_tool(self._context, head, root, start.path, start.attempt)
            except Fatal as error:
                self.blocked[start.path] = str(error)
            else:
                ready[start.path] = (start, run)
        for start, run in ready.values():
            if not has_intent(start):
                self._run_tool(start, run)
        fenced = [each for each in ready.values() if has_intent(each[0])]
        for at in range(0, len(fenced), MAX_INTENTS_AT_ONCE):
            batch = fenced[at : at + MAX_INTENTS_AT_ONCE]
            self._intend([start for start, _ in batch])
            for start, run in batch:
                self._run_tool(start, run)

    def _intend(self, starts: Sequence[RunTool]) -> None:
        now = self._context.clock()
        deadline = self._deadline or now + timedelta(
            seconds=self._context.limits.default_tool_timeout
        )
        self._run.record_intents(
            {
                path_text(start.path): Intent(
                    attempt=start.attempt, started_at=now, deadline=deadline
                )
                for start in starts
            }
        )

    def _run_tool(self, start: RunTool, run: Callable[[], Outcome | Wait]) -> None:
        """Run a tool at the side, and time it."""
        path, attempt = path_text(start.path), start.attempt

        def perform() -> ToolReturned | Suspended:
            started_at = self._context.clock()
            result, at = run(), self._context.clock()
            if not isinstance(result, Outcome):
                return Suspended(path=path, wait=result, attempt=attempt, at=at)
            return ToolReturned(
                path=path, outcome=result, attempt=attempt, started_at=started_at, at=at
            )

        self._flights.submit(start, perform)
