"""Signed in: what is of high risk, and the inbox where many are answered at once."""

from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Client, System
from tests.e2e.people.conftest import LEAD, LEGAL, Come, Person, status

LENA, EVE = "lena@example.com", "eve@example.com"
CONTRACT = "sign the contract with acme for 2 years"


def test_high_risk_wants_somebody_of_the_group_who_is_signed_in(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("procurement", CONTRACT)
    (request,) = client.suspended(run_id)["waiting"]
    link = client.link(request, LEGAL)
    assert link.startswith(f"{client.url}/approvals/{run_id}/")

    eve = come()
    page = eve.tab()
    page.goto(link)
    eve.sign_in(page, EVE, "finance")
    expect(page.locator("h1")).to_contain_text("there is no request")
    expect(page.locator("body")).not_to_contain_text("acme")

    lena = come()
    page = lena.tab()
    page.goto(link)
    expect(page.locator("h1")).to_have_text("Test sign-in")
    lena.sign_in(page, LENA, "legal")
    assert page.url == link
    expect(page.locator("header .badge")).to_have_text("High risk")
    told = page.locator("section[aria-labelledby=what]")
    expect(told).to_contain_text("Binds the company to acme for 2 years.")
    expect(told).to_contain_text("Cannot be undone")
    lena.press(page, "Approve")
    status(page, f"by {LENA} of group:legal")
    assert "The contract with acme for 2 years is signed" in client.ended(run_id)["result"]
    assert len(system.effects(run_id, "sign_contract")) == 1


def test_the_inbox_answers_many_and_tells_of_each(
    client: Client, system: System, come: Come
) -> None:
    orders = "Order one desk for 200 from globex, order one lamp for 90 from acme"
    run_id = client.start("procurement", orders)
    waiting = client.suspended(run_id, waiting=2)["waiting"]
    # Once the mails are there, the inbox has them, too.
    links = {each["arguments"]["item"]: client.link(each, LEAD) for each in waiting}
    lead, elsewhere = come(), come()
    page = inbox_of(lead, LEAD)
    posts = len(lead.posts)
    for item in links:
        box = entry(page, run_id, item).get_by_role("checkbox")
        box.check()
        box.press("Enter")
    assert len(lead.posts) == posts, "Enter decides nothing"
    page.get_by_label("Reason").fill("in the budget")

    other = elsewhere.open(links["one desk"])
    elsewhere.press(other, "Reject")
    lead.press(page, "Approve selected")
    done = page.get_by_role("status").get_by_role("listitem")
    expect(done).to_have_count(2)
    expect(done.filter(has_text="one desk")).to_contain_text("not recorded")
    expect(done.filter(has_text="one lamp")).to_contain_text("approved")
    assert not entry(page, run_id, "one").count()
    result = client.ended(run_id)["result"]
    assert "It was rejected by a person" in result
    assert "Ordered one lamp from acme" in result
    (ran,) = system.effects(run_id, "order")
    assert ran["arguments"]["item"] == "one lamp"


def test_an_empty_inbox_says_so_and_signs_out(client: Client, come: Come) -> None:
    nobody = come()
    page = inbox_of(nobody, "nobody@example.com")
    expect(page.locator("main")).to_contain_text("Nothing is waiting for you.")
    nobody.press(page, "Sign out")
    expect(page.locator("h1")).to_have_text("You are signed out.")


def inbox_of(person: Person, email: str) -> Page:
    """The inbox, by way of the provider."""
    page = person.tab()
    page.goto(f"{person.client.url}/approvals")
    person.sign_in(page, email)
    expect(page.locator("header")).to_contain_text(f"Signed in as {email}")
    return page


def entry(page: Page, run_id: str, text: str) -> Locator:
    """A request of a run in the inbox."""
    return page.locator(f".entry:has([id^='{run_id}/'])").filter(has_text=text)
