"""Text from models and people, made fit to be looked at."""

import json
import unicodedata
from typing import Any

_KEPT = {"\n", "\t"}


def shown(text: str) -> str:
    """Text in which nothing hides: control, format and bidi characters are written as escapes.

    Trojan Source (CVE-2021-42574) is what bidi characters do to a reader who cannot see them.
    """
    return "".join(
        character
        if character in _KEPT
        or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        else f"\\u{{{ord(character):x}}}"
        for character in text
    )


def shown_json(value: Any) -> str:
    """A JSON value, indented, with nothing hidden in it."""
    return shown(json.dumps(value, ensure_ascii=False, indent=2))
