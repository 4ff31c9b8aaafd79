"""A page with a form drawn by the real macro, and what a browser would post of it."""

from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

from agent_continuations.html.forms.form import Field
from agent_continuations.html.forms.parsing import is_date
from agent_continuations.html.renderer import PageRenderer

TEMPLATES = Path(__file__).parents[2] / "functions" / "approvals_api" / "templates"
PAGE = """{% extends "base.html" %}{% from "fields.html" import draw %}
{% block title %}Form{% endblock %}
{% block main %}
<form method="post" action="">{{ draw(fields) }}<button name="decision" value="approve">Go</button>
</form>
{% endblock %}"""

_pages = PageRenderer(TEMPLATES)
_page = _pages.environment.from_string(PAGE)


def page(fields: Iterable[Field]) -> str:
    """The page as the approver's function would answer with it."""
    return _page.render(fields=tuple(fields), style=_pages.style)


class Browser(HTMLParser):
    """The content of a page, and the values that its untouched form posts.

    It does what the HTML Standard makes of a value: line breaks of the page become LF, the first
    one of a textarea is dropped, a line has none, a date control drops what is no date, a list
    begins at its first choice, and every line break is posted as CRLF.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.labels: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.posted: dict[str, str] = {}
        self.options: dict[str, dict[str, str]] = {}
        self._open: list[tuple[str, dict[str, str]]] = []
        self._selected: set[str] = set()
        self._textarea = ""
        self.feed(text.replace("\r\n", "\n").replace("\r", "\n"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert len(found) == len(attrs)
        self.tags.append((tag, found))
        if tag == "input":
            value = found["value"].replace("\n", "")
            if found["type"] == "date" and not is_date(value):
                value = ""
            self.posted[found["name"]] = value
            return
        if tag == "option":
            name = self._open[-1][1]["name"]
            if name not in self.posted or "selected" in found:
                self.posted[name] = found["value"]
            self._selected |= {name} if "selected" in found else set()
            self.options.setdefault(name, {})[found["value"]] = ""
        if tag not in ("meta", "br"):
            self._open.append((tag, found))

    def handle_data(self, data: str) -> None:
        for tag, found in self._open:
            if "id" in found:
                self.texts[found["id"]] = self.texts.get(found["id"], "") + data
            if tag == "label":
                self.labels[found["for"]] = self.labels.get(found["for"], "") + data
        tag, found = self._open[-1] if self._open else ("", {})
        if tag == "textarea":
            self._textarea += data
        if tag == "option":
            self.options[self._open[-2][1]["name"]][found["value"]] += data

    def handle_endtag(self, tag: str) -> None:
        opened, found = self._open.pop()
        assert opened == tag
        if tag == "textarea":
            value = self._textarea.removeprefix("\n")
            self.posted[found["name"]] = value.replace("\n", "\r\n")
            self._textarea = ""
        if tag == "select":
            assert found["name"] in self._selected, "nothing is selected"

    @property
    def controls(self) -> dict[str, dict[str, str]]:
        """The controls by name, with their attributes and their tag."""
        return {
            found["name"]: {**found, "tag": tag}
            for tag, found in self.tags
            if tag in ("input", "select", "textarea")
        }
