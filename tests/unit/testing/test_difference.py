"""The text of a difference: readable, escaped, bounded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_continuations.safe_text import escape
from agent_continuations.testing import Difference
from agent_continuations.testing.difference import diff_lines


def text(expected: Any, actual: Any, what: str = "it differs") -> str:
    return str(Difference("run", "0.0/1.0", ("a", "b"), 1, what, expected, actual))


def test_texts_are_compared_by_line_and_other_values_as_json() -> None:
    assert text("a\nb\nc", "a\nB\nc") == (
        "it differs (turn 1 of a > b, path 0.0/1.0, run run)\n"
        "\n--- recorded\n+++ now\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c"
    )
    assert text({"b": 1, "a": "é"}, {"a": "é"}).endswith(
        ' {\n-  "a": "é",\n-  "b": 1\n+  "a": "é"\n }'
    )
    assert text(None, {}).endswith("-(none)\n+{}")


def test_text_of_models_and_people_is_escaped() -> None:
    shown = text("\x1b[2J\u202e", "\r", what="the tool\nforged \x1b")
    assert shown.startswith("the tool forged \\u{1b} (turn 1")
    assert "-\\u{1b}[2J\\u{202e}\n+\\u{d}" in shown


def test_only_the_lines_around_the_first_difference_are_shown() -> None:
    lines = [f"line {number}" for number in range(50_000)]
    changed = [*lines[:40_000], "new", *lines[40_000:]]
    shown = diff_lines("\n".join(lines), "\n".join(changed))
    assert shown[2:] == [
        "@@ -39998,6 +39998,7 @@",
        *(f" {each}" for each in lines[39_997:40_000]),
        "+new",
        *(f" {each}" for each in lines[40_000:40_003]),
    ]


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ("x" * 3_000_000, "x" * 1_500_000 + "y" + "x" * 1_500_000),
        ("\n".join(map(str, range(100_000))), "\n".join(map(str, range(1, 200_000, 2)))),
        ("a\nb\n" * 20_000, "b\na\n" * 20_000),
        ([0] * 50_000, [1] * 50_000),
    ],
)
def test_a_long_diff_is_cut(expected: Any, actual: Any) -> None:
    shown = text(expected, actual)
    assert len(shown) < 100_000
    assert shown.endswith("... (the rest of the diff is not shown)")


def test_a_long_line_is_split_where_it_differs() -> None:
    shown = diff_lines("a" * 1000, "a" * 500 + "b" + "a" * 499)
    assert [each[:1] + each[-3:] for each in shown[2:]] == [
        "@ @@",
        " aa\\",
        "-aa\\",
        "+aa\\",
        " aaa",
    ]
    assert diff_lines("a" * 800, "a" * 400 + "\n" + "a" * 400)


lines = st.lists(st.sampled_from(["a", "b", "c", "\t"]), max_size=12).map("\n".join)


@given(lines | st.text(max_size=300), lines | st.text(max_size=300))
def test_a_diff_is_empty_only_for_equal_texts_and_shows_their_lines(
    expected: str, actual: str
) -> None:
    shown = diff_lines(expected, actual)
    assert bool(shown) == (expected != actual)
    removed = [each[1:] for each in shown[2:] if each.startswith("-")]
    added = [each[1:] for each in shown[2:] if each.startswith("+")]
    assert set(removed) <= set(map(escape, expected.split("\n")))
    assert set(added) <= set(map(escape, actual.split("\n")))
    assert removed or added or not shown
