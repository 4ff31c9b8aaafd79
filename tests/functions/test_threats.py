"""The threats to an approval, one by one.

`ELSEWHERE` names the tests of each threat in other files; the tests below cover the threats that
concern several parts.
"""

import ast
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_continuations import Agent, Approval, ScriptedModel, call, tool
from agent_continuations.adapters.stores.memory import InMemoryInbox, InMemoryStore
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import NotFound
from agent_continuations.local.queue import LocalWorkQueue
from agent_continuations.ports.inbox import InboxEntry
from agent_continuations.services.services import Services
from tests.local.model_server import ModelServer
from tests.local.template import ROOT
from tests.support.deployment import SECURITY, Deployment
from tests.support.form_page import Browser
from tests.support.http_answers import CURL
from tests.support.one_tool_agents import play
from tests.support.template_functions import functions

APPROVE = {"decision": "approve"}
LATER = datetime.now(UTC) + timedelta(days=7)
DEPUTY = "deputy@example.com"

ELSEWHERE = {
    "a scanner or a browser opens the link": {
        "functions/test_approvals_page.py": [
            "test_opening_a_page_changes_nothing",
            "test_a_form_in_the_query_of_a_get_decides_nothing",
            "test_nothing_on_the_page_submits_automatically_or_to_another_site",
        ],
        "functions/test_inbox.py": ["test_opening_the_inbox_changes_nothing"],
        "functions/test_slack.py": ["test_opening_a_link_decides_nothing"],
    },
    "a token that is forged, altered, expired, replayed, another's, or of a retired key": {
        "functions/test_approvals_page.py": [
            "test_a_token_of_another_approver_is_refused",
            "test_a_token_with_any_letter_changed_is_refused",
            "test_an_expired_token_is_refused",
            "test_keys_rotate_and_retire",
            "test_each_approver_has_a_personal_link",
        ],
        "unit/auth/test_approval_links.py": [
            "test_a_nonce_is_no_token_and_a_token_no_nonce",
            "test_keys_can_be_changed_without_breaking_links",
            "test_a_token_is_short_and_safe_in_a_url",
        ],
        "functions/test_approvals_decide.py": ["test_a_second_decision_is_refused_with_the_first"],
    },
    "two answers at once, a double click, a hundred at once": {
        "functions/test_approvals_decide.py": ["test_a_double_click_is_one_decision"],
        "contract/test_store.py": ["test_one_of_many_concurrent_decisions_counts"],
        "e2e/test_races.py": [
            "test_of_eight_deciders_at_once_one_is_right_and_all_others_learn_what_stands",
            "test_two_deciders_at_once_a_hundred_times",
        ],
    },
    "other arguments run than were seen": {
        "unit/engine/test_runner.py": ["test_a_call_runs_only_as_it_was_approved"],
        "unit/services/test_policies.py": ["test_an_approval_of_other_arguments_is_refused"],
        "functions/test_inbox.py": [
            "test_a_request_that_changed_since_it_was_shown_is_not_approved"
        ],
        "functions/test_slack.py": [
            "test_a_request_that_changed_since_it_was_shown_is_not_decided"
        ],
    },
    "decided after the deadline": {
        "functions/test_approvals_decide.py": [
            "test_after_the_deadline_a_call_is_rejected_and_never_approved"
        ],
        "unit/services/test_policies.py": ["test_the_deadline_rejects_and_never_approves"],
    },
    "somebody decides who may not": {
        "functions/test_runs_api.py": [
            "test_only_approvers_of_the_request_may_decide",
            "test_callers_decide_only_as_themselves",
        ],
        "functions/test_inbox.py": [
            "test_a_request_of_another_approver_cannot_be_decided_in_an_inbox",
            "test_a_signed_in_person_who_is_no_approver_does_not_see_the_request",
            "test_a_link_alone_does_not_decide_a_high_risk_request",
        ],
        "unit/services/test_policies.py": ["test_the_requester_may_not_approve"],
        "functions/test_signin.py": ["test_a_header_or_query_cannot_set_the_identity"],
    },
    "who asked for a call approves it under another name, or by another way": {
        "unit/services/test_policies.py": [
            "test_no_spelling_of_a_name_approves_what_it_has_started",
            "test_who_started_the_run_has_nothing_to_reassign",
        ],
        "unit/services/test_requesters.py": [
            "test_who_sent_a_message_may_not_approve_what_was_planned_after_it",
            "test_an_agent_below_asks_for_those_who_wrote_before_it_was_called",
            "test_a_message_to_a_child_run_counts_for_what_comes_of_its_result",
            "test_who_sent_a_message_is_not_reassigned_to_and_reassigns_nothing",
        ],
        "unit/services/test_grants.py": [
            "test_a_grant_of_the_requester_does_not_approve_the_run",
            "test_a_grant_of_who_sent_a_message_does_not_approve_what_comes_of_it",
        ],
        "functions/test_separation.py": ["test_who_asked_approves_by_no_door"],
        "functions/test_callers.py": [
            "test_the_name_of_a_session_approves_nothing",
            "test_a_role_is_one_whatever_the_name_of_its_session",
            "test_who_started_a_run_names_nobody_of_a_group_for_it",
            "test_an_unknown_caller_decides_nothing_of_high_risk",
        ],
        "unit/services/test_doubts.py": [
            "test_as_many_say_that_it_did_not_happen_as_must_approve_it",
            "test_who_started_the_run_does_not_have_its_call_run_again",
        ],
    },
    "hostile text in the page, the mail, Slack": {
        "functions/test_hostile_text.py": [
            "test_hostile_text_stays_text_on_every_page",
            "test_hostile_text_stays_text_in_mail",
            "test_hostile_text_stays_text_in_slack",
            "test_hostile_text_is_exact_in_json",
            "test_hostile_text_is_exact_in_the_forms",
        ],
        "unit/adapters/channels/test_email.py": ["test_a_recipient_with_a_line_feed_is_refused"],
        "contract/test_notifier.py": ["test_text_never_becomes_structure"],
    },
    "the token, or another secret, leaks": {
        "unit/adapters/channels/test_slack.py": ["test_no_link_is_logged_even_at_debug_level"],
        "contract/test_notifier.py": ["test_private_details_are_sent_to_private_channels_only"],
        "functions/test_queues.py": ["test_the_topic_notifies_machines_without_a_link"],
        "functions/test_signin.py": ["test_each_response_is_private_and_without_scripts"],
    },
    "a post from another site": {
        "functions/test_approvals_decide.py": [
            "test_a_post_from_another_site_is_refused",
            "test_a_browsers_post_needs_the_nonce_of_its_page",
        ],
        "functions/test_inbox.py": [
            "test_a_bulk_decision_must_come_from_the_inbox_page",
            "test_a_page_of_another_session_decides_nothing",
        ],
        "functions/test_signin.py": ["test_another_site_cannot_sign_a_person_out"],
        "e2e/test_browser.py": ["test_a_page_of_another_site_cannot_decide"],
    },
    "a Slack member who is no approver, an old or a forged request": {
        "functions/test_slack.py": [
            "test_a_slack_member_who_is_not_an_approver_decides_nothing",
            "test_an_old_slack_request_is_refused",
            "test_a_forged_slack_request_is_refused",
            "test_a_slack_request_with_another_secret_or_body_is_refused",
        ],
        "unit/adapters/channels/test_slack.py": [
            "test_a_request_without_approvers_cannot_be_decided"
        ],
    },
    "a webhook to a private address": {
        "unit/adapters/channels/test_webhook.py": [
            "test_a_webhook_target_on_a_private_address_is_refused",
            "test_a_name_with_one_private_address_among_public_ones_is_refused",
            "test_a_name_that_moved_to_a_private_address_is_refused",
            "test_a_redirect_to_a_private_address_is_not_followed",
            "test_an_address_that_is_not_plain_https_is_refused",
        ],
        "functions/test_slack.py": ["test_a_webhook_on_a_private_address_is_not_retried"],
    },
    "the approvals function does more than decide": {
        "e2e/test_access.py": [
            "test_the_function_behind_the_links_can_do_its_work_and_no_more",
            "test_no_function_may_do_everything_or_touch_everything",
        ],
    },
    "a caller reads or controls the run of another": {
        "functions/test_callers.py": [
            "test_a_run_is_its_starters_and_the_operators",
            "test_who_is_asked_reads_and_decides_and_no_more",
            "test_some_callers_send_events_to_every_run",
        ],
    },
    "an approver takes a word for another that only looks like it": {
        "unit/test_look_alikes.py": [
            "test_a_character_that_may_be_taken_for_another_is_pointed_out",
            "test_what_people_write_is_not_pointed_out",
        ],
    },
    "a person has left a group, or has signed out": {
        "functions/test_grants.py": [
            "test_a_grant_of_a_member_ends_with_the_membership_and_after_a_day"
        ],
        "functions/test_signin.py": ["test_after_sign_out_a_copy_of_the_token_opens_no_page"],
    },
    "one tenant reads another's run": {
        "contract/test_inbox.py": ["test_each_approver_of_each_tenant_has_an_inbox"],
        "contract/test_store.py": ["test_grants_are_stored_by_tenant_and_tool"],
    },
}


@pytest.mark.parametrize("threat", ELSEWHERE)
def test_each_threat_has_tests_that_exist(threat: str) -> None:
    assert ELSEWHERE[threat]
    for path, names in ELSEWHERE[threat].items():
        tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
        there = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
        assert set(names) <= there, path


# -- links -----------------------------------------------------------------------------------------


def test_a_whole_link_has_at_most_200_characters(deployment: Deployment) -> None:
    deployment.suspended()
    [link] = [mail.link for mail in deployment.mails() if mail.to == SECURITY]
    assert len(link) <= 200


def test_a_link_is_good_for_one_request_of_one_run(deployment: Deployment) -> None:
    first, other = deployment.suspended(), deployment.suspended()
    token = deployment.token()
    assert deployment.run_of(token) == other
    assert deployment.answer(token, APPROVE, headers=CURL).status == 200
    deployment.drain()
    assert deployment.read(other)["status"] == "completed"
    assert deployment.read(first)["status"] == "suspended"


def test_after_reassignment_only_the_new_approvers_link_decides(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    old = deployment.token()
    answer = deployment.click(old, "reassign", to=DEPUTY, reason="On holiday.")
    assert answer.status == 200, answer.body
    deployment.drain()
    before = deployment.state()
    assert deployment.page(old).status == 404
    deployment.page(old, headers=CURL).refused(404)
    for decision in ("approve", "reject", "withdraw", "reassign"):
        form = {"decision": decision, "to": "eve@example.com"}
        deployment.answer(old, form, headers=CURL).refused(404)
    assert deployment.state() == before
    new = deployment.token(DEPUTY)
    assert f"Deciding as {DEPUTY}." in deployment.page(new).body
    assert deployment.click(new).status == 303
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"
    [said] = [each for each in deployment.timeline(run_id) if each.get("verdict")]
    assert said["approver"] == DEPUTY


# -- the approver ----------------------------------------------------------------------------------


def test_a_form_or_body_cannot_set_the_approver(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    token, before = deployment.token(), deployment.state()
    for name in ("decided_by", "approver", "via", "authentication", "groups"):
        forged = deployment.answer(token, {**APPROVE, name: "ceo@example.com"}, headers=CURL)
        assert forged.faults() == {name}
    for name in ("decided_by", "via", "authentication"):
        assert deployment.decide(run_id, **{name: "ceo@example.com"}).faults() == {name}
    assert deployment.state() == before


def test_the_requester_cannot_approve_by_any_route(deployment: Deployment) -> None:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    body = {"agent": "hr", "input": "Onboard Ada Lovelace (ada@example.com) with security level "
            "confidential.", "requester": SECURITY.upper()}  # fmt: skip
    run_id = deployment.post_run(body).json()["run_id"]
    deployment.drain()
    assert [mail for mail in deployment.mails() if mail.to == SECURITY] == []
    request_id = deployment.request_id(run_id)
    own = deployment.capabilities().token(run_id, request_id, SECURITY, LATER, "f" * 64)
    before = deployment.state()
    page = deployment.page(own)
    assert "No decision needed from you" in page.body
    assert not {"decision", "arguments"} & set(Browser(page.body).posted)
    deployment.answer(own, APPROVE, headers=CURL).refused(403)
    deployment.decide(run_id, approver=SECURITY).refused(403)
    assert deployment.state() == before


@tool(approval=Approval([SECURITY]))
def open_door() -> str:
    """Open the door."""
    return "open"


def test_who_sent_a_message_cannot_approve_by_any_route(
    deployment: Deployment, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, model, {"porter": open_door})
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    run_id = deployment.suspended("porter", "Open the door.")
    deployment.click(deployment.token())
    deployment.drain()
    said = {"content": "Once more.", "sender": SECURITY}
    sent = deployment.http("message-run", params={"run_id": run_id}, body=json.dumps(said))
    assert sent.status == 202
    deployment.drain()
    [waiting] = deployment.read(run_id)["waiting"]
    token = deployment.capabilities().token(
        run_id, waiting["request_id"], SECURITY, LATER, waiting["arguments_hash"]
    )
    before = deployment.state()
    page = deployment.page(token)
    assert "No decision needed from you" in page.body
    assert f"with messages of {SECURITY}" in page.body
    assert not {"decision", "arguments"} & set(Browser(page.body).posted)
    deployment.answer(token, APPROVE, headers=CURL).refused(403)
    deployment.decide(run_id, approver=SECURITY).refused(403)
    assert deployment.state() == before
    undelivered = deployment.read(run_id)["undelivered"]
    assert "0 may approve and 1 must" in undelivered[0]["failure"]


# -- leaks -----------------------------------------------------------------------------------------


def test_tokens_and_keys_are_in_no_log(deployment: Deployment) -> None:
    deployment.suspended()
    token, [key] = deployment.token(), deployment.keys
    page = deployment.page(token)
    nonce = page.form_value("nonce")
    deployment.answer(token, {**APPROVE, "nonce": "no"})
    deployment.answer(f"{token}x", APPROVE)
    table, deployment.physical["Table"] = deployment.physical["Table"], "gone"
    for answer in (
        deployment.page(token, headers=CURL),
        deployment.answer(token, {**APPROVE, "nonce": nonce}, headers=CURL),
    ):
        assert answer.status >= 500
        assert token not in answer.body
    deployment.physical["Table"] = table
    assert deployment.click(token).status == 303
    deployment.drain()
    log = deployment.log.getvalue()
    assert "ResourceNotFoundException" in log, "what went wrong is told"
    assert not [each for each in (token, token.partition(".")[2], nonce, key) if each in log]
    assert not [each for each in (token, nonce, key) if each in str(deployment.items())]


def test_the_page_and_its_links_leak_no_address(deployment: Deployment) -> None:
    deployment.suspended()
    token = deployment.token()
    answers = [deployment.page(token), deployment.page(f"{token}x"), deployment.click(token)]
    for answer in answers:
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "://" not in answer.body
        assert token not in answer.body


# -- permissions of the function -------------------------------------------------------------------


def test_the_approvals_function_may_only_decide() -> None:
    [policy] = functions()["ApprovalsApiFunction"]["Policies"]
    allowed = {
        (action, str(resource))
        for each in policy["Statement"]
        for action in _list(each["Action"])
        for resource in _list(each["Resource"])
    }
    assert not [each for each in allowed if "*" in each[0] or each[1] == "*"]
    assert {action for action, _ in allowed} == {
        *("dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"),
        *("s3:GetObject", "s3:ListBucket", "s3:PutObject"),
        *("sqs:SendMessage", "secretsmanager:GetSecretValue"),
    }
    assert not [each for each in allowed if "ModelSecret" in each[1] or "AdvanceQueue" in each[1]]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


# -- tenants ---------------------------------------------------------------------------------------


@tool(approval=Approval(["ann@example.com"]))
def pay(amount: int) -> str:
    return f"paid {amount}"


def test_data_of_one_tenant_is_not_found_for_another() -> None:
    store, inbox = InMemoryStore(), InMemoryInbox()
    registry = Registry([Agent("clerk", "Pay.", tools=[pay])])
    ours, theirs = (
        Services.of(store=store, queue=LocalWorkQueue(), registry=lambda: registry, tenant=each)
        for each in ("ours", "theirs")
    )
    run_id = ours.runs.start("clerk", "pay", key="one").run_id
    model = ScriptedModel({"clerk": [call("pay", amount=7)]})
    Runner(store=store, model=model, registry=registry, queue=LocalWorkQueue()).advance(run_id)
    loaded = ours.runs.load(run_id)
    [(_, asked)] = loaded.continuation.calls()
    assert asked.approval
    request_id = asked.approval.request_id
    inbox.put("ours", "ann@example.com", InboxEntry(run_id, request_id), until=LATER)

    said = Decide(verdict=Verdict.APPROVE, approver="ann@example.com", via="session")
    for tried in (
        lambda: theirs.runs.load(run_id),
        lambda: theirs.decisions.decide(run_id, request_id, said),
        lambda: theirs.control.cancel(run_id),
        lambda: theirs.control.redrive(run_id),
    ):
        with pytest.raises(NotFound, match="there is no run"):
            tried()
    assert ours.runs.load(run_id) == loaded
    assert theirs.runs.page().heads == ()
    assert [each.run_id for each in ours.runs.page().heads] == [run_id]
    assert inbox.list("theirs", "ann@example.com", 9) == []
    # The same key is another run of another tenant.
    assert theirs.runs.start("clerk", "pay", key="one").run_id != run_id
