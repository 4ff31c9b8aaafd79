"""Results of effects that have completed, until they are on record.

A result stays here until it is stored, so that a store that does not answer for a while costs none.
Outcomes of tools come first, then the replies of models, which can be asked again.
"""

from collections.abc import Sequence
from contextlib import suppress

from agent_continuations.core.backoff import next_backoff
from agent_continuations.core.effects import CallModel, PollJob, RunTool
from agent_continuations.core.events import Polled, Suspended, ToolReturned
from agent_continuations.core.keys import call_entry_key, call_key, reply_key
from agent_continuations.core.path import Path, parse_path, path_text
from agent_continuations.core.plans import Effect
from agent_continuations.core.run import JournalEntry
from agent_continuations.engine.context import EngineContext
from agent_continuations.engine.host_answers import Lost, NotStarted, ToolResult
from agent_continuations.engine.in_flight import InFlightEffect, has_intent
from agent_continuations.engine.planning import model_replied
from agent_continuations.engine.release_status import Block
from agent_continuations.engine.scheduler import EffectScheduler
from agent_continuations.engine.unit_of_work import RunUnitOfWork
from agent_continuations.errors import ModelUnavailable, Retryable


class EffectResults:
    """Records the results of completed effects.

    Args:
        context: dependencies and time limits.
        run: the run's unit of work.
        scheduler: takes what blocks an effect.

    Attributes:
        model_backoff: the back-off during which no model is called.
    """

    def __init__(
        self, context: EngineContext, run: RunUnitOfWork, scheduler: EffectScheduler
    ) -> None:
        self.model_backoff = run.head.model_pause
        self._context = context
        self._run = run
        self._scheduler = scheduler
        self._replies: list[InFlightEffect] = []
        self._outcomes: list[ToolReturned | Suspended | Polled] = []

    def __bool__(self) -> bool:
        return bool(self._replies or self._outcomes)

    @property
    def has_outcomes(self) -> bool:
        """Whether a tool's outcome is not stored yet."""
        return bool(self._outcomes)

    def add(self, completed: Sequence[InFlightEffect], *, leased: bool) -> None:
        """Take the results of completed effects.

        Args:
            completed: the effects.
            leased: whether the lease is held; without it, only outcomes of tools with an intent
                count, and the current lease holder repeats all else.

        Raises:
            KeyboardInterrupt: one of them was interrupted. It ends the process, after the results
                beside it.
        """
        interrupt: KeyboardInterrupt | None = None
        for finished in completed:
            self._run.log.completed(finished)
            if isinstance(finished.effect, CallModel):
                self._replies += [finished] if leased else []
                continue
            try:
                result = finished.result()
            except KeyboardInterrupt as error:
                interrupt = error
            else:
                self._take(finished.effect, result, leased=leased)
        if interrupt:
            with suppress(Retryable):  # the process ends, whether the store answers or not
                self.record_outcomes(late=not leased)
            raise interrupt

    def _take(self, effect: RunTool | PollJob, event: ToolResult, *, leased: bool) -> None:
        must_record = has_intent(effect)
        if isinstance(event, NotStarted | Lost):
            if leased:
                self._scheduler.tools.take(event)
                is_once = isinstance(effect, RunTool) and effect.effect is Effect.ONCE
                if is_once and isinstance(event, NotStarted):
                    self._run.unstarted_intents += (path_text(event.path),)
        elif isinstance(effect, RunTool) and isinstance(event, ToolReturned) and not must_record:
            if leased:
                self._run.stage_read(event)
        elif leased or must_record:
            self._outcomes.append(event)

    def record_outcomes(self, *, late: bool) -> None:
        """Store the outcomes of tools, and the reads that no reply of their frame will carry.

        Args:
            late: whether they are stored without the lease, as entries that wake the run.
        """
        while self._outcomes:
            event = self._outcomes[0]
            key = call_entry_key(event)
            if late:
                self._run.append_late_outcome(JournalEntry(key, (event,)))
            else:
                self._run.record(key, event)
                settled = self._run.pending.settled
                # A load, after another execution's outcome, has listed what is settled already.
                if event.path in self._run.head.intents and event.path not in settled:
                    settled.append(event.path)
            del self._outcomes[0]
        for read in () if late else list(self._run.pending.reads):
            path = parse_path(read.path)
            # A frame that has ended has no next reply. Its caller may reply at once, though, and a
            # reply must only be made from what is on record.
            if self._run.continuation.frame_at(path[:-1]).outcome:
                self._run.record(call_key(path, "outcome"), read)
                self._run.pending.drop_reads((read,))

    def record_replies(self) -> None:
        """Store the replies of models."""
        while self._replies:
            finished = self._replies[0]
            if isinstance(finished.effect, CallModel):
                self._record_reply(finished.effect, finished)
            del self._replies[0]

    def drop_replies(self) -> None:
        """Drop the replies: the current lease holder asks again."""
        self._replies.clear()

    def _record_reply(self, effect: CallModel, finished: InFlightEffect) -> None:
        run, path = self._run, effect.path
        try:
            reply, profile = finished.result()
        except ModelUnavailable as error:
            self._back_off(path, error)
            return
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - any adapter's error becomes the run's note
            self._scheduler.blocked[path] = Block(f"the model call failed: {error}", passes=True)
            run.log.model_failed(run.continuation, path, error)
            return
        if self.model_backoff and self.model_backoff.until <= self._context.clock():
            self.model_backoff = None
        frame = run.continuation.frame_at(path)
        if len(frame.turns) != effect.turn:
            return  # another execution's reply is on record
        agent = self._context.registry.find(frame.agent)
        if agent is None:
            gone = f"there is no agent named {frame.agent}"
            self._scheduler.blocked[path] = Block(gone, passes=False)
            return
        reads = run.pending.reads_of(path)
        event = model_replied(agent, frame, effect, reply, reads, profile, self._context.clock())
        run.record(reply_key(path, effect.turn), event)
        run.pending.drop_reads(reads)

    def _back_off(self, path: Path, error: ModelUnavailable) -> None:
        now, limits = self._context.clock(), self._context.limits
        self.model_backoff = next_backoff(
            self.model_backoff,
            error,
            now,
            shortest=limits.model_retry,
            longest=limits.model_retry_longest,
        )
        self._run.log.model_unavailable(self._run.continuation, path, self.model_backoff, now)
