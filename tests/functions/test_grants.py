"""Standing approvals by page and by program; shown and revoked in the inbox."""

from collections.abc import Iterator

import pytest

from agent_continuations import Approval, tool
from tests.local.issuer import IssuerServer
from tests.local.model_server import ModelServer
from tests.support.deployment import Deployment
from tests.support.form_page import Browser
from tests.support.http_answers import Answer
from tests.support.one_tool_agents import play
from tests.support.safe_pages import assert_is_a_safe_page
from tests.support.signed_in import CFO, LEAD, SignedInBrowser

CHAIRS = "Order two chairs for 450 from acme."
CHEAPER = "Order two chairs for 300 from acme."
DEARER = "Order two chairs for 460 from acme."


@pytest.fixture
def issuer(deployment: Deployment) -> Iterator[IssuerServer]:
    with IssuerServer() as server:
        deployment.trust(server)
        yield server


def agreed(deployment: Deployment, **rules: str) -> str:
    """The lead approves chairs and grants similar calls."""
    run_id = deployment.suspended("procurement", CHAIRS)
    token = deployment.token(LEAD)
    page = deployment.http("approval-page", params={"token": token}, query={"grant": "1"})
    assert_is_a_safe_page(page)
    form = {**Browser(page.body).posted, "decision": "approve", **rules}
    assert deployment.answer(token, form).status == 303
    deployment.drain()
    assert "Ordered two chairs" in deployment.read(run_id)["result"]
    return run_id


def ordered(deployment: Deployment, input: str) -> bool:
    """Whether an order completes without a request for approval."""
    mails, run_id = len(deployment.mails()), deployment.started("procurement", input)
    deployment.drain()
    asked = len(deployment.mails()) > mails
    assert deployment.read(run_id)["status"] == ("suspended" if asked else "completed")
    return not asked


# The arguments in the order of their names: amount, express, item, supplier.
UP_TO = {"grant.0": "up_to", "grant.hours": "8"}


def test_a_call_under_a_grant_needs_no_approval_and_others_do(
    deployment: Deployment,
) -> None:
    agreed(deployment, **UP_TO)
    assert ordered(deployment, CHEAPER)
    assert not ordered(deployment, DEARER)
    assert not ordered(deployment, "Order two desks for 300 from acme.")
    assert not ordered(deployment, "Order two chairs for 300 from globex.")


def test_an_unchanged_grant_form_covers_the_identical_call_only(deployment: Deployment) -> None:
    agreed(deployment)
    assert ordered(deployment, CHAIRS)
    assert not ordered(deployment, CHEAPER)


@tool(approval=Approval(["group:finance", CFO], risk="high", grant_seconds=30 * 24 * 3600))
def wire(amount: int = 5) -> str:
    """Wire."""
    return f"wired {amount}"


def wire_page(browser: SignedInBrowser, run_id: str, request_id: str) -> Answer:
    query = {"grant": "1"}
    params = {"token": run_id, "request_id": request_id}
    headers = {"Cookie": browser.cookie}
    return browser.deployment.http("signed-in-page", params=params, query=query, headers=headers)


def wired(deployment: Deployment) -> str:
    """The status of a further run."""
    run_id = deployment.started("wirer", "go")
    deployment.drain()
    return str(deployment.read(run_id)["status"])


def grant_wires(browser: SignedInBrowser, hours: str) -> int:
    deployment = browser.deployment
    run_id = deployment.suspended("wirer", "go")
    params = {"token": run_id, "request_id": deployment.request_id(run_id)}
    posted = Browser(wire_page(browser, run_id, params["request_id"]).body).posted
    form = {**posted, "decision": "approve", "grant.hours": hours}
    status = browser.post("signed-in-decision", form, accept="application/json", **params).status
    deployment.drain()
    return status


def test_a_grant_of_a_member_ends_with_the_membership_and_after_a_day(
    deployment: Deployment,
    issuer: IssuerServer,
    model: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play(monkeypatch, model, {"wirer": wire})
    fred = SignedInBrowser(deployment, issuer, "fred@example.com", "finance", "staff")
    assert grant_wires(fred, "720") == 422
    assert grant_wires(fred, "25") == 422
    run_id = deployment.suspended("wirer", "go")
    page = wire_page(fred, run_id, deployment.request_id(run_id))
    assert '<option value="24"' in page.body
    assert '<option value="72"' not in page.body
    assert grant_wires(fred, "24") == 200
    fred.inbox()
    assert wired(deployment) == "completed"
    SignedInBrowser(deployment, issuer, "else@example.com", "staff").inbox()
    assert wired(deployment) == "completed"
    SignedInBrowser(deployment, issuer, "fred@example.com", "staff").inbox()
    assert wired(deployment) == "suspended"
    [line] = deployment.lines("standing approval ended")
    assert line["reason"] == "left group:finance"
    [grant] = deployment.http("list-grants").json()["items"]
    assert (grant["lives"], grant["revoked_by"]) == (False, "left group:finance")


def test_a_grant_of_somebody_asked_by_name_does_not_depend_on_groups(
    deployment: Deployment,
    issuer: IssuerServer,
    model: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play(monkeypatch, model, {"wirer": wire})
    cfo = SignedInBrowser(deployment, issuer, CFO)
    assert grant_wires(cfo, "720") == 200
    cfo.inbox()
    assert wired(deployment) == "completed"


def test_a_use_of_a_grant_is_in_the_audit_of_its_run(deployment: Deployment) -> None:
    agreed(deployment, **UP_TO)
    [grant] = deployment.http("list-grants").json()["items"]
    run_id = deployment.started("procurement", CHEAPER)
    deployment.drain()
    asked, said = deployment.http("read-audit", params={"run_id": run_id}).json()["items"]
    assert asked["kind"] == "approval_requested"
    decision = said["decision"]
    assert (decision["via"], decision["approver"]) == ("grant", LEAD)
    assert decision["grant_id"] == grant["grant_id"]
    [grant] = deployment.http("list-grants").json()["items"]
    assert (grant["uses"], grant["lives"]) == (1, True)


def test_a_grant_is_shown_and_revoked_only_in_the_grantors_inbox(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    agreed(deployment, **UP_TO)
    lead, cfo = (SignedInBrowser(deployment, issuer, who) for who in (LEAD, CFO))
    assert "Standing approvals" in lead.inbox().body
    assert "Standing approvals" not in cfo.inbox().body
    [grant] = deployment.http("list-grants").json()["items"]
    deployment.suspended("treasury", "Transfer 250 to acme.")
    nonce = Browser(cfo.inbox().body).posted["nonce"]
    taken = cfo.post(
        "inbox-decision", {"revoke": grant["grant_id"], "nonce": nonce}, accept="application/json"
    )
    taken.refused(403)
    form = {**Browser(lead.inbox().body).posted, "revoke": grant["grant_id"]}
    answer = lead.post("inbox-decision", form)
    assert_is_a_safe_page(answer)
    assert "standing approval revoked" in answer.body
    assert not ordered(deployment, CHEAPER)


def test_a_program_that_may_act_for_approvers_grants_and_revokes(deployment: Deployment) -> None:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    run_id = deployment.suspended("procurement", CHAIRS)
    wanted = {"seconds": 3600, "rules": {"amount": "up_to"}, "max_uses": 1}
    assert deployment.decide(run_id, approver=LEAD, grant=wanted).status == 200
    deployment.drain()
    assert ordered(deployment, CHEAPER)
    assert not ordered(deployment, CHEAPER)
    [grant] = deployment.http("list-grants", query={"approver": LEAD}).json()["items"]
    assert grant["max_uses"] == 1
    assert deployment.http("list-grants", query={"approver": CFO}).json()["items"] == []
    where = {"grant_id": grant["grant_id"]}
    assert deployment.http("revoke-grant", params=where).json()["lives"] is False
    deployment.http("revoke-grant", params={"grant_id": "aaaa"}).refused(404)


def test_a_program_revokes_its_own_grants_only(
    deployment: Deployment,
) -> None:
    agreed(deployment, **UP_TO)
    [grant] = deployment.http("list-grants").json()["items"]
    deployment.http("revoke-grant", params={"grant_id": grant["grant_id"]}).refused(403)


@pytest.mark.parametrize(
    ("grant", "field"),
    [
        ({"seconds": 8 * 3600 + 1}, "grant.seconds"),
        ({"seconds": 60, "rules": {"colour": "any"}}, "grant.rules.colour"),
        ({"seconds": 60, "rules": {"item": "up_to"}}, "grant.rules.item"),
        ({"seconds": 60, "max_uses": 0}, "grant.max_uses"),
    ],
)
def test_an_invalid_grant_leaves_the_request_open(
    deployment: Deployment, grant: dict[str, object], field: str
) -> None:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    run_id = deployment.suspended("procurement", CHAIRS)
    before = deployment.state()
    assert deployment.decide(run_id, approver=LEAD, grant=grant).faults() == {field}
    assert deployment.decide(
        run_id, approver=LEAD, decision="reject", grant={"seconds": 60}
    ).faults() == {"grant"}
    assert deployment.state() == before
