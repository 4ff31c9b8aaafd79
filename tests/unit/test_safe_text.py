"""What people are shown of texts: no character that looks like another space, or like nothing."""

import json
import sys
import unicodedata

import pytest

from agent_continuations.safe_text import escape, escape_json, excerpt, is_visible

BLANK = {
    "a no-break space": "\u00a0",
    "an em space": "\u2003",
    "a narrow no-break space": "\u202f",
    "an ideographic space": "\u3000",
    "the space of Ogham": "\u1680",
    "a blank pattern of Braille": "\u2800",
    "a null notehead": "\U0001d159",
    "a Hangul filler": "\u3164",
    "a half-width Hangul filler": "\uffa0",
    "a zero-width space": "\u200b",
    "a soft hyphen": "\u00ad",
    "a tag": "\U000e0061",
    "a variation selector": "\ufe0f",
    "a combining grapheme joiner": "\u034f",
}


@pytest.mark.parametrize("character", BLANK.values(), ids=BLANK.keys())
def test_what_cannot_be_told_from_a_space_or_from_nothing_is_shown_by_its_number(
    character: str,
) -> None:
    assert not is_visible(character)
    assert escape(f"a{character}b") == f"a\\u{{{ord(character):x}}}b"
    shown = escape_json({"to": f"a{character}b"})
    assert character not in shown
    assert json.loads(shown) == {"to": f"a{character}b"}


def test_one_space_is_a_space() -> None:
    spaces = [each for each in map(chr, range(sys.maxunicode + 1)) if each.isspace()]
    assert len(spaces) > 20
    assert [each for each in spaces if is_visible(each)] == ["\t", "\n", " "]


@pytest.mark.parametrize(
    "text", ["Zürich", "日本語", "עברית", "10 €", "naïve", "e\u0301", "👍", "½"]
)
def test_texts_of_all_languages_are_shown_as_they_are(text: str) -> None:
    assert escape(text) == text


def test_nothing_without_ink_is_shown_as_it_is() -> None:
    hidden = {"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"}
    for number in range(sys.maxunicode + 1):
        if unicodedata.category(chr(number)) in hidden:
            assert not is_visible(chr(number)) or chr(number) in "\t\n "


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [("", 0, ("", 0)), ("abc", 3, ("abc", 0)), ("abcd", 3, ("abc", 1)), ("abc", 0, ("", 3))],
)
def test_an_excerpt_says_how_much_is_left_out(
    text: str, most: int, expected: tuple[str, int]
) -> None:
    assert excerpt(text, most) == expected
