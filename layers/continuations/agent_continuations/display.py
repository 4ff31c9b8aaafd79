"""Text from models and people, made fit to be looked at."""

import json
import unicodedata
from typing import Any

_KEPT = {"\n", "\t"}
# Control, format, surrogate, private use, line and paragraph separators.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def shown(text: str) -> str:
    """Text in which nothing hides: control, format and bidi characters are written as escapes.

    Trojan Source (CVE-2021-42574) is what bidi characters do to a reader who cannot see them.
    """
    return "".join(each if _plain(each) else f"\\u{{{ord(each):x}}}" for each in text)


def shown_line(text: str) -> str:
    """`shown` in one line, so that it cannot forge the lines around it."""
    return " ".join(shown(text).split())


def shown_json(value: Any) -> str:
    """A JSON value, indented, with nothing hidden in it; it still is the same JSON."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "".join(each if _plain(each) else json.dumps(each)[1:-1] for each in text)


def _plain(character: str) -> bool:
    return character in _KEPT or unicodedata.category(character) not in _HIDDEN
