"""The Retry-After header of HTTP responses (RFC 9110, section 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# The longest delay that is accepted from a header.
LONGEST_SECONDS = 24 * 3600.0


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """The seconds to wait that a Retry-After header asks for, at most a day.

    Args:
        value: the header's value: seconds, with or without a fraction, or an HTTP date.
        now: the time from which a date is counted.

    Returns:
        None if there is no header, or if its value is invalid.
    """
    text = (value or "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), LONGEST_SECONDS)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_SECONDS)
