"""A form for arguments in a real browser: what was not touched comes back as it was."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from agent_continuations.core.ids import canonical_json
from agent_continuations.html.forms.form import Read, attach_faults, fields, parse
from tests.e2e.conftest import WAIT_SECONDS
from tests.support.form_page import Browser as Simulated
from tests.support.form_page import page as drawn
from tests.support.form_schemas import PAID, PREFIX, pay, schema_of

# Texts of every sort, in controls of one line, of many, and of JSON.
TEXTS = {
    "plain": "a",
    "empty": "",
    "space": "  ",
    "tabs": "a\tb",
    "first": "\nfirst",
    "two": "\n\nlast\n",
    "lines": "a\n\nb",
    "crlf": "\r\na\r\nb\r\n",
    "cr": "a\rb",
    "hidden": "a\u202eb\u200b\x00",
    "markup": "</textarea><script>document.title='no'</script>&lt;&#10;",
    "far": "😀 e\u0301 \u00a0 \uffff \U0010ffff",
    "long": "word " * 50,
}
OTHERS = {
    "whole": 2**63 + 1,
    "real": 1e22,
    "nought": -0.0,
    "nothing": None,
    "deep": {"\r\n": ["\n", "\r\n", {"x": None}]},
    "a name\nof two lines": True,
}
ALL = {**TEXTS, **OTHERS, **PAID}
SCHEMA = {
    **pay.schema,
    "properties": {
        **pay.schema["properties"],
        **schema_of(**dict.fromkeys(TEXTS, (str, ...)))["properties"],
        **schema_of(whole=(int, 1), real=(float, 1), nought=(float, 1), nothing=(str | None, ""))[
            "properties"
        ],
    },
}


class Server(HTTPServer):
    """Shows one page, and keeps what is posted."""

    shown = ""
    posted: dict[str, str] | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer(self.server.shown)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
        found = parse_qs(body, keep_blank_values=True, strict_parsing=True, errors="strict")
        self.server.posted = {name: value for name, (value,) in found.items()}
        self._answer("<title>Thank you</title>")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(
        viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    ) as context:
        context.set_default_timeout(WAIT_SECONDS * 1000)
        yield context


def opened(phone: BrowserContext, server: Server, text: str) -> Page:
    server.shown = text
    page = phone.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    return page


def sent(page: Page, server: Server) -> dict[str, str]:
    page.get_by_role("button", name="Go").tap()
    page.wait_for_function("document.title == 'Thank you'")
    assert server.posted is not None
    return server.posted


def test_a_browser_sends_back_what_nobody_touched(phone: BrowserContext, server: Server) -> None:
    text = drawn(fields(SCHEMA, ALL, prefix=PREFIX))
    page = opened(phone, server, text)
    assert page.title() == "Form"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    posted = sent(page, server)
    result = parse(SCHEMA, posted, ALL, prefix=PREFIX)
    assert result.faults == ()
    assert canonical_json(result.arguments) == canonical_json(ALL)
    # The unit tests' idea of a browser is that of this one.
    assert {**Simulated(text).posted, "decision": "approve"} == posted


def test_enter_decides_nothing(phone: BrowserContext, server: Server) -> None:
    page = opened(phone, server, drawn(fields(pay.schema, PAID, prefix=PREFIX)))
    assert page.get_by_role("button").count() == 1
    for name in ("amount", "count", "colour", "cc"):
        page.get_by_label(name).press("Enter")
        page.keyboard.press("Escape")
    assert page.title() == "Form"
    assert server.posted is None
    page.get_by_label("when").press("Enter")
    page.wait_for_function("document.title == 'Thank you'")
    assert server.posted is not None and "decision" not in server.posted


def test_what_is_typed_in_a_browser_arrives_and_is_shown_again(
    phone: BrowserContext, server: Server
) -> None:
    page = opened(phone, server, drawn(fields(pay.schema, PAID, prefix=PREFIX)))
    page.get_by_label("amount").fill("99.90")
    page.get_by_label("count").fill("three")
    page.get_by_label("when").fill("2026-12-24")
    page.get_by_label("colour").select_option("red")
    page.get_by_label("reason").fill('"one\\ntwo"')
    page.get_by_label("cc").fill("  ada@example.com")
    posted = sent(page, server)
    result = parse(pay.schema, posted, PAID, prefix=PREFIX)
    assert [name for name, _ in result.faults] == ["count"]

    placed = attach_faults(fields(pay.schema, PAID, prefix=PREFIX, posted=posted), result.faults)
    page = opened(phone, server, drawn(placed.fields))
    wrong = page.get_by_label("count")
    assert wrong.input_value() == "three"
    assert wrong.get_attribute("aria-invalid") == "true"
    wrong.fill("4")
    assert parse(pay.schema, sent(page, server), PAID, prefix=PREFIX) == Read(
        {
            **PAID,
            "amount": "99.90",
            "count": 4,
            "when": "2026-12-24",
            "colour": "red",
            "reason": "one\ntwo",
            "cc": "  ada@example.com",
        },
        (),
    )
