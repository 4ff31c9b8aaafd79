"""Hostile requests: each gets a response, and one of limited size."""

import json
from typing import Any

import pytest

from tests.support.deployment import NO_JSON, ONBOARD_ADA, Deployment
from tests.support.http_answers import CURL
from tests.support.lambda_invocation import example

HR: dict[str, Any] = {"agent": "hr", "input": ONBOARD_ADA}
MANY = 100_000


@pytest.fixture
def permissive(deployment: Deployment) -> Deployment:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    return deployment


def test_a_limit_of_more_digits_than_python_reads_is_refused(deployment: Deployment) -> None:
    for limit in ("9" * 5000, "0" * 5000 + "1"):
        assert deployment.http("list-runs", query={"limit": limit}).faults() == {"limit"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({**HR, **dict.fromkeys(map(str, range(MANY)), 1)}, id="many unknown fields"),
        pytest.param({**HR, "\U0010ffff" * MANY * 10: 1}, id="a long unknown field"),
        pytest.param({**HR, "agent": "\U0010ffff" * MANY * 10}, id="a long name"),
        pytest.param({**HR, "metadata": dict.fromkeys(map(str, range(MANY)), 1)}, id="many inside"),
    ],
)
def test_an_error_response_stays_small(deployment: Deployment, body: dict[str, Any]) -> None:
    answer = deployment.post_run(json.dumps(body, ensure_ascii=False))
    assert answer.faults()
    assert len(answer.body) < 100_000


def test_long_input_is_not_repeated_in_an_error(permissive: Deployment) -> None:
    run_id = permissive.suspended()
    long = "\U0010ffff" * MANY * 10
    for field in ("request_id", "approver", "arguments_hash", "to"):
        answer = permissive.decide(run_id, **{field: long})
        assert answer.faults() == {field}
        assert len(answer.body) < 10_000


@pytest.mark.parametrize("seen", ["\u00e9", "", "x"])
def test_an_invalid_hash_does_not_count_as_seen(permissive: Deployment, seen: str) -> None:
    run_id = permissive.suspended()
    before = permissive.state()
    permissive.decide(run_id, arguments_hash=seen).refused(409)
    form = {"decision": "approve", "arguments_hash": seen or "x"}
    permissive.answer(permissive.token(), form, headers=CURL).refused(409)
    assert permissive.state() == before


@pytest.mark.parametrize(
    "to",
    [
        "a\0@example.com",
        "a\r\nBcc: eve@example.org, b@example.com",
        "a b@example.com",
        "\u202ea@example.com",
        "a" * 300_000 + "@example.com",
    ],
)
def test_a_request_is_not_reassigned_to_an_invalid_address(deployment: Deployment, to: str) -> None:
    deployment.suspended()
    before = deployment.state()
    form = {"decision": "reassign", "to": to}
    answer = deployment.answer(deployment.token(), form, headers=CURL)
    assert answer.faults() == {"to"}
    assert len(answer.body) < 1000
    assert deployment.state() == before


# -- routes match what IAM and the authorizer checked ----------------------------------------------


@pytest.mark.parametrize("run_id", ["\n", "/", "x/timeline", "..", "\0", "\ud800", "a%2Fb"])
def test_an_odd_run_id_matches_no_run_and_no_other_route(
    deployment: Deployment, run_id: str
) -> None:
    deployment.started()
    event = example("read-run") | {"pathParameters": {"run_id": run_id}, "path": f"/runs/{run_id}"}
    answer = deployment.invoke("RunsApiFunction", event)
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["status"] == 404


@pytest.mark.parametrize("token", ["\n", "a/b", "\xff", "\ud800", "\u202e"])
def test_an_odd_token_matches_no_link_and_no_other_route(
    deployment: Deployment, token: str
) -> None:
    event = example("approval-page")
    event |= {"pathParameters": {"token": token}, "path": f"/approvals/{token}"}
    answer = deployment.invoke("ApprovalsApiFunction", event)
    assert answer["statusCode"] == 404
    assert "this link is not valid" in answer["body"]
    assert answer["multiValueHeaders"]["Content-Type"] == ["text/html; charset=utf-8"]


# -- no response is cached -------------------------------------------------------------------------


def test_a_response_without_a_body_is_not_cached_either(deployment: Deployment) -> None:
    deployment.suspended()
    answer = deployment.page(deployment.token(), method="OPTIONS")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


HALVES = ["\ud800", "\udfff", "\udc00\ud83d", "é\ud83d 😀"]


@pytest.mark.parametrize("odd", HALVES, ids=ascii)
def test_half_a_surrogate_pair_is_refused_in_a_body(permissive: Deployment, odd: str) -> None:
    run_id = permissive.suspended()
    before = permissive.state()
    permissive.post_run({**HR, "input": odd}).refused(422)
    permissive.post_run({**HR, "metadata": {odd: odd}}).refused(422)
    permissive.decide(run_id, reason=odd).refused(422)
    permissive.decide(run_id, arguments={odd: odd}).refused(422)
    for name, body in (("message-run", {"content": odd}), ("signal-run", {"payload": odd})):
        params = {"run_id": run_id, "name": "n"}
        permissive.http(name, params=params, body=json.dumps(body)).refused(422)
    assert permissive.state() == before


@pytest.mark.parametrize("odd", HALVES, ids=ascii)
def test_half_a_surrogate_pair_beside_a_body_is_no_internal_error(
    permissive: Deployment, odd: str
) -> None:
    run_id = permissive.suspended()
    assert permissive.post_run(HR, key=odd).status == 202
    permissive.http("list-runs", query={odd: odd}).refused(422)
    permissive.http("list-runs", query={"status": odd}).refused(422)
    assert permissive.http("list-runs", query={"agent": odd}).json()["items"] == []
    permissive.http("read-run", params={"run_id": odd}).refused(404)
    params = {"run_id": run_id, "name": odd}
    assert permissive.http("signal-run", params=params, body="{}").status == 202
    assert permissive.http("approval-page", params={"token": odd}).status == 404
    permissive.http("callback", params={"token": odd}, body='{"status": "ok"}').refused(404)


@pytest.mark.parametrize("odd", HALVES, ids=ascii)
def test_half_a_surrogate_pair_on_the_bus_is_delivered(deployment: Deployment, odd: str) -> None:
    run_id = deployment.suspended()
    event = example("eventbridge")
    event["detail"] = {"run_id": run_id, "name": odd, "payload": {odd: odd}, "correlation": odd}
    assert deployment.invoke("EventBridgeFunction", event)["event_id"]
    deployment.drain()
    assert deployment.read(run_id)["status"] == "suspended"


@pytest.mark.parametrize("number", NO_JSON)
def test_a_number_that_json_cannot_express_is_refused_wherever_it_is(
    deployment: Deployment, number: str
) -> None:
    run_id = deployment.suspended()
    asked = f'"request_id": "{deployment.request_id(run_id)}"'
    bodies = {
        "signal-run": f'{{"payload": {number}}}',
        "message-run": f'{{"content": {number}}}',
        "decide-run": f'{{{asked}, "decision": "approve", "arguments": {{"level": {number}}}}}',
        "answer": f'{{{asked}, "decision": "answer", "answer": {number}}}',
        "start-run": f'{{"agent": "hr", "input": "x", "metadata": {{"a": {number}}}}}',
    }
    for name, body in bodies.items():
        route = "decide-run" if name == "answer" else name
        params = {"run_id": run_id, "name": "x"}
        answer = deployment.http(route, params=params, body=body)
        assert answer.status == 422, name
    assert deployment.read(run_id)["status"] == "suspended"
