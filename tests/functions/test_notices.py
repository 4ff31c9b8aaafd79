"""Notices: nothing that is written into the outbox makes a link for somebody who is not asked."""

from struct import Struct
from typing import Any

import pytest

from agent_continuations.auth.signing import encode, signer
from agent_continuations.core.ids import decode_id
from tests.local.issuer import IssuerServer
from tests.support.deployment import SECURITY, Deployment
from tests.support.form_page import Browser
from tests.support.http_answers import CURL
from tests.support.mailbox import Mail
from tests.support.signed_in import CFO, LEAD, SignedInBrowser
from tests.support.template_functions import functions, rights

APPROVE = {"decision": "approve"}
AUDIT, STRANGER = "audit@example.com", "dora@example.org"
CAR = "Order a car for 30000 from globex."
CHANGED = "Changed since the message was sent"


def forged(deployment: Deployment, run_id: str, **changes: Any) -> list[Mail]:
    """Write a notice of a run again, as another one with changes; the mails that it causes."""
    store = deployment.store()
    notice = store.notices(run_id)[0]
    values = {"notice_id": f"{notice.notice_id}x", "due": notice.created_at, **changes}
    forged = notice.model_copy(update={"attempts": 0, "delivered": (), **values})
    store.update_notice(forged)
    before = len(deployment.mails())
    deployment.hint("NotifyQueue", run_id=run_id, notice_id=forged.notice_id)
    return deployment.mails()[before:]


# -- who writes notices ----------------------------------------------------------------------------


def test_each_function_may_do_with_the_outbox_what_it_needs() -> None:
    allowed = {name: rights(name, "OutboxTable") for name in functions()}
    read = {"dynamodb:Query"}
    assert {name: actions for name, actions in allowed.items() if actions} == {
        "AdvanceFunction": {"dynamodb:PutItem"},
        "ResumeFunction": {"dynamodb:PutItem"},
        "NotifyFunction": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "ApprovalsApiFunction": {"dynamodb:Query", "dynamodb:UpdateItem"},
        "RunsApiFunction": read,
        "WebFunction": read,
        "SweepFunction": read,
        "FindStuckRunsFunction": read,
    }


def test_the_function_that_delivers_notices_writes_no_run() -> None:
    assert rights("NotifyFunction", "Table") == {"dynamodb:GetItem"}
    assert rights("SweepFunction", "Table") == {"dynamodb:Query"}


# -- false notices ---------------------------------------------------------------------------------


@pytest.mark.parametrize("answerers", [(SECURITY,), None])
def test_a_recipient_in_a_notice_gets_no_link(
    deployment: Deployment, answerers: tuple[str, ...] | None
) -> None:
    run_id = deployment.suspended()
    recipients = (f"email:{STRANGER} for {SECURITY}", f"email:{STRANGER}", f"email:{SECURITY}")
    mails = forged(deployment, run_id, answerers=answerers, undelivered=recipients)
    assert [mail.to for mail in mails] == [SECURITY]
    assert mails[0].token.count(".") == 1


def test_the_link_of_a_stranger_whom_a_notice_names_opens_nothing(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    [mail] = forged(deployment, run_id, approvers=(STRANGER,), answerers=(STRANGER,))
    assert mail.to == STRANGER
    before = deployment.state()
    deployment.page(mail.token, headers=CURL).refused(404)
    for decision in ("approve", "reject", "reassign", "withdraw"):
        form = {"decision": decision, "to": "eve@example.org"}
        deployment.answer(mail.token, form, headers=CURL).refused(404)
    assert deployment.state() == before


@pytest.mark.parametrize("invented", ["request_id", "run_id"])
def test_a_link_for_what_a_notice_invents_opens_nothing(
    deployment: Deployment, invented: str
) -> None:
    run_id = deployment.suspended()
    other = deployment.suspended()
    value = {"request_id": "mfrggzdfmztwq2lk", "run_id": other}[invented]
    store = deployment.store()
    notice = store.notices(run_id)[0]
    wrong = {"notice_id": "x", "due": notice.created_at, "delivered": (), "answerers": (SECURITY,)}
    store.update_notice(notice.model_copy(update={**wrong, invented: value}))
    before = len(deployment.mails())
    deployment.hint("NotifyQueue", run_id=other if invented == "run_id" else run_id, notice_id="x")
    for mail in deployment.mails()[before:]:
        assert mail.to == SECURITY
        deployment.answer(mail.token, APPROVE, headers=CURL).refused(404)
    assert {deployment.read(each)["status"] for each in (run_id, other)} == {"suspended"}


def test_a_notice_cannot_show_a_stranger_a_request_in_the_inbox(
    deployment: Deployment, issuer: IssuerServer
) -> None:
    deployment.trust(issuer)
    run_id = deployment.suspended("procurement", CAR)
    forged(deployment, run_id, approvers=(STRANGER,), answerers=(STRANGER,))
    browser = SignedInBrowser(deployment, issuer, STRANGER)
    assert browser.picks() == []
    place = {"token": run_id, "request_id": deployment.request_id(run_id)}
    assert browser.get("signed-in-page", **place).status == 404
    assert len(SignedInBrowser(deployment, issuer, LEAD).picks()) == 1


# -- what a link was sent for ----------------------------------------------------------------------


def test_the_page_says_if_the_message_asked_about_something_else(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    assert CHANGED not in deployment.page(deployment.token()).body
    [mail] = forged(deployment, run_id, arguments={"level": "basic"}, arguments_hash="0" * 64)
    page = deployment.page(mail.token)
    assert CHANGED in page.body
    assert "confidential" in page.body
    assert deployment.click(mail.token).status == 303  # the page has shown what will run
    assert CHANGED not in deployment.page(mail.token).body


def test_a_link_from_before_an_edit_says_so_and_the_next_one_does_not(
    deployment: Deployment,
) -> None:
    deployment.suspended("procurement", CAR)
    deployment.click(deployment.token(LEAD))
    deployment.drain()
    earlier, token = deployment.token(AUDIT), deployment.token(CFO)
    assert CHANGED not in deployment.page(earlier).body
    form = Browser(deployment.page(token, edit=True).body).posted
    edited = {**form, "arguments.amount": "29000", "decision": "approve"}
    assert deployment.answer(token, edited).status == 303
    deployment.drain()
    assert CHANGED in deployment.page(earlier).body
    deployment.click(deployment.token(LEAD))
    deployment.drain()
    assert deployment.token(AUDIT) != earlier
    assert CHANGED not in deployment.page(deployment.token(AUDIT)).body
    assert CHANGED in deployment.page(earlier).body


def test_a_link_of_the_earlier_form_works_and_says_nothing(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    payload = encode_without_hash(deployment, deployment.token())
    token = signer(deployment.keys, "approval-link").sign(payload).decode()
    assert len(token) == 94
    page = deployment.page(token)
    assert page.status == 200
    assert CHANGED not in page.body
    assert deployment.click(token).status == 303
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"


def encode_without_hash(deployment: Deployment, token: str) -> bytes:
    """The payload that earlier code has signed for the capability of a token."""
    read = deployment.capabilities().read(token)
    return encode(
        Struct(">15s10s8sI").pack(
            decode_id(read.run_id),
            decode_id(read.request_id),
            read.approver_tag,
            int(read.expires_at.timestamp()),
        )
    )
