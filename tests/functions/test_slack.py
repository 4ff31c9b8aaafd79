"""Slack, from the notification to the decision, and requests that are refused."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

import agents
from agent_continuations.adapters.channels.slack.client import METADATA
from tests.local.slack_server import OTHER_TEAM, Fault, Message, Sent, SlackServer
from tests.support.deployment import SECURITY, Deployment
from tests.support.hr_agent import hr_agent
from tests.support.http_answers import Answer

HEAD = "U0HEAD"


@pytest.fixture
def slack(deployment: Deployment) -> Iterator[SlackServer]:
    """A workspace with the app of the deployment and its approver as a member."""
    with SlackServer() as server:
        server.join(HEAD, SECURITY)
        deployment.parameters["SlackApiUrl"] = server.url
        deployment.parameters["Recipients"] = json.dumps({SECURITY: [f"slack:{SECURITY}"]})
        secret = {"bot_token": server.token, "signing_secret": server.signing_secret}
        deployment.keep_secret("SlackSecret", json.dumps(secret))
        yield server
        assert server.refusals == []
        log = deployment.log.getvalue()
        assert server.token not in log
        assert server.signing_secret not in log
        for link in server.links:
            assert link not in log
            assert link.rpartition("/approvals/")[2] not in log


def posted(deployment: Deployment, sent: Sent) -> Answer:
    return deployment.http("slack_interaction", body=sent.body, headers=dict(sent.headers))


def asked(deployment: Deployment, slack: SlackServer) -> tuple[str, Message]:
    """A waiting run, and the message that requests its approval."""
    run_id = deployment.suspended()
    return run_id, slack.messages[-1]


def whispers(slack: SlackServer) -> list[str]:
    return [each.text for each in slack.messages if each.only_for]


def nothing_is_decided(deployment: Deployment, run_id: str) -> bool:
    waits = deployment.read(run_id)["waiting"]
    decided = [each for each in deployment.timeline(run_id) if each["kind"] == "decision"]
    return len(waits) == 1 and not decided and not deployment.messages("ResumeQueue")


# -- the notification ------------------------------------------------------------------------------


def test_an_approver_is_notified_in_slack_and_not_by_mail(
    deployment: Deployment, slack: SlackServer
) -> None:
    run_id, message = asked(deployment, slack)
    assert deployment.mails() == []
    assert message.channel == "D0HEAD"
    assert "authorize" in message.text
    assert "confidential" in message.words()
    assert message.metadata
    assert message.metadata["event_type"] == METADATA
    assert message.metadata["event_payload"]["run_id"] == run_id
    assert {each["action_id"] for each in message.buttons()} == {"approve", "reject", "open"}


def test_the_link_is_personal_and_decides(deployment: Deployment, slack: SlackServer) -> None:
    run_id, message = asked(deployment, slack)
    token = message.button("open")["url"].rpartition("/")[2]
    assert "This will run" in deployment.page(token).body
    assert deployment.click(token).status == 303
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"


def test_a_group_in_a_channel_is_asked_to_sign_in(
    deployment: Deployment, slack: SlackServer
) -> None:
    slack.channels.add("C0SEC")
    deployment.parameters["PublicUrl"] = "https://agents.example.com"
    deployment.parameters["Recipients"] = json.dumps({SECURITY: ["slack:C0SEC"]})
    run_id, message = asked(deployment, slack)
    [button] = message.buttons()
    request = deployment.request_id(run_id)
    assert button["url"] == f"https://agents.example.com/approvals/{run_id}/{request}"
    assert "confidential" not in message.words()


# -- the decision ----------------------------------------------------------------------------------


def test_a_click_approves(deployment: Deployment, slack: SlackServer) -> None:
    run_id, message = asked(deployment, slack)
    answer = posted(deployment, slack.click(message, "approve", HEAD))
    assert (answer.status, answer.body) == (200, "")
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"
    [decision] = [each for each in deployment.timeline(run_id) if each["kind"] == "decision"]
    assert (decision["verdict"], decision["approver"], decision["via"]) == (
        "approve",
        SECURITY,
        "slack",
    )
    assert decision["decided_by"] == SECURITY
    assert f"Approved by {SECURITY}" in message.words()
    assert message.buttons() == []


def test_a_rejection_requests_a_reason_and_records_it(
    deployment: Deployment, slack: SlackServer
) -> None:
    run_id, message = asked(deployment, slack)
    assert posted(deployment, slack.click(message, "reject", HEAD)).status == 200
    assert nothing_is_decided(deployment, run_id)
    answer = posted(deployment, slack.submit(HEAD, " Too <early>. "))
    assert (answer.status, answer.body) == (200, "")
    deployment.drain()
    [decision] = [each for each in deployment.timeline(run_id) if each["kind"] == "decision"]
    assert (decision["verdict"], decision["reason"]) == ("reject", "Too <early>.")
    assert f"Rejected by {SECURITY}" in message.words()
    assert "Too &lt;early&gt;." in message.words()


def test_a_rejection_needs_no_reason(deployment: Deployment, slack: SlackServer) -> None:
    run_id, message = asked(deployment, slack)
    posted(deployment, slack.click(message, "reject", HEAD))
    assert posted(deployment, slack.submit(HEAD, None)).status == 200
    [decision] = [each for each in deployment.timeline(run_id) if each["kind"] == "decision"]
    assert (decision["verdict"], decision["reason"]) == ("reject", None)


def test_a_double_click_is_one_decision(deployment: Deployment, slack: SlackServer) -> None:
    _, message = asked(deployment, slack)
    sent = [slack.click(message, "approve", HEAD) for _ in range(3)]
    assert [posted(deployment, each).status for each in sent] == [200] * 3
    assert deployment.drain().count("ResumeFunction") == 1
    assert whispers(slack) == []


def test_a_second_approver_sees_the_first_decision(
    deployment: Deployment, slack: SlackServer
) -> None:
    run_id, message = asked(deployment, slack)
    late = slack.click(message, "approve", HEAD)
    body = {"decision": "reject", "reason": "No.", "approver": SECURITY}
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    assert deployment.decide(run_id, **body).status == 200
    assert posted(deployment, late).status == 200
    assert f"Rejected by {SECURITY}" in message.words()


def test_a_click_after_the_run_has_ended_shows_that(
    deployment: Deployment, slack: SlackServer
) -> None:
    run_id, message = asked(deployment, slack)
    deployment.http("cancel-run", params={"run_id": run_id})
    assert posted(deployment, slack.click(message, "approve", HEAD)).status == 200
    assert whispers(slack) == ["the run is cancelled"]


def test_a_request_that_changed_since_it_was_shown_is_not_decided(
    deployment: Deployment, slack: SlackServer
) -> None:
    run_id, message = asked(deployment, slack)
    for action in ("approve", "reject"):
        button = message.button(action)
        shown = json.loads(button["value"])["shown_hash"]
        button["value"] = button["value"].replace(shown, "0" * 64)
        assert posted(deployment, slack.click(message, action, HEAD)).status == 200
    told = posted(deployment, slack.submit(HEAD, "No.")).json()["errors"]["reason"]
    assert whispers(slack) == [told]
    assert told == "the arguments have changed since you saw them: review them again"
    assert nothing_is_decided(deployment, run_id)


def test_opening_a_link_decides_nothing(deployment: Deployment, slack: SlackServer) -> None:
    run_id, message = asked(deployment, slack)
    assert posted(deployment, slack.click(message, "open", HEAD)).status == 200
    assert nothing_is_decided(deployment, run_id)


def test_a_click_can_be_repeated_after_a_slack_failure(
    deployment: Deployment, slack: SlackServer
) -> None:
    run_id, message = asked(deployment, slack)
    slack.fault = Fault("ratelimited", status=429, retry_after="1")
    posted(deployment, slack.click(message, "approve", HEAD)).refused(503)
    slack.fault = None
    assert nothing_is_decided(deployment, run_id)
    assert posted(deployment, slack.click(message, "approve", HEAD)).status == 200


def test_each_of_several_approvers_sees_the_state_of_the_request(
    deployment: Deployment, slack: SlackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = "bob@example.com"
    slack.join("U0BOB", bob)
    routes = {each: [f"slack:{each}"] for each in (SECURITY, bob)}
    deployment.parameters["Recipients"] = json.dumps(routes)
    policy = hr_agent(approvers=[SECURITY, bob], needed="all")
    monkeypatch.setattr(agents, "AGENTS", [policy])
    run_id = deployment.suspended()
    mine, his = slack.messages
    posted(deployment, slack.click(mine, "approve", HEAD))
    assert "Waiting for the other approvers." in mine.words()
    deployment.drain()
    assert deployment.read(run_id)["status"] == "suspended"
    posted(deployment, slack.click(his, "approve", "U0BOB"))
    assert "Waiting for the other approvers." not in his.words()
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"


def test_a_high_risk_request_is_not_decided_in_slack(
    deployment: Deployment, slack: SlackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "AGENTS", [hr_agent(risk="high")])
    run_id, message = asked(deployment, slack)
    [button] = message.buttons()
    assert button["action_id"] == "open"
    # Nor with a button from elsewhere.
    [waits] = deployment.read(run_id)["waiting"]
    value = {
        "kind": "approval",
        "run_id": run_id,
        "request_id": waits["request_id"],
        "shown_hash": waits["arguments_hash"],
    }
    button |= {"action_id": "approve", "value": json.dumps(value)}
    posted(deployment, slack.click(message, "approve", HEAD))
    assert whispers(slack) == ["high risk: sign in to decide"]
    assert nothing_is_decided(deployment, run_id)


# -- calls in doubt --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action, words", [("approve", "it happened"), ("reject", "it did not happen")]
)
def test_a_doubt_is_answered_with_what_was_found(
    deployment: Deployment, slack: SlackServer, action: str, words: str
) -> None:
    run_id, message = asked(deployment, slack)
    [waits] = deployment.read(run_id)["waiting"]
    posted(deployment, slack.click(message, "approve", HEAD))
    deployment.messages("ResumeQueue")
    deployment.lose(run_id, waits["path"])
    deployment.hint("ResumeQueue", run_id=run_id)
    deployment.drain()
    doubt = slack.messages[-1]
    assert doubt.button("approve")["text"]["text"] == "It happened"
    assert doubt.button("reject")["text"]["text"] == "It did not happen"
    posted(deployment, slack.click(doubt, action, HEAD))
    assert posted(deployment, slack.submit(HEAD, "I looked.")).status == 200
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"
    assert f"Answered: {words} by {SECURITY}" in doubt.words()


# -- refused requests ------------------------------------------------------------------------------


STRANGERS: dict[str, dict[str, Any]] = {
    "another member": {"email": "eve@example.com"},
    "an address that only begins alike": {"email": f"{SECURITY}.evil.example"},
    "letters that only look alike": {"email": SECURITY.replace("s", "\u017f", 1)},
    "no address": {"email": None},
    "an address that is not confirmed": {"email": SECURITY, "is_email_confirmed": False},
    "a bot": {"email": SECURITY, "is_bot": True},
    "somebody who has left": {"email": SECURITY, "deleted": True},
    "a guest": {"email": SECURITY, "is_restricted": True},
    "a guest of one channel": {"email": SECURITY, "is_ultra_restricted": True},
    "a stranger by Slack Connect": {"email": SECURITY, "is_stranger": True},
    "a member of another workspace": {"email": SECURITY, "team_id": OTHER_TEAM},
}


@pytest.mark.parametrize("who", STRANGERS)
def test_a_slack_member_who_is_not_an_approver_decides_nothing(
    deployment: Deployment, slack: SlackServer, who: str
) -> None:
    run_id, message = asked(deployment, slack)
    slack.join("U0EVE", **STRANGERS[who])
    for action in ("approve", "reject"):
        assert posted(deployment, slack.click(message, action, "U0EVE")).status == 200
    assert len(whispers(slack)) == 2
    assert slack.views == []
    # And not with a dialog that somebody else has opened.
    posted(deployment, slack.click(message, "reject", HEAD))
    told = posted(deployment, slack.submit("U0EVE", "No."))
    assert told.status == 200
    assert told.json()["response_action"] == "errors"
    assert nothing_is_decided(deployment, run_id)


def test_an_address_ignores_case_in_slack(deployment: Deployment, slack: SlackServer) -> None:
    slack.join(HEAD, SECURITY.upper())
    run_id, message = asked(deployment, slack)
    posted(deployment, slack.click(message, "approve", HEAD))
    [decision] = [each for each in deployment.timeline(run_id) if each["kind"] == "decision"]
    assert decision["approver"] == SECURITY


@pytest.mark.parametrize("age", [301, 3600, -301])
def test_an_old_slack_request_is_refused(
    deployment: Deployment, slack: SlackServer, age: float
) -> None:
    run_id, message = asked(deployment, slack)
    payload = json.loads(slack_payload(slack.click(message, "approve", HEAD)))
    posted(deployment, slack.sent(payload, age=age)).refused(403)
    assert nothing_is_decided(deployment, run_id)


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Signature": ""},
        {"X-Slack-Signature": "v0=é"},
        {"X-Slack-Signature": None},
        {"X-Slack-Request-Timestamp": None},
        {"X-Slack-Request-Timestamp": "soon"},
        {"X-Slack-Request-Timestamp": ""},
        {"X-Slack-Request-Timestamp": "1e309"},
        {"X-Slack-Request-Timestamp": "9" * 400},
        {"X-Slack-Request-Timestamp": "-" + "9" * 400},
        {"X-Slack-Request-Timestamp": "9" * 5000},
    ],
)
def test_a_forged_slack_request_is_refused(
    deployment: Deployment, slack: SlackServer, forged: dict[str, str | None]
) -> None:
    run_id, message = asked(deployment, slack)
    sent = slack.click(message, "approve", HEAD)
    headers: dict[str, str | None] = {**sent.headers, **forged}
    deployment.http("slack_interaction", body=sent.body, headers=headers).refused(403)
    assert nothing_is_decided(deployment, run_id)


def test_a_slack_request_with_another_secret_or_body_is_refused(
    deployment: Deployment, slack: SlackServer
) -> None:
    run_id, message = asked(deployment, slack)
    sent = slack.click(message, "approve", HEAD)
    payload = json.loads(slack_payload(sent))
    posted(deployment, slack.sent(payload, secret="another")).refused(403)
    posted(deployment, Sent(f"{sent.body}&x=1", sent.headers)).refused(403)
    assert nothing_is_decided(deployment, run_id)


@pytest.mark.parametrize(
    "payload", ["", "{", "[]", '{"type": "shortcut"}', '{"type": "block_actions"}', "null"]
)
def test_a_foreign_interaction_is_refused(
    deployment: Deployment, slack: SlackServer, payload: str
) -> None:
    posted(deployment, slack.sent(payload)).refused(422)


@pytest.mark.parametrize("value", ["", "{}", "approve", '{"kind": "approval"}'])
def test_a_button_of_another_app_is_reported(
    deployment: Deployment, slack: SlackServer, value: str
) -> None:
    _, message = asked(deployment, slack)
    message.button("approve")["value"] = value
    assert posted(deployment, slack.click(message, "approve", HEAD)).status == 200
    assert whispers(slack) == ["unknown button"]


def test_without_a_secret_the_slack_route_is_not_found(
    deployment: Deployment, slack: SlackServer
) -> None:
    _, message = asked(deployment, slack)
    sent = slack.click(message, "approve", HEAD)
    deployment.keep_secret("SlackSecret", '{"bot_token": "", "signing_secret": ""}')
    posted(deployment, sent).refused(404)


# -- routes --------------------------------------------------------------------------


def test_invalid_recipients_stop_the_function_and_lose_no_notice(
    deployment: Deployment,
) -> None:
    run_id = deployment.started()
    for work in deployment.messages("AdvanceQueue"):
        deployment.invoke("AdvanceFunction", work)
    assert deployment.read(run_id)["status"] == "suspended"
    [work] = deployment.messages("NotifyQueue")
    deployment.parameters["Recipients"] = "{"
    failed = work["Records"][0]["messageId"]
    for _ in range(2):
        answer = deployment.invoke("NotifyFunction", work)
        assert answer == {"batchItemFailures": [{"itemIdentifier": failed}]}
    assert "the recipients cannot be read" in deployment.log.getvalue()
    assert deployment.mails() == []
    deployment.parameters["Recipients"] = "{}"
    # The message has failed too often, and is among the dead letters: the sweeper sends another.
    deployment.make_due(lambda item: item["sk"]["S"].startswith("N#"))
    assert deployment.sweep() == 1
    deployment.drain()
    assert [mail.to for mail in deployment.mails()] == [SECURITY]
    assert deployment.read(run_id)["undelivered"] == []


def test_a_notice_waits_until_slack_is_configured(deployment: Deployment) -> None:
    deployment.parameters["Recipients"] = json.dumps({SECURITY: [f"slack:{SECURITY}"]})
    deployment.suspended()
    assert "give it SlackBotToken" in deployment.log.getvalue()
    [notice] = [each for each in deployment.items() if each["sk"]["S"].startswith("N#")]
    assert "due" in notice


def test_a_mail_to_another_address_links_to_the_approvers_page(
    deployment: Deployment,
) -> None:
    deployment.parameters["Recipients"] = json.dumps({SECURITY: ["email:desk@example.com"]})
    run_id = deployment.suspended()
    [mail] = deployment.mails()
    assert mail.to == "desk@example.com"
    assert deployment.click(mail.token).status == 303
    [decision] = [each for each in deployment.timeline(run_id) if each["kind"] == "decision"]
    assert decision["approver"] == SECURITY


def test_a_webhook_on_a_private_address_is_not_retried(deployment: Deployment) -> None:
    deployment.parameters["WebhookUrl"] = "https://127.0.0.1/hook"
    deployment.suspended()
    assert "not public" in deployment.log.getvalue()
    assert [mail.to for mail in deployment.mails()] == [SECURITY]


def slack_payload(sent: Sent) -> str:
    return parse_qs(sent.body)["payload"][0]
