"""What a run waits for when nothing can be done for it now, and when to look at it again."""

from collections.abc import Container
from datetime import datetime, timedelta
from typing import NamedTuple

from agent_continuations.core.awaiting import Await
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.effects import AskIfHappened, CallModel, effects
from agent_continuations.core.path import Path


class NextWake(NamedTuple):
    """What a run waits for: whether a person is asked, and each time that something is due."""

    asked: bool
    times: tuple[datetime, ...]

    @property
    def due(self) -> datetime | None:
        """When to look at the run again, if nobody wakes it before."""
        return min(self.times, default=None)


def next_wake(
    root: Continuation,
    *,
    model_backoff: ModelBackoff | None,
    clock_skew: float,
    blocked: Container[Path] = (),
) -> NextWake:
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
            case AskIfHappened():
                times.append(lease_dead_at(effect, clock_skew))
            case CallModel() if model_backoff and effect.path not in blocked:
                times.append(model_backoff.until)
            case _:
                pass
    return NextWake(asked, tuple(times))


def lease_dead_at(effect: AskIfHappened, clock_skew: float) -> datetime:
    """When the owner of an intent is certainly dead, by its clock as well as by ours."""
    return effect.intent.deadline + timedelta(seconds=clock_skew)
