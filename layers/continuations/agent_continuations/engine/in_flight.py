"""Effects in flight, by call path: model calls, tools and polls that have not completed yet."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

from agent_continuations.core.effects import CallModel, PollJob, RunTool
from agent_continuations.core.path import Path
from agent_continuations.core.plans import Effect
from agent_continuations.engine.executor import EffectExecutor

Submitted: TypeAlias = CallModel | RunTool | PollJob


class TimedWork:
    """A piece of work that takes the time.

    Attributes:
        seconds: how long it took, once it has ended.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.seconds = 0.0

    def __call__(self) -> Any:
        started = perf_counter()
        try:
            return self._work()
        finally:
            self.seconds = perf_counter() - started


class InFlightEffect(NamedTuple):
    """A started effect, its work, and the future of its result.

    Attributes:
        position: which of the results of the work is its own, if effects share the work.
    """

    effect: Submitted
    work: TimedWork
    future: "Future[Any]"
    position: int | None = None

    def result(self) -> Any:
        """The result of an effect that has completed.

        Raises:
            BaseException: its work raised it.
        """
        result = self.future.result()
        return result if self.position is None else result[self.position]


def has_intent(effect: Submitted) -> bool:
    """Whether the effect has a stored intent.

    Such a tool may have changed the world, so its outcome must be recorded.
    """
    return isinstance(effect, RunTool) and effect.effect is not Effect.READ


class InFlight:
    """The effects that one execution has in flight, at most `limit` at a time."""

    def __init__(self, executor: EffectExecutor, limit: int) -> None:
        self._executor = executor
        self._limit = limit
        self._effects: dict[Path, InFlightEffect] = {}
        self._abandoned: list[Future[Any]] = []

    def __bool__(self) -> bool:
        return bool(self._effects)

    def __contains__(self, path: Path) -> bool:
        return path in self._effects

    @property
    def capacity(self) -> int:
        """How many more effects can be started."""
        return self._limit - len(self._effects)

    @property
    def has_intents(self) -> bool:
        """Whether an effect with a stored intent is in flight."""
        return any(has_intent(each.effect) for each in self._effects.values())

    @property
    def has_abandoned_tools(self) -> bool:
        """Whether a tool with an intent still runs after the execution has stopped waiting."""
        running = [each.future for each in self._effects.values() if has_intent(each.effect)]
        return any(not future.done() for future in [*running, *self._abandoned])

    def submit(self, effect: Submitted, work: Callable[[], Any]) -> None:
        """Start an effect."""
        timed = TimedWork(work)
        self._effects[effect.path] = InFlightEffect(effect, timed, self._executor.submit(timed))

    def submit_together(self, effects: Sequence[Submitted], work: Callable[[], Any]) -> None:
        """Start effects that share one piece of work, which has one result for each of them."""
        timed = TimedWork(work)
        future = self._executor.submit(timed)
        for position, effect in enumerate(effects):
            self._effects[effect.path] = InFlightEffect(effect, timed, future, position)

    def wait_completed(self, seconds: float) -> list[InFlightEffect]:
        """The effects that have completed, removed from the set; waits for the first of them.

        Args:
            seconds: how long to wait at most.
        """
        self._executor.wait([each.future for each in self._effects.values()], max(0.0, seconds))
        return self.completed()

    def completed(self) -> list[InFlightEffect]:
        """The effects that have completed by now, removed from the set."""
        completed = [each for each in self._effects.values() if each.future.done()]
        for each in completed:
            del self._effects[each.effect.path]
        return completed

    def drop_without_intent(self) -> None:
        """Drop effects that can be repeated, so that the execution can stop soon."""
        self._effects = {
            path: each
            for path, each in self._effects.items()
            if each.future.done() or has_intent(each.effect)
        }

    def abandon_all(self) -> None:
        """Stop waiting. Tools with an intent are on record; their calls will be in doubt."""
        self._abandoned += [
            each.future for each in self._effects.values() if has_intent(each.effect)
        ]
        self._effects.clear()
