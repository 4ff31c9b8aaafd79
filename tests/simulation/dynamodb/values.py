"""DynamoDB's attribute values: which it refuses, how large they are, and how numbers compare."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, TypeAlias

Typed: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Typed]
Key: TypeAlias = tuple[str, str]

MAX_ITEM_BYTES = 400 * 1024
MAX_KEY_BYTES = {"pk": 2048, "sk": 1024}
MAX_NESTING = 32
MAX_DIGITS = 38
MAX_EXPONENT = 125
MIN_EXPONENT = -130

_SHORT_INTEGER = re.compile(r"-?[0-9]{1,38}", re.ASCII)
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)


class Refused(Exception):
    """What DynamoDB calls a ValidationException."""


def key_of(item: Mapping[str, Any]) -> Key:
    """The primary key of a stored item."""
    return item["pk"]["S"], item["sk"]["S"]


def checked_key(key: Mapping[str, Any]) -> Key:
    """The primary key in a request.

    Args:
        key: exactly the table's key, or a whole item.

    Raises:
        Refused: a part is missing, or is no string of one byte or more.
    """
    for name, most in MAX_KEY_BYTES.items():
        content = key.get(name, {}).get("S")
        if not content or len(content.encode()) > most:
            raise Refused(f"the key {name} must be a string of 1 to {most} bytes")
    return key["pk"]["S"], key["sk"]["S"]


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item by DynamoDB's rules: names and values, without the storage overhead.

    Raises:
        Refused: a value is invalid.
    """
    return sum(len(name.encode()) for name in item) + sum(map(value_bytes, item.values()))


def value_bytes(value: Mapping[str, Any], nesting: int = 1) -> int:
    """The size of a value.

    Raises:
        Refused: the value is invalid, or nested too deeply.
    """
    if len(value) != 1:
        raise Refused("a value has exactly one type")
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "N":
            return _number_bytes(content)
        case "BOOL" | "NULL" if kind == "BOOL" or content:
            return 1
        case "M" if nesting < MAX_NESTING:
            names = sum(1 + len(name.encode()) for name in content)
            return 3 + names + sum(value_bytes(inner, nesting + 1) for inner in content.values())
        case "L" if nesting < MAX_NESTING:
            return 3 + sum(1 + value_bytes(inner, nesting + 1) for inner in content)
        case "SS" | "NS" | "BS":
            raise NotImplementedError("sets are not simulated")
    raise Refused(f"a value of type {kind} is invalid, or nested too deeply")


def number(text: str) -> int | Decimal:
    """The number that a value of type N spells.

    Raises:
        Refused: it is none, or has more digits or another magnitude than DynamoDB stores.
    """
    if _SHORT_INTEGER.fullmatch(text):
        return int(text)
    if not _NUMBER.fullmatch(text):
        raise Refused(f"no number: {text!r}")
    try:
        # The default context keeps 28 digits only in arithmetic; this conversion is exact.
        found = Decimal(text)
    except InvalidOperation as error:
        raise Refused(f"no number: {text!r}") from error
    if len("".join(map(str, found.as_tuple().digits)).strip("0")) > MAX_DIGITS:
        raise Refused(f"more than {MAX_DIGITS} digits: {text!r}")
    if found and not MIN_EXPONENT <= found.adjusted() <= MAX_EXPONENT:
        raise Refused(f"too large or too small: {text!r}")
    return found


def number_text(value: int | Decimal) -> str:
    """The spelling of a number that was computed."""
    if isinstance(value, int):
        return str(value)
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@lru_cache(4096)
def _number_bytes(text: str) -> int:
    """Two digits to a byte, aligned at the decimal point, without zeros at either end."""
    if not _SHORT_INTEGER.fullmatch(text):
        text = format(number(text), "f")
    whole, _, fraction = text.lstrip("+-").partition(".")
    digits = whole.zfill(len(whole) + len(whole) % 2) + fraction + "0" * (len(fraction) % 2)
    pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
    while pairs and pairs[-1] == "00":
        pairs.pop()
    zeros = next((at for at, pair in enumerate(pairs) if pair != "00"), len(pairs))
    return len(pairs) - zeros + 1 + text.startswith("-")
