"""A mail scanner with a whole browser opens all that it finds, runs scripts, presses nothing."""

from urllib.parse import urldefrag

from tests.e2e.conftest import Client, System
from tests.e2e.people.conftest import (
    CFO,
    LEAD,
    LEGAL,
    Come,
    Person,
    asked,
    status,
    stored,
)

ALL = "Order two chairs for 4500 from acme, and sign the contract with acme for 2 years"


def test_a_scanner_that_opens_everything_changes_nothing(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("procurement", ALL)
    client.suspended(run_id, waiting=2)
    order, contract = asked(client, run_id), asked(client, run_id, "sign_contract")
    lead = come()
    lead.press(lead.open(client.link(order, LEAD)), "Approve")
    cfo = client.link(order, CFO)
    link = {"lead": client.link(order, LEAD), "cfo": cfo, "legal": client.link(contract, LEGAL)}
    system.quiet()
    before, scanner = stored(system, run_id), come()

    opened = scan(scanner, {*link.values(), f"{client.url}/approvals"})
    assert {*link.values(), f"{cfo}?edit=1"} <= opened
    assert any("/signin?next=" in each for each in scanner.sent)
    assert scanner.posts == []
    assert stored(system, run_id) == before
    assert not any(system.queued().values())

    person = come()
    page = person.open(cfo)
    person.press(page, "Approve")
    status(page, "You have approved this")
    assert len(stored(system, run_id)) > len(before)
    client.send("POST", f"/runs/{run_id}/cancel")


def scan(scanner: Person, links: set[str]) -> set[str]:
    """Open these and all of this site that they lead to, and wait for what scripts would do."""
    opened: set[str] = set()
    page = scanner.tab()
    while found := links - opened:
        link = found.pop()
        page.goto(link, wait_until="networkidle")
        opened.add(link)
        if page.url.startswith(scanner.client.url):
            anchors = page.locator("a[href]").evaluate_all("nodes => nodes.map(node => node.href)")
            clean = {urldefrag(each).url for each in anchors}
            links |= {each for each in clean if each.startswith(scanner.client.url)}
    return opened
