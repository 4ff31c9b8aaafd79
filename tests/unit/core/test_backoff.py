"""The obstacle of a blocked run: how often it is tried again."""

from datetime import datetime, timedelta

from agent_continuations.core.backoff import Obstacle, next_obstacle
from tests.support.events import NOW


def after(before: Obstacle | None, now: datetime) -> Obstacle:
    return next_obstacle(before, now, shortest=300, longest=3600)


def test_the_interval_between_tries_doubles_up_to_the_longest() -> None:
    obstacle, minutes = None, []
    now = NOW
    for _ in range(80):
        obstacle = after(obstacle, now)
        minutes.append((obstacle.until - now).total_seconds() / 60)
        now = obstacle.until
    assert minutes[:6] == [5, 10, 20, 40, 60, 60]
    assert set(minutes[6:]) == {60}


def test_a_run_is_blocked_since_its_first_try() -> None:
    first = after(None, NOW)
    second = after(first, first.until + timedelta(seconds=7))
    assert (first.since, first.tries) == (NOW, 1)
    assert (second.since, second.tries) == (NOW, 2)


def test_a_wake_before_the_next_try_is_not_another_try() -> None:
    first = after(None, NOW)
    assert after(first, first.until - timedelta(seconds=1)) == first
    assert after(first, first.until).tries == 2
