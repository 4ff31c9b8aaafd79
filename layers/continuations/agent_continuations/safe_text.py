"""Escaping of untrusted text from models and people for display."""

import json
import re
import unicodedata
from typing import Any, NamedTuple

_ALLOWED = {"\n", "\t", " "}
# Control, format, surrogate, private use, line and paragraph separators, and all spaces but one:
# they look like it, or like nothing.
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"}
# Invisible letters, marks and unassigned characters, such as the Hangul filler: the other code
# points with the property Default_Ignorable_Code_Point (Unicode 16, DerivedCoreProperties.txt), and
# two that have no ink: the blank pattern of Braille and the null notehead.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\u2800\U0001d159\U000e0000-\U000e0fff]"
)


class Excerpt(NamedTuple):
    """The beginning of a text. Nobody approves by what is not shown whole.

    Attributes:
        text: the text, or its beginning.
        more: how many of its characters are not shown.
    """

    text: str
    more: int


def excerpt(text: str, most: int) -> Excerpt:
    """A text of at most so many characters."""
    return Excerpt(text[:most], max(len(text) - most, 0))


def escape(text: str) -> str:
    """Escapes control, format and bidi characters, and invisible letters.

    Unescaped bidi characters permit the Trojan Source attack (CVE-2021-42574): displayed text
    differs from the actual text.
    """
    return "".join(each if is_visible(each) else f"\\u{{{ord(each):x}}}" for each in text)


def escape_line(text: str) -> str:
    """Escapes text and joins its lines, so that it cannot forge the lines around it."""
    return " ".join(escape(text).split())


def escape_json(value: Any) -> str:
    """Formats a JSON value, indented, with escapes; the result is the same JSON value."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(each if is_visible(each) else json.dumps(each)[1:-1] for each in text)


def is_visible(character: str) -> bool:
    """Whether a character can be displayed as it is."""
    if character in _ALLOWED:
        return True
    return unicodedata.category(character) not in _HIDDEN_CATEGORIES and not _INVISIBLE.match(
        character
    )
