"""The renderer of this function, and texts cut to a length."""

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
        whole: the text, cut to the limit.
        first: its beginning, where the text is long enough to be folded.
        more: the number of characters cut.
    """

    whole: str
    first: str
    more: int


def text(whole: str, most: int, *, stands_open: int = MAX_OPEN_CHARACTERS) -> Text:
    """A text, folded where it is long and cut at a limit, so that the page fits into a response.

    Args:
        whole: the text.
        most: the limit, in characters.
        stands_open: up to how many characters the text is not folded.
    """
    long = len(whole) > stands_open
    first = escape_line(whole[:MAX_FIRST_CHARACTERS]) if long else ""
    return Text(whole[:most], first, max(len(whole) - most, 0))
