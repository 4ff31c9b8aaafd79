"""Pages as HTML: no script, nothing from elsewhere, every text escaped."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent_continuations.display import shown
from agent_continuations.http import page_headers
from agent_continuations.problem import Problem


def of(
    template: str, words: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK
) -> Response[str]:
    """A page from a template."""
    body = _environment().get_template(template).render(words, style=_style())
    return Response(
        status.value, content_type="text/html; charset=utf-8", body=body, headers=_headers()
    )


def of_problem(document: Problem, sign_in: str = "") -> Response[str]:
    """The page that tells what went wrong, what stands instead if something does, and where to
    sign in if that is what is missing.
    """
    words = {"problem": document, "sign_in": sign_in}
    return of("problem.html", words, HTTPStatus(document["status"]))


def see_other(location: str) -> Response[str]:
    """Send the browser to look at a page."""
    return Response(
        HTTPStatus.SEE_OTHER.value, headers={**_headers(), "Location": location}, body=""
    )


@cache
def _headers() -> dict[str, str]:
    return page_headers(_style())


@cache
def _style() -> str:
    return (_TEMPLATES / "style.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    return environment


_TEMPLATES = Path(__file__).with_name("templates")
