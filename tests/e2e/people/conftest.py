"""People at the approver's pages: each with a browser of their own, who reads every page well.

Every page that a person comes to is checked as that person would notice it: it fits the screen,
fingers hit what is to be pressed, everything has a name, and the browser complains of nothing.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.e2e.conftest import WAIT_SECONDS, Client, System

LEAD, CFO, AUDIT = "lead@example.com", "cfo@example.com", "audit@example.com"
LEGAL = "legal@example.com"
PHONE = ViewportSize(width=390, height=844)
TOUCH_PIXELS = 44
_NAMED = {"button", "link", "textbox", "checkbox", "combobox", "Date", "DisclosureTriangle"}
_DEADLINE = re.compile(r'("expires_at":")[^"]+')
_PRESSED = "button, a, summary, input[type=checkbox], select"
# What has no box is hidden.
_SMALL = """(nodes, least) => nodes
    .filter(node => node.getClientRects().length)
    .filter(node => {
        const box = node.getBoundingClientRect();
        return box.height < least || box.width < least;
    })
    .map(node => node.outerHTML.slice(0, 120))"""


class Person:
    """Somebody in front of a browser.

    Attributes:
        complaints: what the browser complained about on any page.
        sent: each request that the browser has sent, as method and address.
    """

    def __init__(self, context: BrowserContext, client: Client) -> None:
        self.client = client
        self.complaints: list[str] = []
        self.sent: list[str] = []
        self._context = context

    @property
    def posts(self) -> list[str]:
        """Where the browser has posted to."""
        return [each for each in self.sent if each.startswith("POST ")]

    def tab(self) -> Page:
        """A new tab that is listened to."""
        page = self._context.new_page()
        page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", lambda sent: self.sent.append(f"{sent.method} {sent.url}"))
        return page

    def open(self, link: str) -> Page:
        """A new tab at an address, which is read."""
        page = self.tab()
        page.goto(link)
        read_well(page)
        return page

    def press(self, page: Page, button: str) -> None:
        """Press a button, and read the page that comes."""
        with page.expect_navigation():
            page.get_by_role("button", name=button, exact=True).tap()
        read_well(page)

    def sign_in(self, page: Page, email: str, groups: str = "") -> None:
        """Say at the provider who one is, and read the page that one is sent back to."""
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Groups (comma-separated)").fill(groups)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self.client.url}/**")
        read_well(page)


Come = Callable[[], Person]


@pytest.fixture
def come(browser: Browser, client: Client) -> Iterator[Come]:
    """People who come with a phone each. No browser complained, when they are gone."""
    came: list[tuple[BrowserContext, Person]] = []

    def come() -> Person:
        context = browser.new_context(viewport=PHONE, is_mobile=True, has_touch=True)
        context.set_default_timeout(WAIT_SECONDS * 1000)
        came.append((context, Person(context, client)))
        return came[-1][1]

    yield come
    for context, _ in came:
        context.close()
    # A browser notes that a page came with a status of 400 or more, which it should.
    said = [each for _, person in came for each in person.complaints]
    assert not [each for each in said if "Failed to load resource" not in each]


def read_well(page: Page) -> None:
    """The page can be read on this screen, by everybody, and pressed by a thumb."""
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], f"{page.url} scrolls to the side: {wide}"
    small = page.locator(_PRESSED).evaluate_all(_SMALL, TOUCH_PIXELS)
    assert not small, small
    assert page.title() and page.get_by_role("heading", level=1).count() == 1
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    controls = [each for each in nodes if each.get("role", {}).get("value") in _NAMED]
    unnamed = [each for each in controls if not each["ignored"] and not each["name"]["value"]]
    assert not unnamed, unnamed


def status(page: Page, text: str) -> None:
    """The page says at its head what stands."""
    expect(page.get_by_role("status")).to_contain_text(text)


def asked(client: Client, run_id: str, tool: str = "order") -> dict[str, Any]:
    """What a run waits for before a call of a tool."""
    waiting = client.run(run_id)["waiting"]
    (found,) = (each for each in waiting if each["tool"] == tool)
    request: dict[str, Any] = found
    return request


def stored(system: System, run_id: str) -> list[dict[str, Any]]:
    """All that stands in the table of a run: its head and its registers."""
    found = system.stack.client("dynamodb").query(
        TableName=system.stack.resource("Table"),
        KeyConditionExpression="pk = :run",
        ExpressionAttributeValues={":run": {"S": f"R#{run_id}"}},
        ConsistentRead=True,
    )
    items: list[dict[str, Any]] = found["Items"]
    return items


def let_the_deadline_pass(system: System, run_id: str) -> None:
    """Let the time to decide what a run asks be over, without waiting for it."""
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    changed = 0
    for item in stored(system, run_id):
        if item["sk"]["S"].startswith("J#"):
            register = zlib.decompress(item["v"]["B"]).decode()
            register, count = _DEADLINE.subn(rf"\g<1>{past}", register)
            item["v"]["B"] = zlib.compress(register.encode())
            if count:
                system.stack.client("dynamodb").put_item(
                    TableName=system.stack.resource("Table"), Item=item
                )
            changed += count
    assert changed
