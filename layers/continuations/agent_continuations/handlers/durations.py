"""Durations for the log."""

from time import perf_counter


def milliseconds_since(started: float) -> int:
    """The time since a `perf_counter`, in milliseconds."""
    return round(1000 * (perf_counter() - started))
