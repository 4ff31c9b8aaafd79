"""Characters that look like others: letters of another script, and marks on letters.

What is shown as "acme" with a Cyrillic "a" (U+0430) is another word than "acme". The characters are
not changed, since names may have letters of all languages; they are pointed out.

Unicode Technical Standard 39 (confusables.txt); UAX 15 for compatible forms.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from string import ascii_letters, digits
from typing import Any, NamedTuple

from agent_continuations.safe_text import escape_line, is_visible

MAX_SHOWN = 20
_WORD = re.compile(r"\S+")
# Of what look-alikes are pointed out: in addresses, these decide where they lead.
_SIGNS = frozenset("./:@")
_TARGETS = frozenset(ascii_letters + digits) | _SIGNS
_COMPATIBLE = ("<font>", "<wide>", "<narrow>", "<compat>", "<circle>", "<square>")


class LookAlike(NamedTuple):
    """A character that may be taken for another, or changes how one looks.

    Attributes:
        word: the word that it is in.
        character: the character.
        like: the ASCII character that it looks like; empty for a mark.
    """

    word: str
    character: str
    like: str

    @property
    def code(self) -> str:
        """Its number and name, such as `U+0430 Cyrillic small letter a`."""
        name = unicodedata.name(self.character, "without a name")
        return f"U+{ord(self.character):04X} {name[:1]}{name[1:].lower()}"

    @property
    def text(self) -> str:
        """One line about it. It is ASCII but for the word and the character."""
        looks = f"looks like {self.like}" if self.like else "is a mark on the letter before it"
        return f"In {self.word}: {self.character} is {self.code}, and {looks}"


def look_alikes(value: Any) -> tuple[LookAlike, ...]:
    """The look-alikes in a text, or in the texts and names of a JSON value; each once a word."""
    text = value if isinstance(value, str) else "\n".join(_texts(value))
    if text.isascii():
        return ()
    found = (
        each
        for word in dict.fromkeys(_WORD.findall(text))
        if not word.isascii()
        for each in _in_word(word)
    )
    return tuple(dict.fromkeys(found))


def look_alike_lines(*values: Any) -> list[str]:
    """A line about each look-alike in some values, `MAX_SHOWN` at most and then their number. The
    lines are safe to show.
    """
    found = look_alikes(list(values))
    lines = [escape_line(each.text) for each in found[:MAX_SHOWN]]
    more = len(found) - len(lines)
    return [*lines, f"And {more} more"] if more > 0 else lines


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield str(name)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _in_word(word: str) -> Iterator[LookAlike]:
    composed = unicodedata.normalize("NFC", word)
    likes = {each: _like(each) for each in composed if not each.isascii()}
    # A word of another script is what it looks like, unless each of its letters looks like ASCII.
    letters = [each for each in composed if each.isalpha()]
    mixed = any(each.isascii() and each.isalpha() for each in composed)
    deceives = mixed or all(likes.get(each) for each in letters if not each.isascii())
    word = word.strip(",;!?()\"'")
    shown = word if len(word) <= 40 else f"{word[:40]}…"
    for character, like in likes.items():
        if like and (deceives or _compatible(character)):
            yield LookAlike(shown, character, like)
        elif _is_loose(character):
            yield LookAlike(shown, character, "")


@cache
def _like(character: str) -> str:
    """The ASCII letter, digit or sign that a character looks like; empty if none."""
    compatible = _compatible(character)
    if compatible:
        return compatible
    if character.isascii() or unicodedata.category(character).startswith("M"):
        return ""
    targets = _TARGETS if character.isalnum() else _SIGNS
    # Here, because reading its tables takes 40 ms, and most texts have no such character.
    from confusable_homoglyphs import confusables  # type: ignore[import-untyped]

    found = confusables.is_confusable(character, greedy=True, preferred_aliases=[])
    named = [each["c"] for one in found or () for each in one["homoglyphs"]]
    return next((each for each in named if each in targets and len(each) == 1), "")


def _compatible(character: str) -> str:
    """The ASCII character of which this is another form, such as a full-width one."""
    if not unicodedata.decomposition(character).startswith(_COMPATIBLE):
        return ""
    plain = unicodedata.normalize("NFKC", character)
    return plain if plain in _TARGETS and len(plain) == 1 else ""


def _is_loose(character: str) -> bool:
    """Whether this is a mark on letters of any script; those of one script are part of its writing.
    Marks without ink are shown by their numbers.
    """
    is_mark = unicodedata.category(character) in ("Mn", "Me") and is_visible(character)
    return is_mark and unicodedata.name(character, "").startswith("COMBINING ")
