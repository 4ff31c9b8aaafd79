"""The next wake of a run that can only wait."""

from collections.abc import Container
from datetime import datetime, timedelta
from typing import NamedTuple

from agent_continuations.core.awaiting import Await
from agent_continuations.core.backoff import ModelBackoff
from agent_continuations.core.continuation import Continuation
from agent_continuations.core.effects import AskIfHappened, CallModel, TakeSignal, effects
from agent_continuations.core.path import Path


class NextWake(NamedTuple):
    """When a run must be woken.

    Attributes:
        is_waiting: whether the run waits for something outside: a person, an event, a timer.
        times: each time at which something is due.
    """

    is_waiting: bool
    times: tuple[datetime, ...]

    @property
    def due(self) -> datetime | None:
        """When to wake the run if nothing wakes it before; None if nothing is due."""
        return min(self.times, default=None)


def next_wake(
    root: Continuation,
    *,
    model_backoff: ModelBackoff | None,
    clock_skew: float,
    blocked: Container[Path] = (),
) -> NextWake:
    """The next wake of a run, from what the open part of its tree waits for.

    Args:
        root: the run.
        model_backoff: the back-off during which no model is called.
        clock_skew: seconds after an intent's deadline until its lease holder counts as dead.
        blocked: paths of the effects that are blocked.
    """
    is_waiting, times = False, []
    for effect in effects(root):
        match effect:
            case Await():
                is_waiting = True
                wait = root.call_at(effect.path).wait
                # A poll that is blocked is not due before the obstacle's next try.
                until = wait.deadline if wait and effect.path in blocked else effect.until
                times += [until] if until else []
            case TakeSignal():
                times.append(effect.signal.at)  # the commit that took it was refused
            case AskIfHappened() if effect.path not in blocked:
                times.append(lease_dead_at(effect, clock_skew))
            case CallModel() if model_backoff and effect.path not in blocked:
                times.append(model_backoff.until)
            case _:
                pass
    return NextWake(is_waiting, tuple(times))


def lease_dead_at(effect: AskIfHappened, clock_skew: float) -> datetime:
    """When the lease holder that stored an intent is certainly dead, by any machine's clock."""
    return effect.intent.deadline + timedelta(seconds=clock_skew)
