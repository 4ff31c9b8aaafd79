"""One owner's time with one run, from its claim to its release."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import assert_never

from agent_continuations.core.continuation import Intent, Outcome, Reply
from agent_continuations.core.effects import (
    AskApproval,
    Await,
    CallModel,
    ClearDoubt,
    RunTool,
    Tell,
    effects,
)
from agent_continuations.core.event import ModelReplied, ToolReturned
from agent_continuations.core.path import Path, call_key, parse_path, path_text, reply_key
from agent_continuations.crew import Crew
from agent_continuations.dispatch import model_request, prepared_tool
from agent_continuations.errors import Fatal, Fenced, ModelUnavailable, Retryable
from agent_continuations.flights import Flight, Flights, on_record
from agent_continuations.means import Means
from agent_continuations.owned import OwnedRun
from agent_continuations.planning import plan_calls
from agent_continuations.ports import (
    MAX_INTENTS_AT_ONCE,
    MAX_STALLS,
    Head,
    Register,
    Status,
)
from agent_continuations.questions import approval_question, doubt_question, on_time, told
from agent_continuations.rest import given_up_at, longer_pause, rest
from agent_continuations.unwritten import Unwritten


class _Stop(Enum):
    """Why an owner begins nothing new."""

    CANCELLED = auto()
    FENCED = auto()
    OUT_OF_TIME = auto()


class Tenure:
    """One owner's time with one run: what it begins, what comes back, and how it leaves."""

    def __init__(self, means: Means, head: Head, crew: Crew, deadline: datetime | None) -> None:
        self.means = means
        self.limits = means.limits
        self.run = OwnedRun(means, head)
        self.flights = Flights(crew, means.limits.workers)
        self.deadline = deadline
        self.stop: _Stop | None = None
        self.outcomes: list[ToolReturned] = []
        self.obstacles: dict[Path, str] = {}
        self.model_pause = head.model_pause
        self.look_up_at = means.clock()

    def serve(self) -> Status | None:
        """Advance the run as far as it goes; the status that it is left in, None if it was lost."""
        try:
            if self.run.head.stalls > 2 * MAX_STALLS:
                # Not even the load is survived: without this, it would be tried for ever.
                return self._park(f"{self.run.head.stalls} claims came to nothing")
            self.run.load()
            if self._poisoned():
                return self._park(f"{MAX_STALLS} claims without progress")
            return self._work()
        except Fenced:
            return None
        except Fatal as error:
            return self._park(str(error))

    @property
    def abandons(self) -> bool:
        """Whether a tool is still running that this owner no longer waits for."""
        return self.flights.abandoned

    def _park(self, note: str) -> Status | None:
        """What is stored cannot be gone on from; a person has to look. Intents stay on record."""
        try:
            if not self.run.still_mine():
                return None
            self.run.unwritten = Unwritten()
            status = Status.CANCELLED if self.run.head.cancelled else Status.PARKED
            return status if self.run.leave(status, None, note) else None
        except Fenced:
            return None

    def _poisoned(self) -> bool:
        if self.run.head.stalls < MAX_STALLS:
            return False
        if self.run.known == self.run.head.registers:
            return True
        self.run.come_on()
        return False

    def _work(self) -> Status | None:
        give_up_at = self._in(self.limits.patience)
        while True:
            try:
                status = self._step()
                if status or (self.stop is _Stop.FENCED and not self.flights):
                    return status
                give_up_at = self._in(self.limits.patience)
            except Fenced:
                self._fenced()
            except Retryable:
                in_hand = self.flights.recorded or self.outcomes
                if not in_hand or self.means.clock() >= give_up_at:
                    raise
                self.means.pause(1)

    def _step(self) -> Status | None:
        """Record what came back, begin what can be done, and wait; or leave, if nothing can."""
        self._look_up()
        self._record_outcomes()
        if not self.stop:
            self._begin()
        if not self.flights:
            return self._release()
        if self.run.unwritten.trail and not self.stop:
            self.run.publish()
        self._collect()
        return None

    def _look_up(self) -> None:
        """Find out whether to stop."""
        if self.stop is _Stop.FENCED:
            self.look_up_at = self._in(self.limits.renewal)  # it has nothing more to find out
            return
        self.look_up_at = self.run.look_up()
        if self.run.head.cancelled:
            self.stop = _Stop.CANCELLED
            self.run.unwritten.drop_questions()
        elif self.deadline and self._in(self.limits.margin) >= self.deadline:
            self.stop = _Stop.OUT_OF_TIME

    def _fenced(self) -> None:
        """The run is somebody else's or was cancelled: begin nothing, but record late outcomes."""
        if self.stop is _Stop.FENCED:
            return
        cancelled = self.run.still_mine() and self.run.head.cancelled
        self.stop = _Stop.CANCELLED if cancelled else _Stop.FENCED
        if self.stop is _Stop.FENCED and not (self.flights.recorded or self.outcomes):
            # An outcome that it stored before it knew of this has woken nobody. One that is still
            # to come will. Where the store does not answer, the run's due time must do.
            with suppress(Retryable):
                self.run.wake()

    def _in(self, seconds: float) -> datetime:
        return self.means.clock() + timedelta(seconds=seconds)

    # -- beginning what can be done --------------------------------------------------------------

    def _begin(self) -> None:
        """Begin all that can be done now, but no more than there is room for: what waits for a
        place would begin after a cancel, or never, and its intent would raise a doubt for nothing.
        """
        self._answer_without_people()
        self._hear_the_lost()
        now = self.means.clock()
        starts: list[RunTool] = []
        for effect in effects(self.run.continuation):
            if effect.path in self.flights or effect.path in self.obstacles:
                continue
            match effect:
                case CallModel():
                    self._begin_model(effect)
                case RunTool():
                    starts.append(effect)
                case AskApproval():
                    head, root = self.run.head, self.run.continuation
                    self.run.ask(approval_question(head, root, effect, now))
                case Tell():
                    self.run.ask(told(self.run.continuation, effect, now))
                case ClearDoubt():
                    if given_up_at(effect, self.limits.clock_skew) <= self.run.loaded_at:
                        head, root, whom = (
                            self.run.head,
                            self.run.continuation,
                            self.means.operators,
                        )
                        self.run.ask(doubt_question(head, root, effect, now, whom))
                case Await():
                    pass
                case _:
                    assert_never(effect)
        self._begin_tools(starts)

    def _begin_model(self, effect: CallModel) -> None:
        pausing = self.model_pause and self.model_pause.until > self.means.clock()
        if pausing or not self.flights.room:
            return
        root, model = self.run.continuation, self.means.model
        try:
            request = model_request(self.means.registry, self.run.head, root, effect.path)
        except Fatal as error:
            self.obstacles[effect.path] = str(error)
            return
        self.flights.begin(effect, lambda: model.reply(request))

    def _begin_tools(self, starts: Sequence[RunTool]) -> None:
        """Run tools; the intents of all that may not simply run again are put on record first."""
        ready: dict[Path, tuple[RunTool, Callable[[], Outcome]]] = {}
        room = self.flights.room
        for start in starts:
            if len(ready) >= room:
                break
            head, root = self.run.head, self.run.continuation
            try:
                run = prepared_tool(self.means.registry, head, root, start.path, start.attempt)
            except Fatal as error:
                self.obstacles[start.path] = str(error)
            else:
                ready[start.path] = (start, run)
        for start, run in ready.values():
            if not on_record(start):
                self._run(start, run)
        fenced = [each for each in ready.values() if on_record(each[0])]
        for at in range(0, len(fenced), MAX_INTENTS_AT_ONCE):
            batch = fenced[at : at + MAX_INTENTS_AT_ONCE]
            self._intend([start for start, _ in batch])
            for start, run in batch:
                self._run(start, run)

    def _intend(self, starts: Sequence[RunTool]) -> None:
        now = self.means.clock()
        deadline = self.deadline or now + timedelta(seconds=self.limits.stay)
        self.run.intend(
            {
                path_text(start.path): Intent(
                    attempt=start.attempt, started_at=now, deadline=deadline
                )
                for start in starts
            }
        )

    def _run(self, start: RunTool, run: Callable[[], Outcome]) -> None:
        """Run a tool at the side, and time it."""

        def perform() -> ToolReturned:
            started_at = self.means.clock()
            outcome = run()
            return ToolReturned(
                path=path_text(start.path),
                outcome=outcome,
                attempt=start.attempt,
                started_at=started_at,
                at=self.means.clock(),
            )

        self.flights.begin(start, perform)

    def _answer_without_people(self) -> None:
        """Where time is up, remind, ask others, or reject; where people agreed in advance, approve.
        It is on record before anything follows from it: an answer may have come first.
        """
        now = self.means.clock()
        for effect in effects(self.run.continuation):
            head, root = self.run.head, self.run.continuation
            match effect:
                case Await() if effect.until and effect.until <= now:
                    self.run.ask(on_time(head, root, effect, now))
                case AskApproval() if effect.gate.grant_seconds:
                    self.run.take_grants(approval_question(head, root, effect, now))
                case _:
                    pass
        if self.run.unwritten.trail:
            self.run.publish()

    def _hear_the_lost(self) -> None:
        """Before a call is called in doubt: its owner may have left the outcome on record until it
        was given up, and it wakes nobody that does not know yet that it has lost the run.
        """
        now, skew = self.means.clock(), self.limits.clock_skew
        for effect in effects(self.run.continuation):
            if not isinstance(effect, ClearDoubt):
                continue
            if self.run.loaded_at < given_up_at(effect, skew) <= now:
                self.run.load()
                return

    # -- taking in what was done -----------------------------------------------------------------

    def _collect(self) -> None:
        """Wait until something has come back or it is time to look up, and take it in."""
        if self.stop in (_Stop.CANCELLED, _Stop.FENCED):
            self.flights.drop_unrecorded()
        if not self.flights:
            return
        wake_at = self.look_up_at
        if self.deadline:
            leave_at = self.deadline - timedelta(seconds=self.limits.farewell)
            if self.means.clock() >= leave_at:
                self.flights.leave_behind()
                return
            wake_at = min(wake_at, leave_at)
        for flight in self.flights.landed((wake_at - self.means.clock()).total_seconds()):
            if isinstance(flight.effect, CallModel):
                self._model_returned(flight.effect, flight)
            else:
                self._tool_returned(flight.effect, flight.future.result())

    def _model_returned(self, effect: CallModel, flight: Flight) -> None:
        try:
            reply: Reply = flight.future.result()
        except ModelUnavailable as error:
            self._pause_model(error)
            return
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the run is told why
            self.obstacles[effect.path] = f"the model call failed: {error}"
            return
        if self.model_pause and self.model_pause.until <= self.means.clock():
            self.model_pause = None
        frame = self.run.continuation.frame_at(effect.path)
        if self.stop is _Stop.FENCED or len(frame.turns) != effect.turn:
            return  # another owner's reply is on record
        agent = self.means.registry.find(frame.agent)
        if agent is None:
            self.obstacles[effect.path] = f"there is no agent named {frame.agent}"
            return
        mine = self.run.unwritten.reads_of(effect.path)
        event = ModelReplied(
            path=path_text(effect.path),
            turn=effect.turn,
            reply=reply,
            calls=plan_calls(agent, effect.path, reply),
            reads=mine,
            at=self.means.clock(),
        )
        self.run.record(reply_key(effect.path, effect.turn), event)
        self.run.unwritten.drop_reads(mine)

    def _pause_model(self, error: ModelUnavailable) -> None:
        self.model_pause = longer_pause(
            self.model_pause,
            error,
            self.means.clock(),
            shortest=self.limits.model_retry,
            longest=self.limits.model_retry_longest,
        )

    def _tool_returned(self, effect: RunTool, event: ToolReturned) -> None:
        if on_record(effect):
            self.outcomes.append(event)
        elif self.stop is not _Stop.FENCED:
            self.run.keep_read(event)

    def _record_outcomes(self) -> None:
        """Store what tools with an intent came to, and reads that no reply will carry."""
        while self.outcomes:
            event = self.outcomes[0]
            key = call_key(parse_path(event.path), "outcome")
            if self.stop is _Stop.FENCED:
                self.run.deliver_late(Register(key, (event,)))
            else:
                self.run.record(key, event)
                self.run.unwritten.settled.append(event.path)
            del self.outcomes[0]
        for read in list(self.run.unwritten.reads):
            path = parse_path(read.path)
            # A frame that has ended has no next reply; but its caller may reply at once, and what
            # that is made from must be on record before.
            if self.run.continuation.frame_at(path[:-1]).outcome:
                self.run.record(call_key(path, "outcome"), read)
                self.run.unwritten.drop_reads((read,))

    # -- leaving -----------------------------------------------------------------------------------

    def _release(self) -> Status | None:
        """Leave the run, if nothing has happened that this owner does not know; else None."""
        if self.stop is _Stop.FENCED:
            return None
        status, due, note = self._rest()
        if not self.run.leave(status, due, note, self.model_pause):
            self.run.load()
            return None
        if status is Status.READY:
            self.means.hints.resume(self.run.run_id)
        return status

    def _rest(self) -> tuple[Status, datetime | None, str | None]:
        now = self.means.clock()
        if self.stop is _Stop.CANCELLED:
            return Status.CANCELLED, None, None
        ended = self.run.continuation.outcome
        if ended:
            if ended.kind == "ok":
                return Status.COMPLETED, None, None
            return Status.FAILED, None, ended.content
        if self.stop is _Stop.OUT_OF_TIME:
            return Status.READY, now, None
        waits = rest(
            self.run.continuation,
            model_pause=self.model_pause,
            clock_skew=self.limits.clock_skew,
            obstacles=self.obstacles,
        )
        note = "; ".join(self.obstacles.values()) or None
        if not waits.asked and not waits.times:
            return Status.PARKED, None, note
        return Status.SUSPENDED, waits.due, note
