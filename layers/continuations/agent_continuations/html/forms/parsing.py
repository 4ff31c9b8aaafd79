"""Strict parsing of typed text: numbers, dates, times, JSON."""

import json
import math
import re
from datetime import date, datetime
from typing import Any, NoReturn

from agent_continuations.core.ids import canonical_json
from agent_continuations.errors import Invalid

DATETIME_EXAMPLE = "2026-11-22T14:30:00+01:00"

_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}")  # Python parses at most 4,300 digits
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    return bool(_NUMBER.fullmatch(text))


def is_date(text: str) -> bool:
    """Whether a text is a date; a browser's date control drops any other text."""
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def whole_number(text: str) -> int:
    """A whole number of any size.

    Raises:
        Invalid: not a whole number.
    """
    if not _WHOLE.fullmatch(text):
        raise Invalid("Enter a whole number, e.g. 12")
    return int(text)


def number(text: str) -> int | float:
    """A number; without a point or an exponent it is an exact whole number.

    Raises:
        Invalid: not a number, or larger than a double can be.
    """
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    raise Invalid("Enter a number, e.g. 12.5")


def iso_date(text: str) -> str:
    """A date.

    Raises:
        Invalid: not a date.
    """
    if not is_date(text):
        raise Invalid("Enter a date, e.g. 2026-11-22")
    return text


def iso_datetime(text: str) -> str:
    """A date with a time; the schema decides whether it needs a time zone.

    Raises:
        Invalid: not a date with a time.
    """
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"Enter a date and time, e.g. {DATETIME_EXAMPLE}") from None
    return text


def strict_json(text: str) -> Any:
    """A JSON value that all parsers read alike.

    Raises:
        Invalid: not JSON, a duplicate name, or a number or text that JSON cannot represent.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_names,
            parse_constant=_reject_constant,
            parse_float=_finite_number,
        )
        canonical_json(value).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Invalid(f"Invalid JSON ({where}): {error.msg}") from None
    except RecursionError:
        raise Invalid("Nested too deeply") from None
    except UnicodeEncodeError:
        raise Invalid("Contains an incomplete character") from None
    except ValueError:
        raise Invalid("Contains a number with too many digits") from None
    return value


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Invalid(f"Duplicate name {json.dumps(name)} in one object")
        found[name] = value
    return found


def _reject_constant(text: str) -> NoReturn:
    raise Invalid(f"{text} is not a valid number in JSON")


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Invalid("Contains a number that is too large")
    return number
