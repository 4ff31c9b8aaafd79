"""Pages for everybody: without a mouse, and when there is nothing to decide."""

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Client, System
from tests.e2e.people.conftest import LEAD, Come, read_well, status

CHAIRS = "Order two chairs for 450 from acme"
_FOCUSED = """() => {
    const node = document.activeElement, style = getComputedStyle(node);
    return {
        text: node.innerText || node.id,
        outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
    };
}"""


def test_the_keyboard_alone_reaches_approve_and_shows_where_it_is(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("procurement", CHAIRS)
    (request,) = client.suspended(run_id)["waiting"]
    lead = come()
    page = lead.open(client.link(request, LEAD))
    stops = [tab(page)]
    while stops[-1] != "Approve":
        assert len(stops) < 5, stops
        stops.append(tab(page))
    further = [tab(page) for _ in range(4)]
    assert further[:3] == ["reason", "Reject", "Edit and approve"]
    for _ in further:
        page.keyboard.press("Shift+Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    read_well(page)
    status(page, "Approved")
    assert len(system.effects(client.ended(run_id)["run_id"], "order")) == 1


def test_a_page_is_as_well_read_when_there_is_nothing_to_decide(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("procurement", CHAIRS)
    (request,) = client.suspended(run_id)["waiting"]
    link = client.link(request, LEAD)
    client.send("POST", f"/runs/{run_id}/cancel")
    client.ended(run_id)
    lead = come()
    status(lead.open(link), "The run is cancelled")
    # Neither a broken link nor one to nowhere leaves somebody without a word.
    for gone in (link[:-2], f"{client.url}/signin/callback?error=access_denied"):
        page = lead.open(gone)
        expect(page.locator("h1")).not_to_be_empty()


def tab(page: Page) -> str:
    """Where the focus comes to next, which can be seen."""
    page.keyboard.press("Tab")
    focused = page.evaluate(_FOCUSED)
    assert focused["outline"] >= 2, focused
    return str(focused["text"]).strip()
