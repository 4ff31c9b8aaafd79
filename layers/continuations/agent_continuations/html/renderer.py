"""Pages as HTML: no script, nothing from other sites, every text escaped.

The templates here are shared by the functions; each function adds its own.
"""

from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agent_continuations.handlers.problems import Problem
from agent_continuations.handlers.responses import page_headers
from agent_continuations.safe_text import escape

TEMPLATES = Path(__file__).with_name("templates")


def _about(heading: str, agent: str, tool: str) -> Markup:
    """A heading of `views.labels` with its names, the tool's as code."""
    code = Markup("<code>{}</code>").format(escape(tool))
    # The heading is a label of `views.labels`, and what is put into it is escaped.
    return Markup(heading).format(agent=escape(agent), tool=code)  # nosec B704


class PageRenderer:
    """The pages of one function.

    Args:
        folder: of the templates of the function. Its `more.css`, if any, follows the shared style.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def render(
        self, template: str, variables: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK
    ) -> Response[str]:
        """A page from a template."""
        body = self.environment.get_template(template).render(variables, style=self.style)
        return Response(
            status.value, content_type="text/html; charset=utf-8", body=body, headers=self._headers
        )

    def render_problem(
        self, document: Problem, sign_in: str = "", *, back: str = ""
    ) -> Response[str]:
        """The page of a problem.

        Args:
            document: the problem.
            sign_in: the address to sign in at; empty where that would not help.
            back: the text of the link back to the page that was asked for.
        """
        variables = {"problem": document, "sign_in": sign_in, "back": back}
        return self.render("problem.html", variables, HTTPStatus(document["status"]))

    def see_other(self, location: str) -> Response[str]:
        """Redirect the browser to a page."""
        headers = {**self._headers, "Location": location}
        return Response(HTTPStatus.SEE_OTHER.value, headers=headers, body="")

    @cached_property
    def style(self) -> str:
        """The style sheet, inlined in every page."""
        sheets = (TEMPLATES / "style.css", self._folder / "more.css")
        return "".join(each.read_text(encoding="utf-8") for each in sheets if each.exists())

    @cached_property
    def environment(self) -> Environment:
        """The templates: those of the function, then the shared ones."""
        environment = Environment(
            loader=FileSystemLoader([self._folder, TEMPLATES]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["shown"] = escape
        environment.filters["about"] = _about
        return environment

    @cached_property
    def _headers(self) -> dict[str, str]:
        return page_headers(self.style)
