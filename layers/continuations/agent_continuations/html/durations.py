"""Durations in words."""

from datetime import datetime


def remaining(deadline: datetime | None, now: datetime) -> str:
    """The time left until a deadline, in words; empty where there is none."""
    if deadline is None:
        return ""
    return f"{humanize(max((deadline - now).total_seconds(), 0))} left"


def humanize(seconds: float) -> str:
    """A duration in words, in its largest suitable unit."""
    minutes = int(seconds // 60)
    for unit, size in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * size:
            return f"{round(minutes / size)} {unit}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
