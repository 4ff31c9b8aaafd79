"""Several people who must agree, each on a phone, from the mail to the call that runs once."""

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Client, System
from tests.e2e.people.conftest import AUDIT, CFO, LEAD, Come, status

CHAIRS = "Order two chairs for 4500 from acme"


def test_two_must_agree_after_a_first_and_one_takes_it_back(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("procurement", CHAIRS)
    (request,) = client.suspended(run_id)["waiting"]
    lead, cfo, audit = come(), come(), come()
    page = lead.open(client.link(request, LEAD))
    system.quiet()
    told = {to for mail in client.mails() if run_id in mail["text"] for to in mail["to"]}
    assert not told & {CFO, AUDIT}, "nobody is asked before it is their turn"
    expect(page.locator(".stages [aria-current=step]")).to_contain_text(LEAD)
    lead.press(page, "Approve")
    status(page, "You have approved this")

    page = cfo.open(client.link(request, CFO))
    stages = page.locator(".stages")
    expect(stages).to_contain_text(f"{LEAD} approved")
    expect(stages.locator("[aria-current=step]")).to_contain_text("All of these")
    cfo.press(page, "Approve")
    status(page, "You have approved this")
    expect(stages).to_contain_text(f"{CFO} approved")
    cfo.press(page, "Withdraw my approval")
    expect(stages).not_to_contain_text(f"{CFO} approved")

    other = audit.open(client.link(request, AUDIT))
    expect(other.locator(".stages")).not_to_contain_text(f"{CFO} approved")
    cfo.press(page, "Approve")
    status(page, "You have approved this")
    assert client.run(run_id)["status"] == "suspended"
    assert system.effects(run_id, "order") == []

    audit.press(other, "Approve")
    status(other, "Approved")
    expect(other.locator(".stages")).to_contain_text(f"{AUDIT} approved")
    assert "Ordered two chairs from acme for 4500 euros" in client.ended(run_id)["result"]
    assert len(system.effects(run_id, "order")) == 1
    page.reload()
    status(page, "Approved")
    expect(page.get_by_role("button")).to_have_count(0)


def test_a_mistake_in_an_edit_is_told_beside_it_and_the_edited_call_runs(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("procurement", CHAIRS)
    (request,) = client.suspended(run_id)["waiting"]
    lead, cfo, audit = come(), come(), come()
    page = lead.open(client.link(request, LEAD))
    with page.expect_navigation():
        page.get_by_role("link", name="Edit and approve").tap()
    page.get_by_label("item").fill("three stools")
    page.get_by_label("amount").fill("two thousand")
    page.get_by_label("express").select_option("yes")
    page.get_by_label("Reason", exact=False).fill("stools will do")
    lead.press(page, "Approve with these arguments")

    wrong = page.get_by_label("amount")
    expect(wrong).to_have_value("two thousand")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_be_focused()
    assert "a whole number" in told_of(page, "amount")
    expect(page.get_by_label("item")).to_have_value("three stools")
    expect(page.get_by_label("item")).not_to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Reason", exact=False)).to_have_value("stools will do")
    assert client.run(run_id)["waiting"] == [request]

    wrong.fill("2000")
    lead.press(page, "Approve with these arguments")
    status(page, "You have approved this")

    (edited,) = client.run(run_id)["waiting"]
    assert edited["arguments_hash"] != request["arguments_hash"]
    for who, approver in ((cfo, CFO), (audit, AUDIT)):
        page = who.open(client.link(edited, approver))
        told = page.locator("section[aria-labelledby=what]")
        expect(told).to_contain_text(
            "Orders three stools from acme for 2000 euros, delivered by express"
        )
        for name, before, after in (
            ("amount", "4500", "2000"),
            ("item", '"two chairs"', '"three stools"'),
        ):
            expect(told.locator("dt", has_text=name)).to_be_visible()
            expect(told.locator("del", has_text=before)).to_be_visible()
            expect(told.locator("ins", has_text=after)).to_be_visible()
        who.press(page, "Approve")
    assert (
        "Ordered three stools from acme for 2000 euros, express" in client.ended(run_id)["result"]
    )
    (ran,) = system.effects(run_id, "order")
    assert ran["arguments"] == {
        "item": "three stools",
        "amount": 2000,
        "supplier": "acme",
        "express": True,
    }


def told_of(page: Page, label: str) -> str:
    """What a screen reader says of a control after its name."""
    ids = page.get_by_label(label).get_attribute("aria-describedby") or ""
    return " ".join(page.locator(f"[id='{each}']").inner_text() for each in ids.split())
