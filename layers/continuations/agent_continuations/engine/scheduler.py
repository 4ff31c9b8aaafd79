"""The scheduler starts every effect that can start: requests, model calls, tools and polls."""

from datetime import datetime
from typing import assert_never

from agent_continuations.authoring.result_text import error_text
from agent_continuations.core.awaiting import Await
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.effects import (
    AskApproval,
    AskIfHappened,
    CallModel,
    NotifyApprovers,
    RunTool,
    StartRun,
    TakeSignal,
    effects,
)
from agent_continuations.core.path import Path, parse_path
from agent_continuations.engine.calls import model_request
from agent_continuations.engine.child_runs import start_child
from agent_continuations.engine.conditions import due_condition
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.deadlines import is_due, on_deadline, signal_outcome, timed_out
from agent_continuations.engine.in_flight import InFlight
from agent_continuations.engine.next_wake import lease_dead_at
from agent_continuations.engine.questions import approval_request, doubt_request, further_notice
from agent_continuations.engine.release_status import Block, StopReason
from agent_continuations.engine.tool_calls import ToolCalls
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.errors import Fatal

NOBODY_TO_ASK = (
    "whether a call happened is not known, and nobody can be asked: it has no approver, and the"
    " deployment has no operators"
)
GRANT_TRIES = 3
"""How often the votes of grants are made again after a refused commit, before people are asked."""


class EffectScheduler:
    """Starts the effects that the state of a run needs next.

    Args:
        context: dependencies and time limits.
        run: the run's unit of work.
        in_flight: takes the effects that are started.
        deadline: when this process will end; None if it has no deadline.

    Attributes:
        blocked: by path, what must pass or be fixed before the effect can start.
        tools: starts tools and polls.
    """

    def __init__(
        self,
        context: EngineContext,
        run: RunUnitOfWork,
        in_flight: InFlight,
        deadline: datetime | None,
    ) -> None:
        self.blocked: dict[Path, Block] = {}
        self._context = context
        self._run = run
        self._in_flight = in_flight
        self.tools = ToolCalls(context, run, in_flight, deadline, self.blocked)

    def start_ready(self, model_backoff: ModelBackoff | None) -> StopReason | None:
        """Start every effect that can start now, within the capacity of the in-flight set.

        Effects are never queued: a queued tool could start after a cancel, or never, and its
        stored intent would put the call in doubt for no reason.

        Args:
            model_backoff: the back-off during which no model is called.

        Returns:
            Why nothing more can be started, if a tool may take longer than this process has left.
        """
        self._reload_before_deadlines()
        self._apply_timeouts_and_grants()
        starts: list[RunTool] = []
        for effect in effects(self._run.continuation):
            if effect.path in self._in_flight or effect.path in self.blocked:
                continue
            match effect:
                case CallModel():
                    if not self._stopped_by_condition(effect):
                        self._call_model(effect, model_backoff)
                case RunTool():
                    starts.append(effect)
                case AskApproval() | NotifyApprovers() | AskIfHappened():
                    self._stage_request(effect)
                case StartRun():
                    head, root, now = self._run.head, self._run.continuation, self._context.clock()
                    self._run.stage(*start_child(head, root, effect.path, now))
                case Await(reason="job"):
                    self.tools.poll(effect)
                case Await() | TakeSignal():
                    pass
                case _:
                    assert_never(effect)
        self.tools.start(starts)
        return StopReason.OUT_OF_TIME if self.tools.needs_time else None

    # -- requests to people, timeouts, signals ---------------------------------------------------

    def _stage_request(self, effect: AskApproval | NotifyApprovers | AskIfHappened) -> None:
        head, root, now = self._run.head, self._run.continuation, self._context.clock()
        match effect:
            case AskApproval():
                self._run.stage(approval_request(head, root, effect, now))
            case NotifyApprovers():
                self._run.stage(further_notice(root, effect, now))
            case AskIfHappened():
                operators, skew = self._context.operators, self._context.limits.clock_skew
                has_ended = (effect.path, effect.intent.attempt) in self.tools.ended
                if not has_ended and lease_dead_at(effect, skew) > self._run.loaded_at:
                    return
                request = doubt_request(head, root, effect, now, operators)
                if request.doubt.approvers:
                    self._run.stage(request)
                else:
                    self._block(effect.path, NOBODY_TO_ASK, passes=True)
            case _:
                assert_never(effect)

    def _apply_timeouts_and_grants(self) -> None:
        """Apply all that needs no person: deadlines, timeouts, signals, and standing approvals.

        These events are committed before anything follows from them, because an answer may have
        been stored first; then the commit is refused, and the answer is loaded. It is refused as
        well if another run has used up one of the grants; the others may still be used. After
        several refusals people are asked.
        """
        for _ in range(GRANT_TRIES):
            self._stage_timeouts_and_grants()
            if not self._run.pending.staged or self._run.flush():
                return

    def _stage_timeouts_and_grants(self) -> None:
        now = self._context.clock()
        for effect in effects(self._run.continuation):
            head, root = self._run.head, self._run.continuation
            match effect:
                case Await(asks_people=True) if is_due(effect, now):
                    self._run.stage(on_deadline(head, root, effect, now))
                case Await() if is_due(effect, now):
                    if timeout := timed_out(root, effect, now):
                        self._run.stage(timeout)
                case TakeSignal():
                    self._run.stage(signal_outcome(effect, now))
                case AskApproval() if effect.policy.grant_seconds:
                    self._run.stage_with_grants(approval_request(head, root, effect, now))
                case _:
                    pass

    def _stopped_by_condition(self, effect: CallModel) -> bool:
        """Whether a condition stops the agent, or the whole run, before this model call.

        People are then asked whether to continue.
        """
        root, registry, now = self._run.continuation, self._context.registry, self._context.clock()
        agent, first = registry.find(root.frame_at(effect.path).agent), registry.find(root.agent)
        conditions = [each for each in (agent.conditions if agent else ()) if each.scope == "agent"]
        conditions += [each for each in (first.conditions if first else ()) if each.scope == "run"]
        if conditions and effect not in effects(root):
            return True  # this very step has stopped the run at another agent
        for condition in conditions:
            reached = due_condition(condition, root, effect.path, now)
            if reached:
                self._run.stage(reached)
                self._stage_request(
                    AskApproval(path=parse_path(reached.path), policy=reached.plan.gate)
                )
                return True
        return False

    def _reload_before_deadlines(self) -> None:
        """Load again once a deadline has passed, before anything follows from it.

        An event that was stored before the deadline counts, though this execution has not seen it.
        And an old lease holder may have stored an outcome without waking the run, because it did
        not know yet that it had lost the lease; so a call is in doubt only after such a load.
        """
        now, skew = self._context.clock(), self._context.limits.clock_skew
        for effect in effects(self._run.continuation):
            match effect:
                case AskIfHappened():
                    deadline = lease_dead_at(effect, skew)
                case Await(reason="event", until=datetime() as until):
                    deadline = until
                case _:
                    continue
            if self._run.loaded_at < deadline <= now:
                self._run.load()
                return

    def _block(self, path: Path, reason: str, *, passes: bool) -> None:
        self.blocked[path] = Block(reason, passes)

    # -- model calls, polls and tools --------------------------------------------------------------

    def _call_model(self, effect: CallModel, backoff: ModelBackoff | None) -> None:
        backing_off = backoff and backoff.until > self._context.clock()
        if backing_off or not self._in_flight.capacity:
            return
        root, model = self._run.continuation, self._context.model
        try:
            request = model_request(self._context.registry, self._run.head, root, effect.path)
            profile = request.profile
            digest = profile.digest
        except Fatal as error:
            self._block(effect.path, str(error), passes=False)
            return
        except Exception as error:  # noqa: BLE001 - what the author's agent is made of
            why = f"the model request cannot be made: {error_text(error)}"
            self._block(effect.path, why, passes=False)
            return
        turns = root.frame_at(effect.path).turns
        if not turns or turns[-1].profile != digest:  # what a stored reply names is stored
            self._context.store.save_profile(profile)
        self._run.log.model_called(request)
        self._in_flight.submit(effect, lambda: (model.reply(request), digest))
