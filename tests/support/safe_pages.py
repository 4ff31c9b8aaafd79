"""Checks of the HTML pages that functions answer with, and what stands on a page."""

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

from tests.support.http_answers import Answer

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=y>\"'&\u202etfosorcim\u2066\r\nBcc: x@evil.example"
)
REFRESH = re.compile(r'<meta http-equiv="refresh" content="(\d+)">\n')
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\r\x00-\x08]")


class Tags(HTMLParser):
    """All tags and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def assert_is_a_safe_page(answer: Answer) -> None:
    """Check the headers, and that the page holds no script, resource or address."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    policy = dict(
        each.strip().partition(" ")[::2]
        for each in answer.headers["content-security-policy"].split(";")
    )
    [style] = re.findall(r"<style>(.*?)</style>", answer.body, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    found = Tags(answer.body)
    assert not {"script", "img", "iframe", "link", "object", "svg", "base"} & set(found.tags)
    assert not {name for name in found.attributes if name.startswith("on") or name == "style"}
    assert not {"src", "autofocus"} & found.attributes
    assert "http" not in re.sub(r"<time[^>]*>", "", answer.body).lower().replace("&lt;", "")
    assert not BIDI.search(answer.body)


def assert_is_a_safe_run(answer: Answer) -> None:
    """Check the page of a run, which may also refresh itself, but not lead elsewhere."""
    body = REFRESH.sub("", answer.body, count=1)
    assert_is_a_safe_page(Answer(answer.status, answer.headers, body))
    assert "<form" not in body


def refresh_seconds(answer: Answer) -> int | None:
    """The seconds after which the page refreshes itself; None if it does not."""
    found = REFRESH.findall(answer.body)
    return int(found[0]) if found else None


def statuses_of(answer: Answer) -> list[str]:
    """The texts of the badges at the head of a run's page."""
    [badges] = re.findall(r'<p class="badges" role="status">(.*?)</p>', answer.body)
    return re.findall(r'<span class="status (?:\w+)">(\w+)</span>', badges)


def links(answer: Answer) -> set[str]:
    return set(re.findall(r'href="([^"]*)"', answer.body))
