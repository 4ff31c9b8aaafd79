"""The colours of the pages: every text has enough contrast, in light and dark mode.

The ratio, and how small it may be: WCAG 2.2, 1.4.3 for text and 1.4.11 for controls.
"""

import re

import pytest

from agent_continuations.html.renderer import PageRenderer
from tests.local.template import ROOT

STYLE = PageRenderer(ROOT / "functions" / "dashboard" / "templates").style
TEXT, CONTROL = 4.5, 3.0
GROUNDS = ("paper", "card")


def palette(scheme: str) -> dict[str, str]:
    """The variables of `:root`, in light or dark mode."""
    day, night = re.findall(r":root\{([^}]*)\}", STYLE)
    pairs = dict(re.findall(r"--(\w+):(#\w+)", day))
    return pairs | (dict(re.findall(r"--(\w+):(#\w+)", night)) if scheme == "dark" else {})


def contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(each * 2 for each in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(scheme: str) -> None:
    colours = palette(scheme)
    # Texts by their variables, on the page and on a card; and a button's, which is the card's.
    pairs = [
        (text, ground)
        for text in set(re.findall(r"[{;]color:var\(--(\w+)\)", STYLE)) - {"card"}
        for ground in GROUNDS
    ]
    pairs += [
        ("card", ground)
        for ground in re.findall(r"[{;]background:var\(--(\w+)\)", STYLE)
        if ground not in GROUNDS
    ]
    assert {("ink", "paper"), ("soft", "card"), ("card", "green"), ("card", "red")} <= {*pairs}
    weak = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert not {pair: ratio for pair, ratio in weak.items() if ratio < TEXT}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_controls_have_enough_contrast_with_their_surroundings(scheme: str) -> None:
    colours = palette(scheme)
    (edge,) = set(re.findall(r"border:1px solid var\(--(\w+)\);border-radius:8px;padding", STYLE))
    for colour in (edge, "blue"):  # the focus is shown in blue
        assert all(contrast(colours[colour], colours[ground]) >= CONTROL for ground in GROUNDS)


def test_no_colour_is_outside_the_palette() -> None:
    rules = re.sub(r":root\{[^}]*\}", "", STYLE)
    assert re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|:(?:white|black)\b", rules) == []
