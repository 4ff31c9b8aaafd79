"""Back-off of model calls while the model service is unavailable."""

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
