"""The pages of this function, and how texts of any length stand on them."""

from dataclasses import dataclass
from pathlib import Path

from agent_continuations.html.renderer import PageRenderer
from agent_continuations.safe_text import escape_line

PAGES = PageRenderer(Path(__file__).with_name("templates"))
MAX_OPEN_CHARACTERS = 240
MAX_FIRST_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Text:
    """A text on a page.

    Attributes:
        whole: all of it that is shown.
        first: its beginning, where it is too long to stand open.
        more: how many characters are left out.
    """

    whole: str
    first: str
    more: int


def text(whole: str, most: int, *, stands_open: int = MAX_OPEN_CHARACTERS) -> Text:
    """A text, folded where it is long, and cut where it is very long: a page must fit into a
    Lambda's answer.
    """
    long = len(whole) > stands_open
    first = escape_line(whole[:MAX_FIRST_CHARACTERS]) if long else ""
    return Text(whole[:most], first, max(len(whole) - most, 0))
