"""Backoff."""

from datetime import datetime, timedelta

from agent_continuations.core.base import FrozenModel
from agent_continuations.errors import ModelUnavailable


class ModelBackoff(FrozenModel):
    """The model service is left alone until then; `tries` calls in a row have failed."""

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
    return ModelBackoff(until=until, tries=tries, reason=str(error)[:200])
