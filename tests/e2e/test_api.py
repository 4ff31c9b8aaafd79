"""The HTTP API as a program meets it: what it refuses and how, keys, lists, cancelling."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import PROBLEM, Answer, Client, System

SECURITY = "security@example.com"
CFO = "cfo@example.com"
HR: dict[str, Any] = {"agent": "hr", "input": "Onboard Grace Hopper (grace@example.com), secret"}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        pytest.param({**HR, "agent": "nobody"}, 404, "agent", id="an unknown agent"),
        pytest.param({**HR, "agent": "account_agent"}, 404, "agent", id="an inner agent"),
        pytest.param({**HR, "colour": "red"}, 422, "colour", id="an unknown field"),
        pytest.param({**HR, "input": 7}, 422, "input", id="a wrong type"),
        pytest.param({**HR, "metadata": {"a": 1}}, 422, "metadata.a", id="a wrong type inside"),
        pytest.param({"agent": "hr"}, 422, "input", id="a missing field"),
        pytest.param(b'{"agent": "hr", ', 422, "body", id="malformed JSON"),
        pytest.param(b"", 422, "body", id="nothing"),
        pytest.param(b"[]", 422, "body", id="no object"),
        pytest.param(b"\xff\xfe", 422, "body", id="no text"),
        pytest.param({**HR, "input": "x" * (256 * 1024 + 1)}, 422, "input", id="too much"),
        pytest.param({**HR, "input": "é" * (128 * 1024 + 1)}, 422, "input", id="too many bytes"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_by_the_field(
    client: Client, body: Any, status: int, field: str
) -> None:
    answer = client.send("POST", "/runs", body)
    _is_problem(answer, status)
    assert field in [error["field"] for error in answer.json["errors"]]


def test_an_input_as_large_as_allowed_is_taken(client: Client) -> None:
    run_id = client.start("treasury", "Just look. " + "x" * (256 * 1024 - 11))
    run = client.ended(run_id)
    assert run["status"] == "completed", run
    assert run["result"] == "There is no transfer and no closing in this request."


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("POST", "/runs/x/y/z"),
        ("DELETE", "/runs"),
        ("GET", "/runs/aaaaaaaaaaaaaaaaaaaaaaaa"),
        ("GET", "/runs/aaaaaaaaaaaaaaaaaaaaaaaa/timeline"),
        ("POST", "/runs/aaaaaaaaaaaaaaaaaaaaaaaa/cancel"),
        ("GET", "/runs/%00"),
    ],
)
def test_what_is_not_there_is_not_found(client: Client, method: str, path: str) -> None:
    _is_problem(client.send(method, path), 404)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=asleep", "status"),
        ("limit=0", "limit"),
        ("limit=1000", "limit"),
        ("limit=many", "limit"),
        ("cursor=made-up", "cursor"),
        ("colour=red", "colour"),
    ],
)
def test_a_list_is_refused_by_the_parameter(client: Client, query: str, field: str) -> None:
    answer = client.send("GET", f"/runs?{query}")
    _is_problem(answer, 422)
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_a_link_that_was_cut_short_or_changed_is_not_valid(client: Client) -> None:
    run_id = client.start(HR["agent"], HR["input"])
    (asked,) = client.suspended(run_id)["waiting"]
    link = client.link(asked, SECURITY)
    other = "A" if link[-10] != "A" else "B"
    broken = (link[:-5], link[:-40], link[:-10] + other + link[-9:], link + "x")
    for each in broken:
        for answer in (client.send("GET", each), client.post(each, decision="approve")):
            _is_problem(answer, 404)
            assert [error["field"] for error in answer.json["errors"]] == ["token"]
    page = client.send("GET", broken[0], headers={"Accept": "text/html"})
    assert (page.status, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert client.run(run_id)["waiting"] == [asked]


def test_a_decision_that_does_not_fit_is_refused_and_the_request_stays_open(
    client: Client,
) -> None:
    run_id = client.start("treasury", "Close old-vendor".lower())
    (asked,) = client.suspended(run_id)["waiting"]
    for more, status, field in (
        ({}, 422, "approver"),  # two were asked: for whom?
        ({"approver": "mallory@example.com"}, 403, "approver"),
        ({"approver": CFO, "reason": 1}, 422, "reason"),
        ({"approver": CFO, "comment": "?"}, 422, "comment"),
    ):
        answer = client.decide(run_id, asked, "approve", **more)
        _is_problem(answer, status)
        assert [error["field"] for error in answer.json["errors"]] == [field]
    _is_problem(client.decide(run_id, asked, "maybe", approver=CFO), 422)
    unknown = {"request_id": "aaaaaaaaaaaaaaaa"}
    _is_problem(client.decide(run_id, unknown, "approve", approver=CFO), 404)
    elsewhere = client.start("treasury", "Pay 10 to ops")
    _is_problem(client.decide(elsewhere, asked, "approve", approver=CFO), 404)
    assert client.run(run_id)["waiting"] == [asked]
    assert client.decide(run_id, asked, "approve", approver=CFO).status == 200
    assert client.ended(run_id)["result"] == "The account old-vendor is deleted."


def test_a_key_makes_a_start_safe_to_send_again(client: Client) -> None:
    key = {"Idempotency-Key": "payment of November 22"}
    body = {"agent": "treasury", "input": "Pay 70 to ops", "metadata": {"order": "A-1"}}
    first = client.send("POST", "/runs", body, key)
    assert first.status == 202, first.text
    run_id = first.json["run_id"]
    assert first.json["links"]["self"] == first.headers["Location"] == f"/runs/{run_id}"
    again = client.send("POST", "/runs", body, key)
    assert (again.status, again.json["run_id"]) == (202, run_id)
    assert client.ended(run_id)["metadata"] == {"order": "A-1"}
    later = client.send("POST", "/runs", body, key)
    assert (later.status, later.json["run_id"]) == (202, run_id)
    assert later.json["status"] == "completed"

    _is_problem(client.send("POST", "/runs", {**body, "input": "Pay 71 to ops"}, key), 409)
    unkeyed = client.send("POST", "/runs", body)
    assert unkeyed.json["run_id"] != run_id
    for wrong in ("", "x" * 256):
        _is_problem(client.send("POST", "/runs", body, {"Idempotency-Key": wrong}), 422)


def test_runs_are_listed_newest_first_page_by_page(client: Client) -> None:
    started = [client.start("treasury", f"Pay {amount} to ops") for amount in (1, 2, 3)]
    for run_id in started:
        client.ended(run_id)
    found: list[str] = []
    path = "/runs?agent=treasury&status=completed&limit=2"
    answer = client.send("GET", path).json
    assert len(answer["items"]) == 2
    while len(found) < 3:
        found += [item["run_id"] for item in answer["items"]]
        times = [item["created_at"] for item in answer["items"]]
        assert times == sorted(times, reverse=True)
        if answer["next"] is None:
            break
        answer = client.send("GET", f"{path}&cursor={answer['next']}").json
    assert found[:3] == started[::-1]
    everything = client.send("GET", "/runs?limit=100").json["items"]
    assert [item["run_id"] for item in everything][:3] == started[::-1]
    none = client.send("GET", "/runs?agent=nobody").json
    assert none == {"items": [], "next": None}


def test_a_cancelled_run_leaves_nothing_to_decide(client: Client, system: System) -> None:
    run_id = client.start("treasury", "Pay 5000 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]
    link = client.link(asked, CFO)
    assert client.send("POST", f"/runs/{run_id}/cancel").status == 202
    run = client.ended(run_id)
    assert (run["status"], run["waiting"]) == ("cancelled", [])

    page = client.send("GET", link, headers={"Accept": "text/html"})
    assert page.status == 200
    assert "Nothing left to decide" in page.text
    assert "<form" not in page.text
    _is_problem(client.decide(run_id, asked, "approve"), 409)
    _is_problem(client.post(link, decision="approve"), 409)
    assert client.send("POST", f"/runs/{run_id}/cancel").status == 202  # as often as one likes
    system.quiet()
    assert client.run(run_id)["status"] == "cancelled"
    assert system.effects(run_id, "transfer") == []
    done = client.start("treasury", "Pay 4 to ops")
    client.ended(done)
    _is_problem(client.send("POST", f"/runs/{done}/cancel"), 409)


def test_the_continuation_holds_the_whole_tree(client: Client) -> None:
    run_id = client.start("treasury", "Pay 6000 to reserve")
    client.suspended(run_id)
    root = client.send("GET", f"/runs/{run_id}/continuation").json
    (clerk,) = root["turns"][0]["calls"]
    (worker,) = clerk["child"]["turns"][0]["calls"]
    balance, transfer = (turn["calls"][0] for turn in worker["child"]["turns"])
    agents = [root["agent"], clerk["child"]["agent"], worker["child"]["agent"]]
    assert agents == ["treasury", "clerk", "payment_worker"]
    assert balance["outcome"] == {"kind": "ok", "content": "12000"}
    assert transfer["outcome"] is None
    assert transfer["plan"]["arguments"] == {"amount": 6000, "to": "reserve"}
    assert json.dumps(root).count("6000") >= 2
    client.send("POST", f"/runs/{run_id}/cancel")


def _is_problem(answer: Answer, status: int) -> None:
    """The answer is a problem document of this status (RFC 9457)."""
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"] == PROBLEM
    assert answer.json["status"] == status
    assert answer.json["title"] and answer.json["detail"]
