"""Signed in: the inbox, and requests of high risk or of a group, which a link cannot decide."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.local.issuer import IssuerServer
from tests.support.deployment import Deployment
from tests.support.form_page import Browser
from tests.support.http_answers import Answer
from tests.support.safe_pages import assert_is_a_safe_page
from tests.support.signed_in import CFO, LAWYER, LEAD, SignedInBrowser

LATER = datetime.now(UTC) + timedelta(days=7)
CHAIRS = "Order two chairs for 450 from acme."
CONTRACT = "Please sign the contract with acme for 2 years."


@pytest.fixture
def issuer(deployment: Deployment) -> Iterator[IssuerServer]:
    with IssuerServer() as server:
        deployment.trust(server)
        yield server


def place(deployment: Deployment, run_id: str) -> dict[str, str]:
    return {"token": run_id, "request_id": deployment.request_id(run_id)}


# -- the inbox -------------------------------------------------------------------------------------


def test_the_inbox_shows_exactly_the_requests_of_its_approver(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    deployment.suspended("procurement", CHAIRS)
    deployment.suspended("procurement", "Order one desk for 200 from globex.")
    deployment.suspended("treasury", "Transfer 250 to acme.")
    lead = SignedInBrowser(deployment, issuer, LEAD).inbox()
    assert "Orders two chairs from acme for 450 euros" in lead.body
    assert "Orders one desk from globex" in lead.body
    assert "transfer" not in lead.body
    assert len(SignedInBrowser(deployment, issuer, CFO).picks()) == 1
    assert (
        "Nothing is waiting for you"
        in SignedInBrowser(deployment, issuer, "eve@example.com").inbox().body
    )


def test_opening_the_inbox_changes_nothing(deployment: Deployment, issuer: IssuerServer) -> None:
    deployment.suspended("procurement", CHAIRS)
    before = deployment.state()
    SignedInBrowser(deployment, issuer, LEAD).inbox()
    assert deployment.state() == before


def test_several_requests_are_decided_at_once_independently(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    small = deployment.suspended("procurement", CHAIRS)
    large = deployment.suspended("procurement", "Order a car for 30000 from globex.")
    lead = SignedInBrowser(deployment, issuer, LEAD)
    picks = lead.picks()
    assert len(picks) == 2
    answer = lead.answer_many("approve", picks, reason="in the budget")
    assert_is_a_safe_page(answer)
    assert answer.body.count("approved") == 2
    assert answer.body.count("waiting for the other approvers") == 1
    assert 'name="pick"' not in answer.body
    deployment.drain()
    assert "Ordered two chairs" in deployment.read(small)["result"]
    assert deployment.read(large)["status"] == "suspended"
    assert len(SignedInBrowser(deployment, issuer, CFO).picks()) == 1
    [said] = [each for each in deployment.timeline(small) if each["kind"] == "decision"]
    assert (said["approver"], said["via"], said["reason"]) == (LEAD, "session", "in the budget")


def test_a_request_decided_meanwhile_does_not_block_the_others(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    first = deployment.suspended("procurement", CHAIRS)
    second = deployment.suspended("procurement", "Order one desk for 200 from globex.")
    lead = SignedInBrowser(deployment, issuer, LEAD)
    picks = lead.picks()
    deployment.click(deployment.token(LEAD), "reject")
    answer = lead.answer_many("approve", picks)
    assert answer.body.count("already been decided") == 1
    deployment.drain()
    assert "Ordered two chairs" in deployment.read(first)["result"]
    assert "rejected" in deployment.read(second)["result"]


def test_a_request_that_changed_since_it_was_shown_is_not_approved(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    run_id = deployment.suspended("procurement", CHAIRS)
    lead = SignedInBrowser(deployment, issuer, LEAD)
    [pick] = lead.picks()
    other = pick.rpartition("/")[0] + "/" + "0" * 64
    assert "changed since you saw" in lead.answer_many("approve", [other]).body
    assert deployment.read(run_id)["status"] == "suspended"


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"decision": "approve"}, "pick"),
        ({"decision": "maybe", "pick": "a/b/c"}, "decision"),
        ({"decision": "approve", "pick": "a/b"}, "pick"),
        ({"decision": "approve", "pick": "a/b/c", "who": "me"}, "who"),
        ({"decision": "reject", "pick": "a/b/c", "reason": "x" * 4001}, "reason"),
        ({"decision": ["approve", "reject"], "pick": "a/b/c"}, "decision"),
    ],
)
def test_an_invalid_inbox_form_is_refused(
    deployment: Deployment, issuer: IssuerServer, form: dict[str, object], field: str
) -> None:
    answer = SignedInBrowser(deployment, issuer, LEAD).post(
        "inbox-decision", form, accept="application/json"
    )
    assert answer.faults() == {field}


def test_a_bulk_decision_must_come_from_the_inbox_page(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    deployment.suspended("procurement", CHAIRS)
    lead, eve = (SignedInBrowser(deployment, issuer, who) for who in (LEAD, "eve@example.com"))
    form = {"decision": "approve", "pick": lead.picks()}
    before = deployment.state()
    for nonce in ("", Browser(eve.inbox().body).posted.get("nonce", "x")):
        answer = lead.post("inbox-decision", {**form, "nonce": nonce}, accept="application/json")
        answer.refused(403)
    assert deployment.state() == before


def test_a_request_of_another_approver_cannot_be_decided_in_an_inbox(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    run_id = deployment.suspended("procurement", CHAIRS)
    deployment.suspended("treasury", "Transfer 250 to acme.")
    [pick] = SignedInBrowser(deployment, issuer, LEAD).picks()
    cfo = SignedInBrowser(deployment, issuer, CFO, "finance")
    assert "there is no request" in cfo.answer_many("approve", [pick]).body
    assert deployment.read(run_id)["status"] == "suspended"


def test_a_visitor_without_sign_in_is_redirected_to_sign_in(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    del issuer
    address, nobody = "signin?next=/approvals", {"Cookie": None}
    answer = deployment.http("inbox", headers=nobody)
    assert (answer.status, answer.headers["location"]) == (303, address)
    # The page's own policy would stop a form that is sent on to the provider.
    posted = deployment.http("inbox-decision", headers=nobody)
    assert_is_a_safe_page(posted)
    assert posted.status == 401
    assert f'href="{address}"' in posted.body
    for name in ("inbox", "inbox-decision"):
        deployment.http(name, headers={"Cookie": None, "Accept": "*/*"}).refused(401)


# -- one request -----------------------------------------------------------------------------------


def test_a_link_alone_does_not_decide_a_high_risk_request(deployment: Deployment) -> None:
    deployment.parameters["Recipients"] = '{"group:legal": ["email:legal@example.com"]}'
    run_id = deployment.suspended("procurement", CONTRACT)
    [mail] = [each for each in deployment.mails() if each.to == "legal@example.com"]
    request_id = deployment.request_id(run_id)
    assert f"/approvals/{run_id}/{request_id}" in mail.part("plain")
    forged = deployment.capabilities().token(run_id, request_id, "group:legal", LATER, "f" * 64)
    before = deployment.state()
    assert "<form" not in deployment.page(forged).body
    for decision in ("approve", "reject"):
        headers = {"Accept": "*/*", "Origin": None, "Sec-Fetch-Site": None}
        deployment.answer(forged, {"decision": decision}, headers=headers).refused(403)
    assert deployment.state() == before


def test_a_group_member_decides_after_sign_in(deployment: Deployment, issuer: IssuerServer) -> None:
    run_id = deployment.suspended("procurement", CONTRACT)
    lawyer = SignedInBrowser(deployment, issuer, LAWYER, "legal")
    page = lawyer.get("signed-in-page", **place(deployment, run_id))
    assert_is_a_safe_page(page)
    assert "Binds the company to acme for 2 years." in page.body
    assert "High risk" in page.body
    form = {**Browser(page.body).posted, "decision": "approve"}
    answer = lawyer.post("signed-in-decision", form, **place(deployment, run_id))
    assert answer.status == 303
    deployment.drain()
    assert "The contract with acme for 2 years is signed." in deployment.read(run_id)["result"]
    [said] = [each for each in deployment.timeline(run_id) if each["kind"] == "decision"]
    assert (said["approver"], said["via"]) == (LAWYER, "session")
    trail = deployment.http("read-audit", params={"run_id": run_id}).json()["items"]
    assert trail[-1]["decision"]["member_of"] == "group:legal"
    assert trail[-1]["decision"]["authentication"].startswith(f"oidc {issuer.url}")


def test_a_signed_in_person_who_is_no_approver_does_not_see_the_request(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    run_id = deployment.suspended("procurement", CONTRACT)
    for person in (
        SignedInBrowser(deployment, issuer, LAWYER, "sales"),
        SignedInBrowser(deployment, issuer, LEAD),
    ):
        assert person.get("signed-in-page", **place(deployment, run_id)).status == 404
        form = {"decision": "approve"}
        where = place(deployment, run_id)
        assert person.post("signed-in-decision", form, **where).status in (403, 404)
    assert deployment.read(run_id)["status"] == "suspended"


def test_a_visitor_without_sign_in_returns_to_the_request(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    del issuer
    run_id = deployment.suspended("procurement", CONTRACT)
    where = place(deployment, run_id)
    address = f"../../signin?next=/approvals/{run_id}/{where['request_id']}"
    answer = deployment.http("signed-in-page", params=where, headers={"Cookie": None})
    assert (answer.status, answer.headers["location"]) == (303, address)
    posted = deployment.http("signed-in-decision", params=where, headers={"Cookie": None})
    assert_is_a_safe_page(posted)
    assert posted.status == 401
    assert f'href="{address}"' in posted.body


def test_a_page_of_another_session_decides_nothing(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    run_id = deployment.suspended("procurement", CONTRACT)
    lena, leo = (
        SignedInBrowser(deployment, issuer, who, "legal") for who in (LAWYER, "leo@example.com")
    )
    form = Browser(lena.get("signed-in-page", **place(deployment, run_id)).body).posted
    answer = leo.post(
        "signed-in-decision",
        {**form, "decision": "approve"},
        accept="application/json",
        **place(deployment, run_id),
    )
    answer.refused(403)
    assert deployment.read(run_id)["status"] == "suspended"


# -- what is not shown whole -----------------------------------------------------------------------


def ordered(deployment: Deployment, characters: int) -> str:
    """A run that waits for an approval whose first argument is as long as this."""
    return deployment.suspended("procurement", f"Order {'x' * characters} for 450 from acme.")


@pytest.mark.parametrize(("characters", "is_whole"), [(800, True), (1000, False), (3000, False)])
def test_what_the_inbox_cuts_cannot_be_decided_there(
    deployment: Deployment, issuer: IssuerServer, characters: int, is_whole: bool
) -> None:
    run_id = ordered(deployment, characters)
    lead = SignedInBrowser(deployment, issuer, LEAD)
    page, picks = lead.inbox(), lead.picks()
    assert ("450" in _arguments(page.body)) is is_whole
    assert bool(picks) is is_whole
    assert ("more characters. Open it to see all of it" in page.body) is not is_whole
    if is_whole:
        return
    # Nor by a form that the page does not give.
    posted = lead.answer_many("approve", [_pick(deployment, run_id)])
    assert "not all of it is shown in the inbox" in posted.body
    assert deployment.read(run_id)["status"] == "suspended"
    full = lead.get("signed-in-page", **place(deployment, run_id)).body
    assert "450" in _arguments(full)
    assert _decided(deployment, lead, run_id, full, "approve").status == 303


def test_what_the_page_cuts_is_not_approved_there(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    run_id = ordered(deployment, 150_000)
    lead = SignedInBrowser(deployment, issuer, LEAD)
    for name in ("", "edit", "grant"):
        page = deployment.http(
            "signed-in-page",
            params=place(deployment, run_id),
            query={name: "1"} if name else None,
            headers={"Cookie": lead.cookie},
        ).body
        assert "Too long to be shown here" in page
        assert 'value="approve"' not in page
        assert 'value="reject"' in page
    assert _decided(deployment, lead, run_id, page, "approve").status == 409
    assert deployment.read(run_id)["status"] == "suspended"
    assert _decided(deployment, lead, run_id, page, "reject").status == 303


def _decided(
    deployment: Deployment, person: SignedInBrowser, run_id: str, page: str, decision: str
) -> Answer:
    form = {**Browser(page).posted, "decision": decision}
    return person.post("signed-in-decision", form, **place(deployment, run_id))


def _pick(deployment: Deployment, run_id: str) -> str:
    [asked] = deployment.read(run_id)["waiting"]
    return f"{run_id}/{asked['request_id']}/{asked['arguments_hash']}"


def _arguments(body: str) -> str:
    [shown] = re.findall(r'aria-label="Arguments">(.*?)</pre>', body, re.DOTALL)
    return str(shown)
