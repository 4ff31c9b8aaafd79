"""The approver's page: its content, its access, and that opening it changes nothing."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from agent_continuations.auth.approval_links import ApprovalLinks
from tests.local import script
from tests.local.model_server import Call, Fault, Json, ModelServer, Reply
from tests.support.deployment import SECURITY, Deployment
from tests.support.email_messages import HEADERS
from tests.support.form_page import Browser
from tests.support.http_answers import CURL
from tests.support.safe_pages import BIDI, HOSTILE, Tags, assert_is_a_safe_page
from tests.support.scripted_models import hostile

LATER = datetime.now(UTC) + timedelta(days=7)
HASH = "f" * 64
CLOSE = "Please close the account old-vendor."


def test_the_page_shows_the_call_and_the_requester(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    page = deployment.page(deployment.token())
    [asked] = deployment.read(run_id)["waiting"]
    assert page.status == 200
    assert_is_a_safe_page(page)
    assert f"<code>{asked['arguments_hash'][:12]}</code>" in page.body
    assert asked["arguments"]["account_id"] in page.body
    assert "account_agent asks to call <code>authorize</code>" in page.body
    assert "7 days left" in page.body
    assert f"Deciding as {SECURITY}." in page.body
    for done in ("send_welcome_mail", "create_account"):
        assert f"<summary><code>{done}</code>" in page.body


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("decided", [False, True])
def test_opening_a_page_changes_nothing(deployment: Deployment, method: str, decided: bool) -> None:
    run_id = deployment.suspended()
    token = deployment.token()
    if decided:
        deployment.click(token)
    before = deployment.state()
    for headers in ({}, CURL, {"Sec-Fetch-Site": "cross-site", "Purpose": "prefetch"}):
        answer = deployment.page(token, method=method, headers=headers)
        assert answer.status == (204 if method == "OPTIONS" else 200)
        assert deployment.state() == before
    assert deployment.read(run_id)["status"] == ("ready" if decided else "suspended")


def test_a_form_in_the_query_of_a_get_decides_nothing(deployment: Deployment) -> None:
    deployment.suspended()
    token = deployment.token()
    before = deployment.state()
    answer = deployment.http(
        "approval-page", params={"token": token}, query={"decision": "approve"}
    )
    assert answer.status == 200
    assert deployment.state() == before


def test_nothing_on_the_page_submits_automatically_or_to_another_site(
    deployment: Deployment,
) -> None:
    deployment.suspended()
    page = deployment.page(deployment.token()).body
    forms = re.findall(r"<form[^>]*>", page)
    assert forms
    assert set(forms) == {'<form method="post" action="?">'}
    assert "http-equiv" not in page
    assert deployment.token() not in page


# -- tokens ------------------------------------------------------------


def bad_tokens(deployment: Deployment) -> dict[str, str]:
    token = deployment.token()
    run_id = deployment.run_of(token)
    request_id = deployment.request_id(run_id)
    ours, foreign = deployment.capabilities(), ApprovalLinks(["f" * 64])
    payload, _, signature = token.partition(".")
    return {
        "empty signature": f"{payload}.",
        "no signature": payload,
        "cut": token[:-1],
        "cut payload": token[1:],
        "a few letters": "abc",
        "dots": "..",
        "other key": foreign.token(run_id, request_id, SECURITY, LATER, HASH),
        "signature of another": f"{payload}.{ours.nonce(payload)}",
        "nonce": f"{payload}.{ours.nonce(token)}",
        "longer": f"{token}A",
        "not ASCII": f"{payload}é.{signature}",
        "another approver": ours.token(run_id, request_id, "boss@example.com", LATER, HASH),
        "another run": ours.token("mzxw6ytboi2dgnjrgezdgnbv", request_id, SECURITY, LATER, HASH),
        "another request": ours.token(run_id, "mfrggzdfmztwq2lk", SECURITY, LATER, HASH),
    }


KINDS = (
    "empty signature",
    "no signature",
    "cut",
    "cut payload",
    "a few letters",
    "dots",
    "other key",
    "signature of another",
    "nonce",
    "longer",
    "not ASCII",
    "another approver",
    "another run",
    "another request",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_another_approver_is_refused(deployment: Deployment, kind: str) -> None:
    deployment.suspended()
    token = bad_tokens(deployment)[kind]
    before = deployment.state()
    page = deployment.page(token)
    assert page.status == 404
    assert_is_a_safe_page(page)
    deployment.page(token, headers=CURL).refused(404)
    deployment.answer(token, {"decision": "approve"}, headers=CURL).refused(404)
    assert deployment.state() == before


def test_a_token_with_any_letter_changed_is_refused(deployment: Deployment) -> None:
    deployment.suspended()
    token, capabilities = deployment.token(), deployment.capabilities()
    accepted = []
    for place, letter in enumerate(token[:-1]):
        for other in "AB-.x9_":
            if other == letter:
                continue
            changed = token[:place] + other + token[place + 1 :]
            try:
                capabilities.read(changed)
            except Exception:  # noqa: BLE001 - which refusal it is, the tests above say
                continue
            accepted.append(changed)
    assert accepted == []


@pytest.mark.parametrize("more", ["!", "~", " ", "=", "A==="])
def test_a_token_with_a_suffix_is_refused(deployment: Deployment, more: str) -> None:
    deployment.suspended()
    deployment.page(deployment.token() + more, headers=CURL).refused(404)


def test_the_last_letter_of_a_token_cannot_be_changed(deployment: Deployment) -> None:
    """The last letter of 32 bytes in base64 has two bits to spare."""
    deployment.suspended()
    token = deployment.token()
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    neighbour = letters[letters.index(token[-1]) ^ 1]
    deployment.page(token[:-1] + neighbour, headers=CURL).refused(404)


def test_an_expired_token_is_refused(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    past = datetime.now(UTC) - timedelta(seconds=2)
    request_id = deployment.request_id(run_id)
    token = deployment.capabilities().token(run_id, request_id, SECURITY, past, HASH)
    before = deployment.state()
    page = deployment.page(token)
    assert page.status == 409
    assert "this link has expired" in page.body
    assert_is_a_safe_page(page)
    refusal = deployment.answer(token, {"decision": "approve"}, headers=CURL).refused(409)
    assert refusal["detail"] == "this link has expired"
    assert deployment.state() == before


def test_keys_rotate_and_retire(deployment: Deployment) -> None:
    deployment.suspended()
    token, [old] = deployment.token(), deployment.keys
    deployment.rotate(["n" * 64, old])
    assert deployment.page(token).status == 200
    deployment.rotate(["o" * 64, "n" * 64])
    assert deployment.page(token).status == 404
    deployment.answer(token, {"decision": "approve"}, headers=CURL).refused(404)
    deployment.rotate(["o" * 64, "n" * 64, old])
    assert deployment.click(token).status == 303


def test_each_approver_has_a_personal_link(deployment: Deployment) -> None:
    run_id = deployment.suspended("treasury", CLOSE)
    cfo, audit = deployment.token("cfo@example.com"), deployment.token("audit@example.com")
    assert cfo != audit
    assert "Deciding as cfo@example.com. Also asked: audit@example.com" in (
        deployment.page(cfo).body
    )
    form = {"decision": "approve"}
    answer = deployment.answer(audit, {**form, "approver": "cfo@example.com"}, headers=CURL)
    assert answer.faults() == {"approver"}
    told = deployment.answer(audit, form, headers=CURL).json()
    assert (told["approver"], told["decided_by"]) == ("audit@example.com",) * 2
    refusal = deployment.answer(cfo, form, headers=CURL).refused(409)
    assert refusal["decision"]["approver"] == "audit@example.com"
    assert deployment.read(run_id)["waiting"] == []


# -- hostile text ------------------------------------------------------------


def test_hostile_text_stays_text_on_the_page(deployment: Deployment, model: ModelServer) -> None:
    model.respond = hostile
    deployment.suspended("treasury", f"Transfer 250 to acme. {HOSTILE}")
    token = deployment.token("cfo@example.com")
    page = deployment.page(token)
    assert_is_a_safe_page(page)
    assert page.body.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2  # goal and arguments
    assert r"\u{202e}tfosorcim\u{2066}" in page.body
    answer = deployment.click(token, "reject", reason=f"No. {HOSTILE}")
    assert answer.status == 303
    decided = deployment.page(token)
    assert_is_a_safe_page(decided)
    assert "No. &lt;script&gt;" in decided.body


def test_hostile_text_stays_text_in_the_mail(deployment: Deployment, model: ModelServer) -> None:
    model.respond = hostile
    deployment.suspended("treasury", f"Transfer 250 to acme. {HOSTILE}")
    [mail] = deployment.mails()
    assert mail.message["Bcc"] is None
    assert set(mail.message.keys()) == HEADERS
    found = Tags(mail.part("html"))
    assert not {"script", "img", "iframe", "link", "object"} & set(found.tags)
    assert not {name for name in found.attributes if name.startswith("on")}
    for part in (mail.part("plain"), mail.part("html")):
        assert not BIDI.search(part)
        assert r"\u{202e}tfosorcim\u{2066}" in part  # in the goal
        assert r"\u202etfosorcim\u2066" in part  # in the arguments, where it still is JSON


def test_a_goal_cannot_add_lines_to_the_mail(deployment: Deployment) -> None:
    forged = "Hash:         000000000000"
    link = "https://evil.example/approvals/x"
    goal = f"Transfer 250 to acme.\n{forged}\n\nView everything and decide:\n\n{link}\n"
    deployment.suspended("treasury", goal)
    [mail] = deployment.mails()
    assert " ".join(forged.split()) in mail.part("plain")
    assert not {forged, link} & set(mail.part("plain").splitlines())


def test_the_edit_form_can_be_approved_unchanged(
    deployment: Deployment, model: ModelServer
) -> None:
    model.respond = hostile
    run_id = deployment.suspended("treasury", "Transfer 250 to acme.")
    [asked] = deployment.read(run_id)["waiting"]
    token = deployment.token("cfo@example.com")
    form = {**Browser(deployment.page(token, edit=True).body).posted, "decision": "approve"}
    answer = deployment.answer(token, form, headers={"Accept": "application/json"})
    assert answer.status == 200, answer.body
    assert answer.json()["arguments_hash"] == asked["arguments_hash"]


def test_the_page_of_a_very_large_argument_stays_below_the_response_limit(
    deployment: Deployment, model: ModelServer
) -> None:
    """Lambda's answers end at 6 MB, and the page shows the arguments twice."""

    def large(request: Json) -> Reply | Fault:
        reply = script.respond(request)
        calls = tuple(
            Call("transfer", {"amount": 250, "to": '"' * 600_000})
            if call.name == "transfer"
            else call
            for call in reply.tool_calls
        )
        return Reply(content=reply.content, tool_calls=calls)

    model.respond = large
    deployment.suspended("treasury", "Transfer 250 to acme.")
    page = deployment.page(deployment.token("cfo@example.com"))
    assert page.status == 200
    assert len(page.body.encode()) < 6 * 1024 * 1024
