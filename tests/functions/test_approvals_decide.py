"""Decisions by link: only from the page or a program, only once, only valid ones."""

import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest

import agents
from agent_continuations import Approval, tool
from agent_continuations.core.inbound import Restore
from agent_continuations.operations.after_restore import clear_run, mark_runs
from tests.local.issuer import IssuerServer
from tests.local.model_server import ModelServer
from tests.support.deployment import SECURITY, Deployment
from tests.support.form_page import Browser
from tests.support.hr_agent import hr_agent
from tests.support.http_answers import CURL
from tests.support.lambda_invocation import example
from tests.support.one_tool_agents import play
from tests.support.safe_pages import assert_is_a_safe_page
from tests.support.signed_in import SignedInBrowser

ANN, BOB = "ann@example.com", "bob@example.com"
APPROVE = {"decision": "approve"}


def test_a_program_decides_without_a_page(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    token = deployment.token()
    [asked] = deployment.read(run_id)["waiting"]
    answer = deployment.answer(token, {**APPROVE, "reason": " Fine. "}, headers=CURL)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told["run_id"] == run_id
    assert (told["decision"], told["approver"], told["via"]) == ("approve", SECURITY, "link")
    assert told["reason"] == "Fine."
    assert told["arguments_hash"] == asked["arguments_hash"]
    assert token not in answer.body
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "anything"])
def test_a_post_from_another_site_is_refused(deployment: Deployment, site: str) -> None:
    deployment.suspended()
    token = deployment.token()
    nonce = deployment.page(token).form_value("nonce")
    before = deployment.state()
    form = {**APPROVE, "nonce": nonce}
    answer = deployment.answer(token, form, headers={"Sec-Fetch-Site": site})
    assert answer.status == 403
    assert_is_a_safe_page(answer)
    curl = {**CURL, "Sec-Fetch-Site": site}
    deployment.answer(token, form, headers=curl).refused(403)
    assert deployment.state() == before


@pytest.mark.parametrize("old_browser", [False, True])
@pytest.mark.parametrize("nonce", [None, "", "x" * 43, "of another link", "é"])
def test_a_browsers_post_needs_the_nonce_of_its_page(
    deployment: Deployment, nonce: str | None, old_browser: bool
) -> None:
    deployment.suspended()
    token = deployment.token()
    if nonce == "of another link":
        deployment.suspended()
        other = deployment.token()
        assert other != token
        nonce = deployment.page(other).form_value("nonce")
    before = deployment.state()
    form = APPROVE if nonce is None else {**APPROVE, "nonce": nonce}
    headers = {"Sec-Fetch-Site": None} if old_browser else {}
    assert deployment.answer(token, form, headers=headers).status == 403
    assert deployment.state() == before


def test_an_old_browser_with_the_nonce_decides(deployment: Deployment) -> None:
    deployment.suspended()
    token = deployment.token()
    form = {**APPROVE, "nonce": deployment.page(token).form_value("nonce")}
    assert deployment.answer(token, form, headers={"Sec-Fetch-Site": None}).status == 303


def test_a_click_redirects_to_a_page_with_the_decision(deployment: Deployment) -> None:
    deployment.suspended()
    token = deployment.token()
    answer = deployment.click(token, "reject", reason="Too early.")
    assert answer.status == 303
    assert answer.headers["location"] == token
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    page = deployment.page(token)
    assert_is_a_safe_page(page)
    assert "<h2>Rejected</h2>" in page.body
    assert "<blockquote>Too early.</blockquote>" in page.body
    assert "<form" not in page.body


def test_a_double_click_is_one_decision(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    token = deployment.token()
    form = {**APPROVE, "nonce": deployment.page(token).form_value("nonce")}
    assert deployment.answer(token, form).status == 303
    before = deployment.items()
    assert deployment.answer(token, form).status == 303
    assert deployment.items() == before
    assert deployment.drain().count("ResumeFunction") == 1
    results = [each for each in deployment.timeline(run_id) if each["tool"] == "authorize"]
    assert [each["kind"] for each in results] == ["approval", "decision", "tool"]
    assert deployment.answer(token, form).status == 303


def test_a_second_decision_is_refused_with_the_first(deployment: Deployment) -> None:
    deployment.suspended()
    token = deployment.token()
    nonce = deployment.page(token).form_value("nonce")
    stands = deployment.answer(token, {"decision": "reject", "reason": "<No>"}, headers=CURL)
    refusal = deployment.answer(token, APPROVE, headers=CURL).refused(409)
    assert refusal["decision"] == stands.json()
    page = deployment.answer(token, {**APPROVE, "nonce": nonce})
    assert page.status == 409
    assert_is_a_safe_page(page)
    assert "Current decision: rejected" in page.body
    assert "&lt;No&gt;" in page.body


def test_edited_arguments_run_and_are_shown(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    token = deployment.token()
    form = Browser(deployment.page(token, edit=True).body).posted
    form["arguments.level"] = '"basic"'
    assert deployment.answer(token, {**form, "decision": "approve"}).status == 303
    page = deployment.page(token)
    assert "Changed by an approver" in page.body
    assert "<del>&#34;confidential&#34;</del>" in page.body
    assert "<ins>&#34;basic&#34;</ins>" in page.body
    deployment.drain()
    assert "authorized for basic" in deployment.read(run_id)["result"]


def test_an_error_in_the_edit_form_is_shown_at_its_field_and_keeps_the_input(
    deployment: Deployment,
) -> None:
    deployment.suspended("procurement", "Order two chairs for 450 from acme.")
    token, before = deployment.token("lead@example.com"), deployment.state()
    form = Browser(deployment.page(token, edit=True).body).posted
    form |= {
        "arguments.amount": "four hundred",
        "arguments.item": "three chairs",
        "reason": "cheap",
    }
    again = deployment.answer(token, {**form, "decision": "approve"})
    assert again.status == 422
    assert again.headers["content-type"].startswith("text/html")
    shown = Browser(again.body)
    assert shown.posted["arguments.amount"] == "four hundred"
    assert shown.posted["arguments.item"] == "three chairs"
    assert shown.controls["arguments.amount"]["aria-invalid"] == "true"
    assert "aria-invalid" not in shown.controls["arguments.item"]
    assert "whole number" in shown.texts["arguments.amount:fault"]
    assert deployment.state() == before
    right = {**shown.posted, "arguments.amount": "400", "decision": "approve"}
    assert deployment.answer(token, right).status == 303
    deployment.drain()
    run_id = deployment.run_of(token)
    assert "Ordered three chairs from acme for 400 euros" in deployment.read(run_id)["result"]


def test_a_form_sent_by_the_enter_key_decides_nothing(deployment: Deployment) -> None:
    deployment.suspended("procurement", "Order two chairs for 450 from acme.")
    token, before = deployment.token("lead@example.com"), deployment.state()
    form = Browser(deployment.page(token, edit=True).body).posted
    again = deployment.answer(token, {**form, "arguments.item": "three chairs"})
    assert again.status == 200
    assert Browser(again.body).posted["arguments.item"] == "three chairs"
    assert deployment.state() == before


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ('{"account_id": "a", "level": "top"}', "arguments.level"),
        ('{"account_id": "a"}', "arguments.level"),
        ('{"account_id": "a", "level": NaN}', "arguments.level"),
        ('{"account_id": "\\ud800", "level": "basic"}', "arguments"),
        ("[]", "arguments"),
        ("{", "arguments"),
        ("[" * 20_000, "arguments"),
        ('{"account_id":' + "[" * 300 + "]" * 300 + ', "level": "basic"}', "arguments"),
        ("1" * 5000, "arguments"),
    ],
)
def test_invalid_arguments_leave_the_request_open(
    deployment: Deployment, arguments: str, field: str
) -> None:
    deployment.suspended()
    token = deployment.token()
    before = deployment.state()
    form = {**APPROVE, "arguments": arguments}
    named = deployment.answer(token, form, headers=CURL).faults()
    assert {each[: len(field)] for each in named} == {field}
    page = deployment.click(token, arguments=arguments)
    assert page.status == 422
    assert_is_a_safe_page(page)
    assert "Nothing was changed" in page.body
    assert deployment.state() == before
    assert deployment.answer(token, APPROVE, headers=CURL).status == 200


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ("", "decision"),
        ("decision=", "decision"),
        ("decision=maybe", "decision"),
        ("decision=APPROVE", "decision"),
        ("decision=approve&decision=approve", "decision"),
        ("decision=approve&decision=reject", "decision"),
        ("decision=approve&approver=boss%40example.com", "approver"),
        ("decision=approve&decided_by=boss", "decided_by"),
        ("decision=reject&arguments=%7B%7D", "arguments"),
        ("decision=reject&reason=" + "x" * 4001, "reason"),
        ("decision=approve&reason=%ff", "body"),
        ("&".join(f"a{number}=1" for number in range(301)), "body"),
        ('{"decision": "approve"}', '{"decision": "approve"}'),
    ],
)
def test_an_invalid_form_is_reported_by_field(
    deployment: Deployment, form: str, field: str
) -> None:
    deployment.suspended()
    token = deployment.token()
    before = deployment.state()
    assert deployment.answer(token, form, headers=CURL).faults() == {field}
    assert deployment.state() == before


def test_a_form_in_base64_is_accepted(deployment: Deployment) -> None:
    """API Gateway sends it so where binary media types are configured."""
    deployment.suspended()
    event = example("approval-decision")
    event |= {"pathParameters": {"token": deployment.token()}, "isBase64Encoded": True}
    event["body"] = b64encode(b"decision=approve").decode()
    event["headers"] = {"Accept": "*/*"}
    assert deployment.invoke("ApprovalsApiFunction", event)["statusCode"] == 200
    event["body"] = "no base64!"
    answer = deployment.invoke("ApprovalsApiFunction", event)
    assert answer["statusCode"] == 422


def test_a_cancelled_run_has_nothing_to_decide(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    token = deployment.token()
    deployment.http("cancel-run", params={"run_id": run_id})
    page = deployment.page(token)
    assert "Nothing left to decide" in page.body
    assert "<form" not in page.body
    deployment.answer(token, APPROVE, headers=CURL).refused(409)
    deployment.drain()
    deployment.answer(token, APPROVE, headers=CURL).refused(409)
    assert deployment.read(run_id)["status"] == "cancelled"


def test_after_the_deadline_a_call_is_rejected_and_never_approved(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "AGENTS", [hr_agent(seconds=2)])
    run_id = deployment.suspended()
    token = deployment.token()
    assert "0 minutes left" in deployment.page(token).body
    time.sleep(2.1)
    page = deployment.page(token)
    assert "<h2>Deadline passed</h2>" in page.body
    assert "<form" not in page.body
    before = deployment.state()
    deployment.answer(token, APPROVE, headers=CURL).refused(409)
    assert deployment.state() == before
    assert deployment.sweep() == 1
    assert deployment.drain() == ["ResumeFunction"]
    done = deployment.read(run_id)
    assert done["status"] == "completed"
    assert "nobody decided before the deadline" in done["result"]
    [decision] = [each for each in deployment.timeline(run_id) if each["kind"] == "decision"]
    assert (decision["verdict"], decision["via"]) == ("reject", "deadline")
    deployment.answer(token, APPROVE, headers=CURL).refused(409)


# -- calls in doubt --------------------------------------------------------------------------------


def lost(deployment: Deployment) -> tuple[str, str]:
    """A run whose approved call was lost, and the token of the link in the question about it."""
    run_id = deployment.suspended()
    [asked] = deployment.read(run_id)["waiting"]
    deployment.click(deployment.token())
    deployment.messages("ResumeQueue")
    deployment.lose(run_id, asked["path"])
    deployment.hint("ResumeQueue", run_id=run_id)
    deployment.drain()
    [doubt] = deployment.read(run_id)["waiting"]
    assert (doubt["kind"], doubt["path"]) == ("doubt", asked["path"])
    return run_id, deployment.token()


def test_a_doubt_page_explains_each_answer_and_opening_it_changes_nothing(
    deployment: Deployment,
) -> None:
    run_id, token = lost(deployment)
    before = deployment.state()
    page = deployment.page(token)
    assert_is_a_safe_page(page)
    words = " ".join(page.body.split())
    for said in (
        "Did <code>authorize</code> happen?",
        "It happened: continue",
        "The tool does not run again. The agent continues with what you found.",
        "It did not happen: run it now",
        "If it did happen after all, it will have happened twice.",
        "If you cannot find out, leave this open",
    ):
        assert said in words
    assert deployment.state() == before
    assert deployment.read(run_id)["status"] == "suspended"


def test_a_doubt_answered_as_happened_gives_the_agent_the_result(deployment: Deployment) -> None:
    run_id, token = lost(deployment)
    assert deployment.click(token, "approve", reason="I see it in the log.").status == 303
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"
    results = [each["text"] for each in deployment.timeline(run_id) if each["kind"] == "tool"]
    assert not [each for each in results if "is authorized for" in str(each)]
    assert "Answered: it happened" in deployment.page(token).body


def test_a_doubt_answered_as_not_happened_runs_the_tool(deployment: Deployment) -> None:
    run_id, token = lost(deployment)
    assert deployment.click(token, "reject").status == 303
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"
    results = [each["text"] for each in deployment.timeline(run_id) if each["kind"] == "tool"]
    assert len([each for each in results if "is authorized for" in str(each)]) == 1
    assert "Answered: it did not happen" in deployment.page(token).body


def test_who_started_the_run_is_not_offered_to_have_its_call_run_again(
    deployment: Deployment, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tool(approval=Approval([ANN, BOB]))
    def pay() -> str:
        """Pay."""
        return "paid"

    play(monkeypatch, model, {"payer": pay})
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    body = {"agent": "payer", "input": "go", "requester": ANN}
    run_id = str(deployment.post_run(body).json()["run_id"])
    deployment.drain()
    deployment.click(deployment.token(BOB))
    deployment.messages("ResumeQueue")
    deployment.lose(run_id, "0.0")
    deployment.hint("ResumeQueue", run_id=run_id)
    deployment.drain()
    assert "run it now" in deployment.page(deployment.token(BOB)).body
    with IssuerServer() as issuer:
        deployment.trust(issuer)
        ann = SignedInBrowser(deployment, issuer, ANN)
        where = {"token": run_id, "request_id": deployment.request_id(run_id)}
        page = ann.get("signed-in-page", **where).body
        assert "run it now" not in page
        assert "another approver must say if it did not happen" in page
        form = {**Browser(page).posted, "decision": "reject"}
        assert ann.post("signed-in-decision", form, **where).status == 403
    assert deployment.read(run_id)["status"] == "suspended"


def test_where_two_must_approve_two_say_that_it_did_not_happen(
    deployment: Deployment, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tool(approval=Approval([ANN, BOB], needed="all"))
    def pay() -> str:
        """Pay."""
        return "paid"

    play(monkeypatch, model, {"payer": pay})
    run_id = deployment.suspended("payer", "go")
    for who in (ANN, BOB):
        deployment.click(deployment.token(who))
    deployment.messages("ResumeQueue")
    deployment.lose(run_id, "0.0")
    deployment.hint("ResumeQueue", run_id=run_id)
    deployment.drain()
    ann, bob = deployment.token(ANN), deployment.token(BOB)
    page = deployment.page(ann)
    assert_is_a_safe_page(page)
    assert "It did not happen</button>" in page.body
    assert "run it now" not in page.body
    assert deployment.click(ann, "reject").status == 303
    deployment.drain()
    assert deployment.read(run_id)["status"] == "suspended"
    page = deployment.page(ann)
    assert "you have said that it did not happen; others must still say so" in page.body
    assert "<form" not in page.body
    page = deployment.page(bob)
    assert_is_a_safe_page(page)
    assert f"That it did not happen, {ANN} has said." in page.body
    assert "It did not happen: run it now" in page.body
    assert deployment.click(bob, "reject").status == 303
    deployment.drain()
    assert deployment.read(run_id)["result"] == "paid"


# -- after a restore of the table ------------------------------------------------------------------


def test_a_request_of_before_a_restore_is_closed_until_it_is_known_whether_the_call_happened(
    deployment: Deployment,
) -> None:
    run_id = deployment.suspended()
    token = deployment.token()
    store = deployment.store()
    now = datetime.now(UTC)
    restore = Restore(since=now - timedelta(hours=1), until=now, at=now)
    assert [each.marked for each in mark_runs(store, restore, operators=[])] == [True]
    page = deployment.page(token)
    assert "<h2>Did it happen already?</h2>" in page.body
    assert "<form" not in page.body
    assert_is_a_safe_page(page)
    deployment.answer(token, APPROVE, headers=CURL).refused(409)
    assert "restore" in [each["kind"] for each in deployment.timeline(run_id)]
    assert clear_run(store, run_id, by="operator", now=now)
    assert "<form" in deployment.page(token).body
