"""The page of this function."""

from pathlib import Path

from agent_continuations.html.renderer import PageRenderer

PAGES = PageRenderer(Path(__file__).with_name("templates"))
