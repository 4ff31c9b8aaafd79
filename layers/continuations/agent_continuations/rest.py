"""What a run waits for when nothing can be done for it now, and when to look at it again."""

from collections.abc import Container
from datetime import datetime, timedelta
from typing import NamedTuple

from agent_continuations.core.continuation import Continuation
from agent_continuations.core.effects import Await, CallModel, ClearDoubt, effects
from agent_continuations.core.path import Path
from agent_continuations.core.stored import Stored
from agent_continuations.errors import ModelUnavailable


class ModelPause(Stored):
    """The model service is left alone until then; `tries` calls in a row have failed."""

    until: datetime
    tries: int
    reason: str


def longer_pause(
    before: ModelPause | None,
    error: ModelUnavailable,
    now: datetime,
    *,
    shortest: float,
    longest: float,
) -> ModelPause:
    """The pause after one more failure: as long as the service asks, and doubled each time.

    Args:
        before: the pause that led to this call, or that has begun while it was on its way.
        error: how the call failed.
        now: the time.
        shortest, longest: what the doubling begins and ends with, in seconds. The service may ask
            for more.
    """
    tries, until = 1, now
    if before:
        # What fails while there is a pause was asked before it, and is no further try.
        tries = before.tries if before.until > now else before.tries + 1
        until = before.until
    seconds = max(error.after_seconds or 0.0, min(shortest * 2.0 ** (tries - 1), longest))
    until = max(until, now + timedelta(seconds=seconds))
    return ModelPause(until=until, tries=tries, reason=str(error)[:200])


class Rest(NamedTuple):
    """What a run waits for: whether a person is asked, and each time that something is due."""

    asked: bool
    times: tuple[datetime, ...]

    @property
    def due(self) -> datetime | None:
        """When to look at the run again, if nobody wakes it before."""
        return min(self.times, default=None)


def rest(
    root: Continuation,
    *,
    model_pause: ModelPause | None,
    clock_skew: float,
    obstacles: Container[Path] = (),
) -> Rest:
    """What the open part of the tree waits for.

    Args:
        root: the run.
        model_pause: how long no model is called.
        clock_skew: so long after its deadline, in seconds, the owner of an intent is given up.
        obstacles: where nothing can be done before a person has mended something.
    """
    asked, times = False, []
    for effect in effects(root):
        match effect:
            case Await():
                asked = True
                times += [effect.until] if effect.until else []
            case ClearDoubt():
                times.append(given_up_at(effect, clock_skew))
            case CallModel() if model_pause and effect.path not in obstacles:
                times.append(model_pause.until)
            case _:
                pass
    return Rest(asked, tuple(times))


def given_up_at(effect: ClearDoubt, clock_skew: float) -> datetime:
    """When the owner of an intent is certainly dead, by its clock as well as by ours."""
    return effect.intent.deadline + timedelta(seconds=clock_skew)
