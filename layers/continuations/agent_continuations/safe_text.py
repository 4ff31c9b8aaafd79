"""Text from models and people, made fit to be looked at."""

import json
import re
import unicodedata
from typing import Any

_ALLOWED_CONTROLS = {"\n", "\t"}
# Control, format, surrogate, private use, line and paragraph separators.
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Letters, marks and free places that have no shape, such as the Hangul filler: what else has the
# property Default_Ignorable_Code_Point (Unicode 16, DerivedCoreProperties.txt).
_SHAPELESS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)


def escape(text: str) -> str:
    """Text in which nothing hides: control, format and bidi characters, and letters
    without a shape, are written as escapes.

    Trojan Source (CVE-2021-42574) is what bidi characters do to a reader who cannot see them.
    """
    return "".join(each if _is_visible(each) else f"\\u{{{ord(each):x}}}" for each in text)


def escape_line(text: str) -> str:
    """`shown` in one line, so that it cannot forge the lines around it."""
    return " ".join(escape(text).split())


def escape_json(value: Any) -> str:
    """A JSON value, indented, with nothing hidden in it; it still is the same JSON."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(each if _is_visible(each) else json.dumps(each)[1:-1] for each in text)


def _is_visible(character: str) -> bool:
    if character in _ALLOWED_CONTROLS:
        return True
    return unicodedata.category(character) not in _HIDDEN_CATEGORIES and not _SHAPELESS.match(
        character
    )
