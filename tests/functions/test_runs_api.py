"""The HTTP contract for programs."""

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from tests.support.deployment import ONBOARD_ADA, SECURITY, Deployment
from tests.support.lambda_invocation import example

HR: dict[str, Any] = {"agent": "hr", "input": ONBOARD_ADA}
PORTAL = example("decide-run")["requestContext"]["identity"]["userArn"]


# -- start ------------------------------------------------------------


def test_a_run_is_accepted_with_its_links(deployment: Deployment) -> None:
    answer = deployment.http("start-run")
    assert answer.status == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    started = answer.json()
    base = f"/runs/{started['run_id']}"
    assert answer.headers["location"] == base
    assert started["status"] == "ready"
    reads = ("continuation", "timeline", "audit")
    parts = (*reads, "decisions", "messages", "cancel", "pause", "resume", "redrive")
    assert started["links"] == {"self": base, **{each: f"{base}/{each}" for each in parts}}
    shown = deployment.read(started["run_id"])
    assert shown["metadata"] == {"ticket": "HR-1815"}
    assert shown["created_at"].endswith("Z")


def test_the_same_key_and_body_return_the_same_run(deployment: Deployment) -> None:
    first = deployment.post_run(HR, key="k1").json()["run_id"]
    assert deployment.post_run(HR, key="k1").json()["run_id"] == first
    assert deployment.post_run(HR, key="k2").json()["run_id"] != first
    assert deployment.post_run(HR).json()["run_id"] != first


ROLE = "arn:aws:sts::123456789012:assumed-role/"
USER = "arn:aws:iam::123456789012:user/"


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (f"{ROLE}portal/a", f"{ROLE}portal/b", True),
        (f"{ROLE}portal/a", f"{ROLE}portal/", True),
        (f"{ROLE}portal/a", f"{ROLE}shop/a", False),
        (f"{ROLE}portal/a", f"{ROLE}porta/l/a", False),
        (f"{ROLE}portal/a", f"{USER}portal", False),
        (f"{USER}ann", f"{USER}ann", True),
        (f"{USER}ann", f"{USER}bob", False),
        (f"{USER}team/ann", f"{USER}team/bob", False),
        (f"{USER}ann", "arn:aws:iam::999999999999:user/ann", False),
    ],
)
def test_each_caller_has_idempotency_keys_of_its_own(
    deployment: Deployment, first: str, second: str, is_same: bool
) -> None:
    for account, kind in (("123456789012", "role"), ("123456789012", "user"), ("9" * 12, "user")):
        deployment.know_caller(f"arn:aws:iam::{account}:{kind}/*", operator=True)
    started = [deployment.post_run(HR, key="k1", caller=each) for each in (first, second)]
    assert [each.status for each in started] == [202, 202]
    one, other = (each.json()["run_id"] for each in started)
    assert (one == other) is is_same
    for name, body in (("message-run", {"content": "hi"}), ("signal-run", {"payload": 1})):
        sent = [
            deployment.http(
                name,
                params={"run_id": one, "name": "x"},
                body=json.dumps(body),
                headers={"Idempotency-Key": "k1"},
                caller=each,
            ).json()
            for each in (first, second)
        ]
        ids = {each.get("message_id") or each["event_id"] for each in sent}
        assert len(ids) == (1 if is_same else 2), name


def test_nobody_blocks_a_caller_by_its_key(deployment: Deployment) -> None:
    deployment.post_run({**HR, "input": "Else."}, key="k1", caller=f"{USER}mallory")
    assert deployment.post_run(HR, key="k1", caller=f"{USER}ann").status == 202


@pytest.mark.parametrize(
    "change", [{"input": "Onboard somebody else."}, {"agent": "treasury"}, {"metadata": {"a": "b"}}]
)
def test_the_same_key_with_another_body_is_a_conflict(
    deployment: Deployment, change: dict[str, Any]
) -> None:
    deployment.post_run(HR, key="k1")
    deployment.post_run({**HR, **change}, key="k1").refused(409)


def test_an_invalid_key_is_named(deployment: Deployment) -> None:
    assert deployment.post_run(HR, key="").faults() == {"Idempotency-Key"}
    assert deployment.post_run(HR, key="k" * 256).faults() == {"Idempotency-Key"}
    assert deployment.post_run(HR, key="k" * 255).status == 202


@pytest.mark.parametrize("agent", ["nobody", "", "account_agent"])
def test_only_agents_that_are_listed_can_be_started(deployment: Deployment, agent: str) -> None:
    problem = deployment.post_run({**HR, "agent": agent}).refused(404)
    assert problem["detail"].endswith(": hr, treasury, procurement, logistics")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"agent": "hr"}, "input"),
        ({"input": "go"}, "agent"),
        ({**HR, "colour": "red"}, "colour"),
        ({**HR, "input": 7}, "input"),
        ({**HR, "input": None}, "input"),
        ({**HR, "agent": ["hr"]}, "agent"),
        ({**HR, "metadata": {"a": 1}}, "metadata.a"),
        ({**HR, "metadata": "text"}, "metadata"),
        ({**HR, "metadata": {str(number): "" for number in range(21)}}, "metadata"),
        pytest.param({**HR, "metadata": {"k": "v" * 500_000}}, "metadata"),
        pytest.param({**HR, "metadata": {"k" * 500_000: "v"}}, "metadata"),
    ],
)
def test_an_invalid_field_is_named(
    deployment: Deployment, body: dict[str, Any], field: str
) -> None:
    assert {name[: len(field)] for name in deployment.post_run(body).faults()} == {field}


@pytest.mark.parametrize(
    "body", ["", "{", "null", "[]", '"text"', '{"agent": "hr", "input": "\\ud800"}', "[" * 5000]
)
def test_invalid_json_is_refused(deployment: Deployment, body: str) -> None:
    deployment.post_run(body).refused(422)
    assert deployment.items() == []


def test_bytes_that_are_not_utf_8_are_refused(deployment: Deployment) -> None:
    event = example("start-run") | {"body": "/////w==", "isBase64Encoded": True}
    answer = deployment.invoke("RunsApiFunction", event)
    assert answer["statusCode"] == 422
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]


def test_an_input_may_have_256_kb_and_no_more(deployment: Deployment) -> None:
    limit = 256 * 1024
    assert deployment.post_run({**HR, "input": "é" * (limit // 2)}).status == 202
    assert deployment.post_run({**HR, "input": "é" * (limit // 2) + "a"}).faults() == {"input"}


def test_a_run_whose_wake_up_message_is_lost_is_still_accepted(deployment: Deployment) -> None:
    deployment.sqs.delete_queue(QueueUrl=deployment.physical["AdvanceQueue"])
    run_id = deployment.started()
    assert deployment.read(run_id)["status"] == "ready"
    assert "wake-up message lost" in deployment.log.getvalue()
    deployment.log.truncate(0)
    [head] = [item for item in deployment.items() if item["sk"]["S"] == "#H"]
    assert "due" in head


# -- list ------------------------------------------------------------


def test_runs_are_listed_newest_first_and_page_by_page(deployment: Deployment) -> None:
    started = [deployment.started(input=f"Onboard number {number}.") for number in range(7)]
    query, pages = {"limit": "3"}, []
    while True:
        page = deployment.http("list-runs", query=query).json()
        pages.append([each["run_id"] for each in page["items"]])
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [run_id for page in pages for run_id in page] == started[::-1]


def test_runs_are_listed_by_status_and_agent(deployment: Deployment) -> None:
    waits = deployment.suspended()
    fresh = deployment.started("treasury", "Transfer 5 to ops.")

    def listed(**query: str) -> list[str]:
        answer = deployment.http("list-runs", query=query)
        return [each["run_id"] for each in answer.json()["items"]]

    assert listed(status="suspended") == [waits]
    assert listed(status="ready") == [fresh]
    assert listed(agent="treasury") == [fresh]
    assert listed(agent="hr", status="ready") == []
    assert listed() == [fresh, waits]
    [item] = deployment.http("list-runs").json()["items"]
    assert (item["run_id"], item["agent"], item["status"]) == (waits, "hr", "suspended")
    assert item["links"]["self"] == f"/runs/{waits}"


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": ""},
        {"limit": "٣"},
        {"status": "asleep"},
        {"status": ""},
        {"cursor": "not base64!"},
        {"cursor": "é"},
        {"cursor": urlsafe_b64encode(b"12").decode()},
        pytest.param(
            {"cursor": urlsafe_b64encode(b"[" * 5000).decode()},
        ),
        pytest.param(
            {"cursor": urlsafe_b64encode(b'"zzz"').decode()},
        ),
        {"colour": "red"},
    ],
)
def test_an_invalid_parameter_is_named(deployment: Deployment, query: dict[str, str]) -> None:
    assert deployment.http("list-runs", query=query).faults() == set(query)


# -- read ------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["read-run", "read-continuation", "read-timeline", "cancel-run", "decide-run"],
)
@pytest.mark.parametrize("run_id", ["unknown", "mzxw6ytboi2dgnjrgezdgnbv", "a" * 3000])
def test_an_unknown_run_is_not_found(deployment: Deployment, name: str, run_id: str) -> None:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    deployment.http(name, params={"run_id": run_id}).refused(404)


def test_an_unknown_route_is_not_found(deployment: Deployment) -> None:
    event = example("read-run") | {"path": "/runs/a/b/c", "resource": "/runs/{proxy+}"}
    answer = deployment.invoke("RunsApiFunction", event)
    assert answer["statusCode"] == 404
    assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
    assert json.loads(answer["body"])["status"] == 404


def test_a_failing_store_is_reported_as_unavailable(deployment: Deployment) -> None:
    deployment.physical["Table"] = "no-such-table"
    refusal = deployment.http("read-run", params={"run_id": "unknown"}).refused(503)
    assert "no-such-table" not in refusal["detail"]


# -- decide ------------------------------------------------------------


@pytest.fixture
def permissive(deployment: Deployment) -> Deployment:
    """Callers may act for approvers, as in a local run."""
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    return deployment


def test_a_caller_approves_on_behalf_and_both_are_recorded(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    request_id = permissive.request_id(run_id)
    answer = permissive.decide(run_id, reason="Known to us.")
    assert answer.status == 200
    told = answer.json()
    assert (told["run_id"], told["request_id"]) == (run_id, request_id)
    assert told["decision"] == "approve"
    assert (told["approver"], told["decided_by"], told["via"]) == (SECURITY, PORTAL, "api")
    assert told["reason"] == "Known to us."
    assert told["decided_at"].endswith("Z")
    assert permissive.drain() == ["ResumeFunction"]
    assert permissive.read(run_id)["status"] == "completed"
    [entry] = [each for each in permissive.timeline(run_id) if each["kind"] == "decision"]
    assert (entry["approver"], entry["decided_by"]) == (SECURITY, PORTAL)


def test_a_rejection_reaches_the_model_with_its_reason(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    assert permissive.decide(run_id, decision="reject", reason="Too early.").status == 200
    permissive.drain()
    done = permissive.read(run_id)
    assert done["status"] == "completed"
    assert "rejected by a person: Too early." in done["result"]
    assert not [each for each in permissive.timeline(run_id) if "is authorized" in each["text"]]


def test_edited_arguments_replace_those_of_the_model(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    [asked] = permissive.read(run_id)["waiting"]
    edited = {**asked["arguments"], "level": "basic"}
    answer = permissive.decide(run_id, arguments=edited)
    assert answer.status == 200
    assert answer.json()["arguments"] == edited
    assert answer.json()["arguments_hash"] != asked["arguments_hash"]
    permissive.drain()
    assert "authorized for basic" in permissive.read(run_id)["result"]


def test_unchanged_arguments_are_not_an_edit(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    [asked] = permissive.read(run_id)["waiting"]
    answer = permissive.decide(run_id, arguments=asked["arguments"])
    assert "arguments" not in answer.json()
    assert answer.json()["arguments_hash"] == asked["arguments_hash"]


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"account_id": "acc-1", "level": "top"}, {"arguments.level"}),
        ({"level": "basic"}, {"arguments.account_id"}),
        ({"account_id": 1, "level": "basic"}, {"arguments.account_id"}),
        ({"account_id": "a", "level": "basic", "x": 1}, {"arguments.x"}),
        ({}, {"arguments.account_id", "arguments.level"}),
    ],
)
def test_invalid_arguments_leave_the_request_open(
    permissive: Deployment, arguments: dict[str, Any], fields: set[str]
) -> None:
    run_id = permissive.suspended()
    before = permissive.state()
    assert permissive.decide(run_id, arguments=arguments).faults() == fields
    assert permissive.state() == before
    assert permissive.decide(run_id).status == 200


def test_a_rejection_takes_no_arguments(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    answer = permissive.decide(run_id, decision="reject", arguments={})
    assert answer.faults() == {"arguments"}


@pytest.mark.parametrize("after_the_end", [False, True])
def test_the_first_decision_stands(permissive: Deployment, after_the_end: bool) -> None:
    run_id = permissive.suspended()
    request_id = permissive.request_id(run_id)
    first = permissive.decide(run_id, request_id=request_id)
    if after_the_end:
        permissive.drain()
        assert permissive.read(run_id)["status"] == "completed"
    again = permissive.decide(run_id, request_id=request_id, reason="A second click.")
    assert (again.status, again.json()) == (200, first.json())
    for other in (
        {"decision": "reject"},
        {"arguments": {"account_id": "acc-1", "level": "basic"}},
    ):
        refusal = permissive.decide(run_id, request_id=request_id, **other).refused(409)
        assert refusal["decision"] == first.json()


def test_an_unknown_request_is_not_found(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    permissive.decide(run_id, request_id="unknown").refused(404)
    permissive.decide(run_id, request_id="unknown", approver=SECURITY).refused(404)


def test_a_request_of_another_run_is_not_found(permissive: Deployment) -> None:
    one, other = permissive.suspended(), permissive.suspended()
    before = permissive.state()
    permissive.decide(one, request_id=permissive.request_id(other)).refused(404)
    assert permissive.state() == before


def test_only_approvers_of_the_request_may_decide(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    before = permissive.state()
    permissive.decide(run_id, approver="requester@example.com").refused(403)
    permissive.decide(run_id, approver=f"{SECURITY}.example.org").refused(403)
    permissive.decide(run_id, approver=SECURITY.replace("security", "\u017fecurity")).refused(403)
    assert permissive.state() == before


def test_a_mail_address_ignores_case(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    assert permissive.decide(run_id, approver=SECURITY.upper()).json()["approver"] == SECURITY


def test_of_several_approvers_one_must_be_named(permissive: Deployment) -> None:
    run_id = permissive.suspended("treasury", "Please close the account old-vendor.")
    assert permissive.decide(run_id).faults() == {"approver"}
    answer = permissive.decide(run_id, approver="audit@example.com")
    assert answer.json()["approver"] == "audit@example.com"
    # The other approver agrees, too late: what stands is told.
    [entry] = [each for each in permissive.timeline(run_id) if each["kind"] == "decision"]
    late = permissive.decide(run_id, request_id=entry["request_id"], approver="cfo@example.com")
    assert late.refused(409)["decision"]["approver"] == "audit@example.com"


@pytest.mark.parametrize(
    "body", [{}, {"approver": SECURITY}, {"approver": PORTAL}, {"approver": "x@example.com"}]
)
def test_callers_decide_only_as_themselves(deployment: Deployment, body: dict[str, Any]) -> None:
    run_id = deployment.suspended()
    before = deployment.state()
    deployment.decide(run_id, **body).refused(403)
    assert deployment.state() == before


def test_a_caller_that_is_an_approver_decides_as_itself(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    told = deployment.decide(run_id, caller=SECURITY).json()
    assert (told["approver"], told["decided_by"]) == (SECURITY, SECURITY)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"decision": "maybe"}, "decision"),
        ({"decision": None}, "decision"),
        ({"arguments": "text"}, "arguments"),
        ({"reason": "x" * 4001}, "reason"),
        ({"reason": 7}, "reason"),
        ({"decided_by": "ceo@example.com"}, "decided_by"),
        ({"request_id": 7}, "request_id"),
    ],
)
def test_an_invalid_decision_is_reported_by_field(
    permissive: Deployment, change: dict[str, Any], field: str
) -> None:
    run_id = permissive.suspended()
    before = permissive.state()
    assert permissive.decide(run_id, **change).faults() == {field}
    assert permissive.state() == before


# -- cancel ------------------------------------------------------------


def test_a_waiting_run_is_cancelled(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    request_id = permissive.request_id(run_id)
    answer = permissive.http("cancel-run", params={"run_id": run_id})
    assert answer.status == 202
    assert answer.json()["run_id"] == run_id
    permissive.decide(run_id, request_id=request_id).refused(409)
    assert permissive.drain() == ["ResumeFunction"]
    ended = permissive.read(run_id)
    assert (ended["status"], ended["waiting"]) == ("cancelled", [])
    assert permissive.http("cancel-run", params={"run_id": run_id}).status == 202
    permissive.decide(run_id, request_id=request_id).refused(409)


def test_a_run_that_has_not_started_is_cancelled(deployment: Deployment) -> None:
    run_id = deployment.started()
    deployment.http("cancel-run", params={"run_id": run_id})
    deployment.drain()
    assert deployment.read(run_id)["status"] == "cancelled"
    assert deployment.mails() == []


def test_a_completed_run_cannot_be_cancelled(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    permissive.decide(run_id)
    permissive.drain()
    refusal = permissive.http("cancel-run", params={"run_id": run_id}).refused(409)
    assert "completed" in refusal["detail"]


def test_a_run_that_is_not_parked_is_not_redriven(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    deployment.http("redrive-run", params={"run_id": run_id}).refused(409)
