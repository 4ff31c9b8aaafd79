"""Runs that wait for people, and what goes on meanwhile: nothing."""

from datetime import UTC, datetime
from typing import Any

from tests.e2e.conftest import PROBLEM, WAIT_SECONDS, Client, System, alive, wait_for

ONBOARDING = "Onboard Ada Lovelace (ada@example.com), confidential"
MONEY = "Pay 50 to ops, 2500 to reserve, and close old-vendor"
SECURITY = "security@example.com"
CFO = "cfo@example.com"
AUDIT = "audit@example.com"


def test_a_run_waits_two_agents_deep_while_no_process_lives_and_goes_on_by_a_mailed_link(
    client: Client, system: System
) -> None:
    run_id = client.start("hr", ONBOARDING)
    (asked,) = client.suspended(run_id)["waiting"]
    assert (asked["kind"], asked["agents"]) == ("approval", ["hr", "account_agent"])
    assert (asked["tool"], asked["arguments"]["level"]) == ("authorize", "confidential")
    assert asked["approvers"] == [SECURITY]

    mail = client.mail(asked, SECURITY)
    assert mail["subject"] == "Approval needed: authorize"
    assert "hr > account_agent" in mail["text"] and ONBOARDING in mail["text"]
    (link,) = mail["links"]

    # All that could hold something of the run in memory is ended, the queues included, ...
    assert system.workers(), "no function's process is found where there must be some"
    system.quiet()
    ended = system.restart()
    assert len(ended) >= 4  # the emulator, and who started, advanced and told of this run
    # ... and what comes back is no one who could know: neither a process nor a message.
    assert system.workers() == {}
    assert system.queued() == dict.fromkeys(system.queued(), 0)

    clicked = datetime.now(UTC)
    answer = client.post(link, decision="approve")
    assert answer.status == 200, answer.text
    assert answer.json["decision"] == "approve"
    assert (answer.json["approver"], answer.json["via"]) == (SECURITY, "link")

    run = client.ended(run_id)
    assert run["status"] == "completed", run
    assert "Welcome mail to Ada Lovelace <ada@example.com>" in run["result"]
    assert f"Account {asked['arguments']['account_id']} is authorized for" in run["result"]
    assert run["waiting"] == []
    for tool in ("send_welcome_mail", "create_account", "authorize"):
        assert len(system.effects(run_id, tool)) == 1, tool

    (decided,) = client.timeline(run_id, "decision")
    assert (decided["verdict"], decided["approver"]) == ("approve", SECURITY)
    assert (decided["decided_by"], decided["via"]) == (SECURITY, "link")
    assert clicked <= datetime.fromisoformat(decided["at"]) <= datetime.now(UTC)
    (approval,) = client.timeline(run_id, "approval")
    assert datetime.fromisoformat(approval["at"]) < clicked
    assert approval["request_id"] == decided["request_id"] == asked["request_id"]


def test_two_requests_wait_side_by_side_and_are_decided_one_at_a_time(
    client: Client, system: System
) -> None:
    run_id = client.start("treasury", MONEY)
    transfer, closing = client.suspended(run_id, waiting=2)["waiting"]
    assert transfer["agents"] == ["treasury", "clerk", "payment_worker"]
    assert (transfer["tool"], transfer["arguments"]) == (
        "transfer",
        {"amount": 2500, "to": "reserve"},
    )
    assert closing["agents"] == ["treasury", "clerk", "closing_worker"]
    assert (closing["tool"], closing["arguments"]) == ("delete_account", {"account": "old-vendor"})
    assert closing["approvers"] == [CFO, AUDIT]
    # The small transfer needs nobody, and nobody who waits holds it up.
    assert _amounts(system, run_id) == [50]
    assert system.effects(run_id, "delete_account") == []

    system.quiet()
    system.kill_workers()
    rejected = client.post(
        client.link(transfer, CFO), decision="reject", reason="not before the audit"
    )
    assert rejected.status == 200, rejected.text
    (left,) = client.suspended(run_id, waiting=1)["waiting"]
    assert left == closing

    # Both approvers of the other one have a link of their own; either will do.
    assert client.link(closing, CFO) != client.link(closing, AUDIT)
    system.quiet()
    system.kill_workers()
    approved = client.post(client.link(closing, AUDIT), decision="approve")
    assert approved.status == 200, approved.text

    run = client.ended(run_id)
    assert run["status"] == "completed", run
    assert "Transferred 50 euros to ops" in run["result"]
    assert "It was rejected by a person: not before the audit." in run["result"]
    assert "The account old-vendor is deleted." in run["result"]
    assert _amounts(system, run_id) == [50]
    assert len(system.effects(run_id, "delete_account")) == 1
    told = [(each["verdict"], each["approver"]) for each in client.timeline(run_id, "decision")]
    assert told == [("reject", CFO), ("approve", AUDIT)]


def test_an_approver_can_change_the_arguments_to_others_that_fit(
    client: Client, system: System
) -> None:
    run_id = client.start("treasury", "Pay 2500 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]

    refusals: list[tuple[dict[str, Any], str]] = [
        ({"amount": "lots", "to": "reserve"}, "arguments.amount"),
        ({"amount": 2000}, "arguments.to"),
        ({"amount": 2000, "to": "reserve", "memo": "?"}, "arguments.memo"),
    ]
    for arguments, field in refusals:
        refused = client.decide(run_id, asked, "approve", arguments=arguments)
        assert refused.status == 422, refused.text
        assert refused.headers["Content-Type"] == PROBLEM
        assert [error["field"] for error in refused.json["errors"]] == [field]
    (still,) = client.suspended(run_id)["waiting"]
    assert still == asked
    assert _amounts(system, run_id) == []

    edited = {"amount": 2000, "to": "reserve"}
    taken = client.decide(run_id, asked, "approve", arguments=edited)
    assert taken.status == 200, taken.text
    assert taken.json["arguments"] == edited
    # One approver was asked, so a caller who may act for approvers need not say for whom.
    assert (taken.json["approver"], taken.json["via"]) == (CFO, "api")

    run = client.ended(run_id)
    assert "Transferred 2000 euros to reserve" in run["result"]
    assert _amounts(system, run_id) == [2000]
    (tool,) = (each for each in client.timeline(run_id, "tool") if each["tool"] == "transfer")
    assert tool["arguments"] == edited
    (decided,) = client.timeline(run_id, "decision")
    assert decided["approver"] == CFO
    assert decided["decided_by"] not in (CFO, None)


def test_a_link_takes_other_arguments_too_and_says_what_is_wrong_with_them(
    client: Client, system: System
) -> None:
    run_id = client.start("treasury", "Pay 900 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]
    link = client.link(asked, CFO)
    for text, field in (
        ("{", "arguments"),
        ("[]", "arguments"),
        ('{"amount": null, "to": "reserve"}', "arguments.amount"),
    ):
        refused = client.post(link, decision="approve", arguments=text)
        assert refused.status == 422, refused.text
        assert [error["field"] for error in refused.json["errors"]] == [field]
    for form, field in (
        ({"decision": "perhaps"}, "decision"),
        ({"decision": "approve", "amount": "1"}, "amount"),
    ):
        refused = client.post(link, **form)
        assert (refused.status, refused.json["errors"][0]["field"]) == (422, field)
    assert client.run(run_id)["waiting"] == [asked]

    taken = client.post(link, decision="approve", arguments='{"amount": 800, "to": "ops"}')
    assert taken.status == 200, taken.text
    assert "Transferred 800 euros to ops" in client.ended(run_id)["result"]
    assert _amounts(system, run_id) == [800]


def test_a_double_click_is_one_decision(client: Client, system: System) -> None:
    run_id = client.start("treasury", "Pay 700 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]
    link = client.link(asked, CFO)
    first, second = (client.post(link, decision="approve") for _ in range(2))
    assert (first.status, second.status) == (200, 200)
    assert first.json == second.json
    client.ended(run_id)
    late = client.post(link, decision="reject", reason="too late")
    assert late.status == 409
    assert late.json["decision"] == first.json
    assert _amounts(system, run_id) == [700]


def test_a_link_says_what_can_be_done_with_it(client: Client) -> None:
    run_id = client.start("treasury", "Pay 600 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]
    link = client.link(asked, CFO)
    client.send("POST", f"/runs/{run_id}/cancel")
    options = client.send("OPTIONS", link)
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")


def test_stopping_everything_stops_a_function_in_the_middle_of_its_work(
    client: Client, system: System
) -> None:
    with system.model.thinking() as asked:
        run_id = client.start("treasury", "Pay 40 to ops")
        assert asked.wait(WAIT_SECONDS)
        workers = set(system.workers())
        system.stack.down()
        try:
            wait_for("the end of the functions", lambda: not workers & alive(), seconds=5)
        finally:
            system.stack.up()
            client.send("POST", f"/runs/{run_id}/cancel")


def _amounts(system: System, run_id: str) -> list[int]:
    """What was transferred."""
    return [each["arguments"]["amount"] for each in system.effects(run_id, "transfer")]
