"""What an owner of a run begins: questions, model calls and tools, each as soon as it can be."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from agent_continuations.core.continuation import Intent, Outcome
from agent_continuations.core.effects import (
    AskApproval,
    Await,
    CallModel,
    ClearDoubt,
    RunTool,
    Tell,
    effects,
)
from agent_continuations.core.event import ToolReturned
from agent_continuations.core.path import Path, path_text
from agent_continuations.dispatch import model_request, prepared_tool
from agent_continuations.errors import Fatal
from agent_continuations.flights import Flights, on_record
from agent_continuations.means import Means
from agent_continuations.owned import OwnedRun
from agent_continuations.ports import MAX_INTENTS_AT_ONCE
from agent_continuations.questions import approval_question, doubt_question, on_time, told
from agent_continuations.rest import ModelPause, given_up_at


class Beginnings:
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
        self, means: Means, run: OwnedRun, flights: Flights, deadline: datetime | None
    ) -> None:
        self.obstacles: dict[Path, str] = {}
        self._means = means
        self._run = run
        self._flights = flights
        self._deadline = deadline

    def begin(self, model_pause: ModelPause | None) -> None:
        """Begin all that can be done now, but no more than there is room for: what waits for a
        place would begin after a cancel, or never, and its intent would raise a doubt for nothing.

        Args:
            model_pause: how long no model is called.
        """
        self._answer_without_people()
        self._hear_the_lost()
        starts: list[RunTool] = []
        for effect in effects(self._run.continuation):
            if effect.path in self._flights or effect.path in self.obstacles:
                continue
            match effect:
                case CallModel():
                    self._call_model(effect, model_pause)
                case RunTool():
                    starts.append(effect)
                case AskApproval() | Tell() | ClearDoubt():
                    self._ask(effect)
                case Await():
                    pass
                case _:
                    assert_never(effect)
        self._run_tools(starts)

    # -- questions -------------------------------------------------------------------------------

    def _ask(self, effect: AskApproval | Tell | ClearDoubt) -> None:
        head, root, now = self._run.head, self._run.continuation, self._means.clock()
        match effect:
            case AskApproval():
                self._run.ask(approval_question(head, root, effect, now))
            case Tell():
                self._run.ask(told(root, effect, now))
            case ClearDoubt():
                skew, whom = self._means.limits.clock_skew, self._means.operators
                if given_up_at(effect, skew) <= self._run.loaded_at:
                    self._run.ask(doubt_question(head, root, effect, now, whom))
            case _:
                assert_never(effect)

    def _answer_without_people(self) -> None:
        """Where time is up, remind, ask others, or reject; where people agreed in advance, approve.
        It is on record before anything follows from it: an answer may have come first.
        """
        now = self._means.clock()
        for effect in effects(self._run.continuation):
            head, root = self._run.head, self._run.continuation
            match effect:
                case Await() if effect.until and effect.until <= now:
                    self._run.ask(on_time(head, root, effect, now))
                case AskApproval() if effect.gate.grant_seconds:
                    self._run.take_grants(approval_question(head, root, effect, now))
                case _:
                    pass
        if self._run.unwritten.trail:
            self._run.publish()

    def _hear_the_lost(self) -> None:
        """Before a call is called in doubt: its owner may have left the outcome on record until it
        was given up, and it wakes nobody that does not know yet that it has lost the run.
        """
        now, skew = self._means.clock(), self._means.limits.clock_skew
        for effect in effects(self._run.continuation):
            if not isinstance(effect, ClearDoubt):
                continue
            if self._run.loaded_at < given_up_at(effect, skew) <= now:
                self._run.load()
                return

    # -- model calls and tools -------------------------------------------------------------------

    def _call_model(self, effect: CallModel, pause: ModelPause | None) -> None:
        pausing = pause and pause.until > self._means.clock()
        if pausing or not self._flights.room:
            return
        root, model = self._run.continuation, self._means.model
        try:
            request = model_request(self._means.registry, self._run.head, root, effect.path)
        except Fatal as error:
            self.obstacles[effect.path] = str(error)
            return
        self._flights.begin(effect, lambda: model.reply(request))

    def _run_tools(self, starts: Sequence[RunTool]) -> None:
        """Run tools; the intents of all that may not simply run again are put on record first."""
        ready: dict[Path, tuple[RunTool, Callable[[], Outcome]]] = {}
        room = self._flights.room
        for start in starts:
            if len(ready) >= room:
                break
            head, root = self._run.head, self._run.continuation
            try:
                run = prepared_tool(self._means.registry, head, root, start.path, start.attempt)
            except Fatal as error:
                self.obstacles[start.path] = str(error)
            else:
                ready[start.path] = (start, run)
        for start, run in ready.values():
            if not on_record(start):
                self._run_tool(start, run)
        fenced = [each for each in ready.values() if on_record(each[0])]
        for at in range(0, len(fenced), MAX_INTENTS_AT_ONCE):
            batch = fenced[at : at + MAX_INTENTS_AT_ONCE]
            self._intend([start for start, _ in batch])
            for start, run in batch:
                self._run_tool(start, run)

    def _intend(self, starts: Sequence[RunTool]) -> None:
        now = self._means.clock()
        deadline = self._deadline or now + timedelta(seconds=self._means.limits.stay)
        self._run.intend(
            {
                path_text(start.path): Intent(
                    attempt=start.attempt, started_at=now, deadline=deadline
                )
                for start in starts
            }
        )

    def _run_tool(self, start: RunTool, run: Callable[[], Outcome]) -> None:
        """Run a tool at the side, and time it."""

        def perform() -> ToolReturned:
            started_at = self._means.clock()
            outcome = run()
            return ToolReturned(
                path=path_text(start.path),
                outcome=outcome,
                attempt=start.attempt,
                started_at=started_at,
                at=self._means.clock(),
            )

        self._flights.begin(start, perform)
