"""What a person typed, read strictly: a number, a date, a moment, JSON; faults in words."""

import json
import math
import re
from datetime import date, datetime
from typing import Any, NoReturn

from agent_continuations.core.ids import canonical_json
from agent_continuations.errors import Invalid

MOMENT = "2026-11-22T14:30:00+01:00"

_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}")  # Python reads no more than 4,300 digits
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_number(text: str) -> bool:
    """Whether a text is written as a number is."""
    return bool(_NUMBER.fullmatch(text))


def is_date(text: str) -> bool:
    """Whether a browser's date control can hold a text: it drops what is no date."""
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def whole(text: str) -> int:
    """A whole number of any size.

    Raises:
        Invalid: it is none.
    """
    if not _WHOLE.fullmatch(text):
        raise Invalid("a whole number is needed, as 12: no commas, no spaces")
    return int(text)


def number(text: str) -> int | float:
    """A number; one without a point or an exponent is a whole one, and exact.

    Raises:
        Invalid: it is none, or larger than a double can be.
    """
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    raise Invalid("a number is needed, as 12.5: no commas, no spaces")


def day(text: str) -> str:
    """A date.

    Raises:
        Invalid: it is none.
    """
    if not is_date(text):
        raise Invalid("a date is needed, as 2026-11-22")
    return text


def moment(text: str) -> str:
    """A date with a time, with or without a zone: whether it needs one is the schema's to say.

    Raises:
        Invalid: it is none.
    """
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"a date and a time are needed, as {MOMENT}") from None
    return text


def strict_json(text: str) -> Any:
    """A JSON value, if all readers of JSON would read the same.

    Raises:
        Invalid: it is none, has a name twice, or a number or a text that JSON cannot say.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite
        )
        canonical_json(value).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Invalid(f"this is not JSON ({where}): {error.msg}") from None
    except RecursionError:
        raise Invalid("this is nested too deep") from None
    except UnicodeEncodeError:
        raise Invalid("this has half a character in it") from None
    except ValueError:
        raise Invalid("this has a number of too many digits in it") from None
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Invalid(f"the name {json.dumps(name)} stands twice in one object")
        found[name] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise Invalid(f"{text} is no number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Invalid("a number is too large")
    return number
