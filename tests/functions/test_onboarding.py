"""The whole way of one run through every function, each with its own environment."""

import re

from tests.local.model_server import ModelServer
from tests.support.deployment import ONBOARD_ADA, SECURITY, Deployment


def test_a_colleague_is_onboarded_with_one_click(
    deployment: Deployment, model: ModelServer
) -> None:
    accepted = deployment.post_run()
    run_id = accepted.json()["run_id"]
    assert deployment.read(run_id)["status"] == "ready"

    [work] = deployment.messages("AdvanceQueue")
    assert deployment.invoke("AdvanceFunction", work) == {"batchItemFailures": []}
    waiting = deployment.read(run_id)
    assert waiting["status"] == "suspended"
    assert [each["tool"] for each in waiting["waiting"]] == ["authorize"]
    asked = len(model.requests)

    [outbox] = deployment.messages("NotifyQueue")
    assert deployment.mails() == []
    assert deployment.invoke("NotifyFunction", outbox) == {"batchItemFailures": []}
    [mail] = deployment.mails()
    assert mail.to == mail.message["To"] == SECURITY
    assert mail.message["Subject"] == "Approval needed: authorize"
    assert mail.link.startswith("https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/v1/")
    assert len(mail.link) <= 200
    for part in (mail.part("plain"), mail.part("html")):
        assert mail.link in part
        assert "confidential" in part
        assert "Ada Lovelace" in part

    page = deployment.page(mail.token)
    assert page.status == 200
    assert ONBOARD_ADA in page.body
    sent = deployment.click(mail.token)
    assert (sent.status, sent.headers["location"]) == (303, mail.token)
    assert "<h2>Approved</h2>" in deployment.page(mail.token).body

    [resumed] = deployment.messages("ResumeQueue")
    assert deployment.invoke("ResumeFunction", resumed) == {"batchItemFailures": []}
    done = deployment.read(run_id)
    assert done["status"] == "completed"
    assert re.search(r"Account acc-\w+ is authorized for confidential\.", done["result"])
    assert done["waiting"] == []
    assert len(model.requests) == asked + 2  # the two agents that heard the outcome
    assert deployment.drain() == []


def test_the_timeline_is_in_order_with_people_and_times(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    deployment.click(deployment.token(), "reject", reason="Not before Monday.")
    deployment.drain()
    told = deployment.timeline(run_id)
    assert [each["at"] for each in told] == sorted(each["at"] for each in told)
    kinds = [(each["kind"], each["tool"]) for each in told]
    assert kinds[0] == ("started", None)
    assert kinds[-1] == ("ended", None)
    assert kinds.index(("tool", "create_account")) < kinds.index(("approval", "authorize"))
    assert kinds.index(("approval", "authorize")) < kinds.index(("decision", "authorize"))
    [decision] = [each for each in told if each["kind"] == "decision"]
    assert decision["verdict"] == "reject"
    assert decision["approver"] == decision["decided_by"] == SECURITY
    assert decision["via"] == "link"
    assert decision["reason"] == "Not before Monday."
    assert decision["agent"] == "account_agent"
    assert "Not before Monday." in str(deployment.read(run_id)["result"])


def test_the_continuation_contains_the_tree_down_to_the_open_call(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    answer = deployment.http("read-continuation", params={"run_id": run_id})
    assert answer.status == 200
    root = answer.json()
    assert (root["agent"], root["input"]) == ("hr", ONBOARD_ADA)
    welcome, account = root["turns"][0]["calls"]
    assert welcome["outcome"]["kind"] == "ok"
    child = account["child"]
    assert child["agent"] == "account_agent"
    [open_call] = child["turns"][1]["calls"]
    assert open_call["plan"]["tool"] == "authorize"
    assert open_call["approval"]["stages"] == [{"approvers": [SECURITY], "needed": 1}]
    assert open_call["outcome"] is None


def test_a_waiting_request_has_all_that_a_decision_needs(deployment: Deployment) -> None:
    run_id = deployment.suspended(
        "treasury", "Transfer 250 to acme, 40 to ops and close the account old-vendor."
    )
    shown = deployment.read(run_id)
    assert shown["agent"] == "treasury"
    assert shown["turns"] > 3
    assert shown["usage"]["input_tokens"] > 0
    transfer, closing = shown["waiting"]
    assert set(transfer) == {
        "request_id",
        "kind",
        "path",
        "agents",
        "tool",
        "arguments",
        "arguments_hash",
        "approvers",
        "expires_at",
        "message",
        "stages",
        "risk",
        "preview",
        "answer_schema",
        "event",
        "correlation",
        "run_id",
    }
    assert (transfer["kind"], transfer["tool"]) == ("approval", "transfer")
    assert transfer["agents"] == ["treasury", "clerk", "payment_worker"]
    assert transfer["arguments"] == {"amount": 250, "to": "acme"}
    assert transfer["approvers"] == ["cfo@example.com"]
    assert len(transfer["arguments_hash"]) == 64
    assert transfer["expires_at"].endswith("Z")
    assert closing["tool"] == "delete_account"
    assert closing["approvers"] == ["cfo@example.com", "audit@example.com"]
    assert transfer["path"] < closing["path"]
