"""Times in words."""

from datetime import datetime


def remaining(deadline: datetime | None, now: datetime) -> str:
    """How much time is left, in words; nothing where there is no deadline."""
    if deadline is None:
        return ""
    return f"{humanize(max((deadline - now).total_seconds(), 0))} left"


def humanize(seconds: float) -> str:
    """A time in words, in the unit that it is told in."""
    minutes = int(seconds // 60)
    for unit, size in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * size:
            return f"{round(minutes / size)} {unit}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
