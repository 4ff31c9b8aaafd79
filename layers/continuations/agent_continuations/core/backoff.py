"""Back-off: of model calls while their service is unavailable, and of calls that are blocked."""

from datetime import datetime, timedelta

from agent_continuations.core.base import FrozenModel, storable
from agent_continuations.errors import ModelUnavailable


class ModelBackoff(FrozenModel):
    """No model call before `until`, because the service was unavailable.

    Attributes:
        tries: how many calls in a row have failed.
        reason: the last error, shortened.
    """

    until: datetime
    tries: int
    reason: str


class Obstacle(FrozenModel):
    """What blocks a call of a run until it is removed outside, such as a refused key.

    The run's note says what it is. The call is tried again at `until`.

    Attributes:
        since: when the run was blocked first; it has been blocked ever since.
        tries: how often the blocked call was tried.
    """

    since: datetime
    until: datetime
    tries: int


def next_obstacle(
    before: Obstacle | None, now: datetime, *, shortest: float, longest: float
) -> Obstacle:
    """The obstacle after one more try: its interval is doubled each time.

    Args:
        before: the obstacle before this try. A try before it was due is not another one.
        now: the time.
        shortest, longest: first and longest interval, in seconds.
    """
    if before and before.until > now:
        return before
    since, tries = (before.since, before.tries + 1) if before else (now, 1)
    seconds = min(shortest * 2.0 ** min(tries - 1, 64), longest)
    return Obstacle(since=since, until=now + timedelta(seconds=seconds), tries=tries)


def next_backoff(
    before: ModelBackoff | None,
    error: ModelUnavailable,
    now: datetime,
    *,
    shortest: float,
    longest: float,
) -> ModelBackoff:
    """The back-off after one more failure: doubled each time, or longer if the service asks.

    Args:
        before: the back-off before this call, or one that began while the call was in flight.
        error: how the call failed.
        now: the time.
        shortest, longest: first and last value of the doubling, in seconds. The service may ask
            for more.
    """
    tries, until = 1, now
    if before:
        # A call that fails during a back-off was started before it, and is not another try.
        tries = before.tries if before.until > now else before.tries + 1
        until = before.until
    seconds = max(error.after_seconds or 0.0, min(shortest * 2.0 ** (tries - 1), longest))
    until = max(until, now + timedelta(seconds=seconds))
    return ModelBackoff(until=until, tries=tries, reason=storable(str(error)[:200]))
