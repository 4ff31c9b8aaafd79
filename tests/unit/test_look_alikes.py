"""Characters that may be taken for others are pointed out, wherever people approve."""

import unicodedata
from string import ascii_letters, digits, punctuation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_continuations.html.marks import marked
from agent_continuations.look_alikes import MAX_SHOWN, look_alike_lines, look_alikes


def said(text: str) -> list[tuple[str, str]]:
    return [(f"{ord(each.character):04X}", each.like) for each in look_alikes(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\u0430cme", [("0430", "a")]),
        ("pay to \u0430cme, please", [("0430", "a")]),
        ("\u0441\u043e\u0435", [("0441", "c"), ("043E", "o"), ("0435", "e")]),
        ("paypa\u217c", [("217C", "l")]),
        ("\uff11\uff10\uff10", [("FF11", "1"), ("FF10", "0")]),
        ("\U0001d41acme", [("1D41A", "a")]),
        ("acme\u2024com", [("2024", ".")]),
        ("https:\u2215\u2215acme.com", [("2215", "/")]),
        ("acme.com\u2044x", [("2044", "/")]),
        ("ann\uff20example.com", [("FF20", "@")]),
        ("\u0391\u0392C", [("0391", "A"), ("0392", "B")]),
        ("1\u03bf0", [("03BF", "o")]),
        ("acme\u0338", [("0338", "")]),
        ("a\u20dd", [("20DD", "")]),
        ("caf\u0065\u0301\u0301", [("0301", "")]),
    ],
)
def test_a_character_that_may_be_taken_for_another_is_pointed_out(
    text: str, found: list[tuple[str, str]]
) -> None:
    assert said(text) == found
    assert marked(text).count("<mark") >= len(found)


@pytest.mark.parametrize(
    "text",
    [
        "M\xfcller, Zo\xeb, \xc5ngstr\xf6m, na\xefve, cafe\u0301, \u0141\xf3d\u017a, S\xe3o",
        "\u041c\u043e\u0441\u043a\u0432\u0430 \u0438 \u0416\u0438\u0442\u043e\u043c\u0438\u0440",
        "\u0395\u03bb\u03bb\u03ac\u03b4\u03b1",
        "\u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4",
        "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
        "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
        "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627",
        "don\u2019t \u201cpay\u201d \u2013 5 \u20ac\u2026 10\xb2 \xb5m \xbd \u2192 \U0001f600",
        ascii_letters + digits + punctuation,
        "",
    ],
)
def test_what_people_write_is_not_pointed_out(text: str) -> None:
    assert said(text) == []
    assert "<mark" not in marked(text)


def test_names_and_values_of_all_depths_are_looked_at() -> None:
    odd = "\u0430"
    value = {f"{odd}b": 1, "list": [{"deep": [f"{odd}c"]}], "plain": "abc", "number": 5}
    assert [each.word for each in look_alikes(value)] == [f"{odd}b", f"{odd}c"]


def test_a_line_says_which_character_it_is() -> None:
    [line] = look_alike_lines({"to": "\u0430cme"})
    assert line == "In \u0430cme: \u0430 is U+0430 Cyrillic small letter a, and looks like a"
    [line] = look_alike_lines("acme\u0338\u202e")
    assert "U+0338 Combining long solidus overlay" in line
    assert "\u202e" not in line


def test_there_are_not_too_many_lines() -> None:
    lines = look_alike_lines([f"{number}\u0430b" for number in range(100)])
    assert (len(lines), lines[-1]) == (MAX_SHOWN + 1, "And 80 more")


def test_a_mark_says_what_it_is_on() -> None:
    html = marked('<b>\u0430cme"')
    name = "U+0430 Cyrillic small letter a"
    assert html == f'&lt;b&gt;<mark title="{name}">\u0430</mark>cme&#34;'


@given(st.text())
def test_no_text_breaks_it_and_marks_keep_the_text(text: str) -> None:
    look_alikes(text)
    assert marked(text).striptags() is not None
    assert str(marked(text)).count("<") == 2 * str(marked(text)).count("<mark")


def test_each_letter_of_mathematics_and_each_wide_letter_is_known() -> None:
    for number in (*range(0x1D400, 0x1D800), *range(0xFF10, 0xFF5B)):
        character = chr(number)
        plain = unicodedata.normalize("NFKC", character)
        if plain in ascii_letters + digits:
            assert said(f"x{character}") == [(f"{number:04X}", plain)]
