"""The pages of this function."""

from pathlib import Path

from agent_continuations.html.renderer import PageRenderer

_pages = PageRenderer(Path(__file__).with_name("templates"))
of, of_problem, see_other = _pages.render, _pages.render_problem, _pages.see_other
