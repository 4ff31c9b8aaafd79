"""The pages of this function."""

from pathlib import Path

from agent_continuations.html.renderer import Pages

_pages = Pages(Path(__file__).with_name("templates"))
of, of_problem, see_other = _pages.of, _pages.of_problem, _pages.see_other
