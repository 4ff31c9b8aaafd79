"""What an owner has begun and not heard of yet: model calls, tools and polls, at their places."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeAlias

from agent_continuations.core.effects import CallModel, PollJob, RunTool
from agent_continuations.core.path import Path
from agent_continuations.core.plans import Effect
from agent_continuations.engine.executor import EffectExecutor

Submitted: TypeAlias = CallModel | RunTool | PollJob


class InFlightEffect(NamedTuple):
    """Something that was begun, and what will come of it."""

    effect: Submitted
    future: "Future[Any]"


def has_intent(effect: Submitted) -> bool:
    """Whether it has an intent: it may have changed the world, so its end must be heard of."""
    return isinstance(effect, RunTool) and effect.effect is not Effect.READ


class InFlight:
    """Model calls and tools on their way, at most `limit` at a time."""

    def __init__(self, executor: EffectExecutor, limit: int) -> None:
        self._executor = executor
        self._limit = limit
        self._flying: dict[Path, InFlightEffect] = {}
        self._left_behind: list[Future[Any]] = []

    def __bool__(self) -> bool:
        return bool(self._flying)

    def __contains__(self, path: Path) -> bool:
        return path in self._flying

    @property
    def room(self) -> int:
        """How many more can begin."""
        return self._limit - len(self._flying)

    @property
    def recorded(self) -> bool:
        """Whether something is on its way that has an intent on record."""
        return any(has_intent(finished.effect) for finished in self._flying.values())

    @property
    def abandoned(self) -> bool:
        """Whether a tool is still at work that nobody waits for any longer."""
        running = [each.future for each in self._flying.values() if has_intent(each.effect)]
        return any(not future.done() for future in [*running, *self._left_behind])

    def submit(self, effect: Submitted, work: Callable[[], Any]) -> None:
        """Let something begin."""
        self._flying[effect.path] = InFlightEffect(effect, self._executor.submit(work))

    def wait_completed(self, seconds: float) -> list[InFlightEffect]:
        """What has come back, after at most so much time without anything."""
        self._executor.wait([each.future for each in self._flying.values()], max(0.0, seconds))
        landed = [each for each in self._flying.values() if each.future.done()]
        for each in landed:
            del self._flying[each.effect.path]
        return landed

    def drop_unrecorded(self) -> None:
        """Give up what can be asked again, so as to stop soon."""
        self._flying = {
            path: finished
            for path, finished in self._flying.items()
            if finished.future.done() or has_intent(finished.effect)
        }

    def abandon_all(self) -> None:
        """Wait no longer for anything; what has an intent is on record, and will be in doubt."""
        self._left_behind += [
            each.future for each in self._flying.values() if has_intent(each.effect)
        ]
        self._flying.clear()
