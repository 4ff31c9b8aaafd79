"""The approver's page in a real browser, as large as a phone."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import WAIT_SECONDS, Client, System

CFO = "cfo@example.com"
SECURITY = "security@example.com"
GOAL = "Onboard Ada Lovelace (ada@example.com), confidential"


class Tabs:
    """Tabs of one browser, and all that it complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self.complaints: list[str] = []

    def open(self, link: str) -> Page:
        page = self._context.new_page()
        page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda sent: self.complaints.append(f"failed: {sent.url}"))
        page.goto(link)
        return page


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def scripts(request: pytest.FixtureRequest) -> bool:
    """Whether the browser runs scripts."""
    return bool(request.param)


@pytest.fixture
def tabs(browser: Browser, scripts: bool) -> Iterator[Tabs]:
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        is_mobile=True,
        has_touch=True,
        java_script_enabled=scripts,
    )
    context.set_default_timeout(WAIT_SECONDS * 1000)
    yield Tabs(context)
    context.close()


def test_a_person_signs_in_at_the_provider_and_comes_back(client: Client, tabs: Tabs) -> None:
    page = tabs.open(f"{client.url}/signin?next=/signin/me%3Fx=1")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Groups (comma-separated)").fill("finance")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{client.url}/signin/me?x=1")
    assert '{"name":"ada@example.com","groups":["group:finance"]}' in page.content()
    # Neither JSON nor the provider has an icon for the tab.
    assert not [each for each in tabs.complaints if "404" not in each]


def test_an_approver_reads_the_page_and_taps_approve(
    client: Client, system: System, tabs: Tabs
) -> None:
    run_id = client.start("hr", GOAL)
    run = client.suspended(run_id)
    (asked,) = run["waiting"]
    link = client.link(asked, SECURITY)
    system.quiet()

    # Looking changes nothing, however often and with whatever.
    for method in ("GET", "HEAD", "GET"):
        assert client.send(method, link).status == 200
    page = tabs.open(link)
    page.reload()
    page.reload()
    page.wait_for_load_state("networkidle")
    second = tabs.open(link)
    assert client.run(run_id) == run
    assert client.timeline(run_id, "decision") == []
    assert not any(system.queued().values())

    expect(page.locator("h1")).to_have_text("account_agent asks to call authorize")
    shown = page.locator("section[aria-labelledby=what] pre").inner_text()
    for name, value in asked["arguments"].items():
        assert name in shown and str(value) in shown
    asking = page.locator("section[aria-labelledby=who]")
    expect(asking).to_contain_text(GOAL)
    expect(asking).to_contain_text("hr \u203a account_agent")
    expect(page.locator("footer")).to_contain_text(f"Deciding as {SECURITY}.")
    assert _fits(page)

    page.get_by_role("button", name="Approve", exact=True).tap()
    expect(page.get_by_role("status")).to_contain_text("Approved")
    expect(page.get_by_role("status")).to_contain_text(f"by {SECURITY}")
    expect(page.get_by_role("button")).to_have_count(0)
    assert page.url == link
    page.reload()  # a GET, which sends nothing a second time
    expect(page.get_by_role("status")).to_contain_text("Approved")
    done = client.ended(run_id)
    assert done["status"] == "completed", done
    assert tabs.complaints == []

    # The other tab still shows the question. What it says now comes too late.
    second.get_by_role("button", name="Reject", exact=True).tap()
    expect(second.get_by_role("heading", level=1)).to_have_text(
        "this request has already been decided"
    )
    expect(second.get_by_role("status")).to_contain_text("Current decision: approved")
    expect(second.get_by_role("status")).to_contain_text(f"by {SECURITY}")
    (decided,) = client.timeline(run_id, "decision")
    assert (decided["verdict"], decided["via"]) == ("approve", "link")
    assert len(system.effects(run_id, "authorize")) == 1
    # A browser notes that a page came with a 409; it has nothing else to say.
    assert [each for each in tabs.complaints if "409" not in each] == []


def test_an_approver_says_why_not(client: Client, system: System, tabs: Tabs) -> None:
    run_id = client.start("treasury", "Pay 2500 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]
    page = tabs.open(client.link(asked, CFO))
    reason = "<b>No</b> & \"never\" — 'quite' so; </blockquote><script>alert(1)</script>"
    page.get_by_label("Reason for rejecting").fill(reason)
    page.get_by_role("button", name="Reject", exact=True).tap()
    expect(page.get_by_role("status")).to_contain_text("Rejected")
    expect(page.get_by_role("status").locator("blockquote")).to_have_text(reason)
    assert _fits(page)
    run = client.ended(run_id)
    assert run["status"] == "completed"
    assert run["result"] == f"It was rejected by a person: {reason}."
    assert system.effects(run_id, "transfer") == []
    assert tabs.complaints == []


def test_an_approver_approves_other_arguments(client: Client, system: System, tabs: Tabs) -> None:
    run_id = client.start("treasury", "Pay 2500 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]
    page = tabs.open(client.link(asked, CFO))
    page.get_by_role("link", name="Edit and approve").tap()
    page.get_by_label("amount").fill("lots")
    page.get_by_role("button", name="Approve with these arguments").tap()
    expect(page.locator("main")).to_contain_text("Enter a whole number, e.g. 12")
    expect(page.get_by_label("amount")).to_be_focused()
    assert client.run(run_id)["waiting"] == [asked]

    page.get_by_label("amount").fill("1500")
    page.get_by_role("button", name="Approve with these arguments").tap()
    expect(page.get_by_role("status")).to_contain_text("Approved")
    expect(page.locator("section[aria-labelledby=what]")).to_contain_text("1500")
    assert "Transferred 1500 euros to reserve" in client.ended(run_id)["result"]
    (ran,) = system.effects(run_id, "transfer")
    assert ran["arguments"]["amount"] == 1500
    assert [each for each in tabs.complaints if "422" not in each] == []


def test_a_page_of_another_site_cannot_decide(client: Client, tabs: Tabs, scripts: bool) -> None:
    run_id = client.start("treasury", "Pay 2600 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]
    link = client.link(asked, CFO)
    page = tabs.open("about:blank")
    page.set_content(
        f'<form method="post" action="{link}">'
        '<button name="decision" value="approve">Win a prize</button></form>'
    )
    with page.expect_response(link) as answer:
        page.get_by_role("button").tap()
    assert answer.value.status == 403
    framed: Any = client.send("GET", link).headers
    assert "frame-ancestors 'none'" in framed["Content-Security-Policy"]
    assert client.run(run_id)["waiting"] == [asked]
    client.send("POST", f"/runs/{run_id}/cancel")


def _fits(page: Page) -> bool:
    """Nothing is wider than the phone."""
    size = page.locator("html").bounding_box()
    return size is not None and size["width"] <= 390
