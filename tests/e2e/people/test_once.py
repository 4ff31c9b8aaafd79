"""One decision, however somebody presses: too late, twice, in two tabs, back and again."""

from playwright.sync_api import expect

from tests.e2e.conftest import Client, System
from tests.e2e.people.conftest import (
    CFO,
    LEAD,
    Come,
    let_the_deadline_pass,
    read_well,
    status,
)

CHAIRS = "Order two chairs for 450 from acme"


def test_who_presses_after_the_deadline_is_too_late_and_nothing_runs(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("treasury", "Pay 2700 to reserve")
    (request,) = client.suspended(run_id)["waiting"]
    system.quiet()
    cfo = come()
    page = cfo.open(client.link(request, CFO))
    let_the_deadline_pass(system, run_id)
    cfo.press(page, "Approve")
    expect(page.locator("h1")).to_contain_text("deadline for this decision has passed")
    with page.expect_navigation():
        page.get_by_role("link", name="Back to request").tap()
    read_well(page)
    status(page, "Deadline passed")
    expect(page.get_by_role("button")).to_have_count(0)
    system.let_a_minute_pass(run_id)
    system.sweep()
    assert "nobody decided before the deadline" in client.ended(run_id)["result"]
    assert system.effects(run_id, "transfer") == []
    page.reload()
    status(page, "Rejected")
    status(page, "The deadline passed")


def test_a_double_click_back_and_reload_send_one_decision(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("procurement", CHAIRS)
    (request,) = client.suspended(run_id)["waiting"]
    lead = come()
    link = client.link(request, LEAD)
    first, second = lead.open(link), lead.open(link)

    first.get_by_role("button", name="Approve", exact=True).dblclick()
    status(first, "Approved")
    assert "Ordered two chairs" in client.ended(run_id)["result"]
    sent = len(lead.posts)
    assert sent in (1, 2)  # a browser may begin the second before it forgets the first
    first.go_back()
    first.go_forward()
    first.reload()
    status(first, "Approved")
    assert len(lead.posts) == sent, "looking again sends nothing"
    assert first.url == link

    # The other tab still asks. Its second thought comes too late; the same again is no error.
    lead.press(second, "Reject")
    status(second, "Current decision: approved")
    second.go_back()
    if second.get_by_role("button", name="Approve", exact=True).count():
        lead.press(second, "Approve")
    status(second, "Approved")
    assert len(client.timeline(run_id, "decision")) == 1
    assert len(system.effects(run_id, "order")) == 1


def test_a_reason_not_to_reaches_the_model_and_its_answer_the_run(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("procurement", CHAIRS)
    (request,) = client.suspended(run_id)["waiting"]
    lead = come()
    page = lead.open(client.link(request, LEAD))
    page.get_by_label("Reason for rejecting").fill("the old ones are fine")
    lead.press(page, "Reject")
    status(page, "Rejected")
    status(page, "the old ones are fine")
    run = client.ended(run_id)
    assert run["result"] == "It was rejected by a person: the old ones are fine."
    assert system.effects(run_id, "order") == []


def test_a_colleague_takes_over_and_the_old_link_is_dead(
    client: Client, system: System, come: Come
) -> None:
    run_id = client.start("procurement", CHAIRS)
    (request,) = client.suspended(run_id)["waiting"]
    lead, bea = come(), come()
    link = client.link(request, LEAD)
    page = lead.open(link)
    page.get_by_text("Reassign to a colleague").tap()
    read_well(page)
    page.get_by_label("E-mail address").fill("no address")
    lead.press(page, "Reassign")
    expect(page.locator("main")).to_contain_text("Nothing was changed.")
    page.go_back()
    if not page.get_by_label("E-mail address").is_visible():
        page.get_by_text("Reassign to a colleague").tap()
    page.get_by_label("E-mail address").fill("bea@example.com")
    lead.press(page, "Reassign")
    expect(page.locator("h1")).to_have_text("Reassigned to bea@example.com")
    assert client.send("GET", link).status == 404
    assert client.post(link, decision="approve").status == 404

    theirs = bea.open(client.link(request, "bea@example.com"))
    bea.press(theirs, "Approve")
    status(theirs, "by bea@example.com")
    assert "Ordered two chairs" in client.ended(run_id)["result"]
    assert len(system.effects(run_id, "order")) == 1
