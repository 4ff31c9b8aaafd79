"""What the model was sent, over HTTP: the requests are those that the model server received."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

import agents
from agent_continuations import Agent, tool
from tests.local.model_server import Call, Fault, Json, ModelServer, Reply
from tests.openapi.document import document
from tests.support.deployment import SECURITY, Deployment
from tests.support.http_answers import Answer
from tests.support.scripted_models import costly

TREASURY = "Pay 50 to ops, 2500 to reserve, and close old-vendor"
RESPONSE_LIMIT = 6 * 1024 * 1024


def read(deployment: Deployment, run_id: str, **query: Any) -> Answer:
    given = {name: str(value) for name, value in query.items()}
    return deployment.http("read-messages", params={"run_id": run_id}, query=given)


def found(deployment: Deployment, run_id: str, **query: Any) -> Json:
    answer = read(deployment, run_id, **query)
    assert answer.status == 200, answer.body
    page: Json = answer.json()
    return page


def every_page(deployment: Deployment, run_id: str, **query: Any) -> Iterator[tuple[Json, Answer]]:
    while True:
        answer = read(deployment, run_id, **query)
        yield answer.json(), answer
        if not (cursor := answer.json()["next"]):
            return
        query["cursor"] = cursor


@pytest.mark.parametrize(("agent", "task"), [("treasury", TREASURY), ("hr", None)])
def test_each_request_is_one_that_the_model_server_received(
    deployment: Deployment, model: ModelServer, agent: str, task: str | None
) -> None:
    run_id = deployment.suspended(*([agent, task] if task else [agent]))
    if agent == "hr":
        deployment.click(deployment.token(SECURITY), "reject", reason="not before monday")
        deployment.drain()
    received = [json.dumps(each, sort_keys=True) for each in model.requests]
    derived = []
    for frame in found(deployment, run_id)["frames"]:
        page = found(deployment, run_id, path=frame["path"])
        assert (page["run_id"], page["path"], page["agent"]) == (run_id, *list(frame.values())[:2])
        for item in page["items"]:
            [whole] = found(deployment, run_id, path=frame["path"], turn=item["turn"])["items"]
            assert whole["reply"]
            sent = {"messages": whole["messages"], "model": item["requested_model"] or "gpt-5-mini"}
            sent |= {**item["settings"], **({"tools": item["tools"]} if item["tools"] else {})}
            derived.append(json.dumps(sent, sort_keys=True))
    assert sorted(derived) == sorted(received)


def test_a_page_has_tokens_and_cost_and_is_what_the_document_says(
    deployment: Deployment, model: ModelServer
) -> None:
    model.respond = costly
    run_id = deployment.suspended()
    page = found(deployment, run_id)
    schema = {
        "$ref": "#/components/schemas/ModelRequestPage",
        "components": document()["components"],
    }
    jsonschema_rs.validate(schema, page)
    assert [each["cost"] for each in page["items"]] == [0.45]
    assert page["usage"] == {"input_tokens": 1_000_000, "output_tokens": 100_000}
    assert page["cost"] == 0.45


def test_the_request_that_the_model_service_refuses_is_shown(
    deployment: Deployment, model: ModelServer
) -> None:
    model.respond = lambda _request: Fault(status=403)
    run_id = deployment.started()
    deployment.drain()
    assert "403" in deployment.read(run_id)["error"]
    [item] = found(deployment, run_id)["items"]
    assert item["messages"] == model.requests[-1]["messages"]
    assert (item["reply"], item["tools"], item["cost"]) == (None, None, None)


def test_pages_of_one_request_each_follow_one_another(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    [whole] = [page for page, _ in every_page(deployment, run_id, path="0.1")]
    split = [page for page, _ in every_page(deployment, run_id, path="0.1", limit=1)]
    assert [item for page in split for item in page["items"]] == whole["items"]
    assert len(split) == len(whole["items"]) > 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"turn": "-1"}, "turn"),
        ({"turn": "one"}, "turn"),
        ({"turn": ""}, "turn"),
        ({"turn": "9" * 5000}, "turn"),
        ({"turn": "\u0661"}, "turn"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "7.0"}, "cursor"),
        ({"agent": "hr"}, "agent"),
    ],
)
def test_an_invalid_query_is_named(
    deployment: Deployment, query: dict[str, str], field: str
) -> None:
    run_id = deployment.started()
    assert read(deployment, run_id, **query).faults() == {field}


@pytest.mark.parametrize("query", [{"path": "7.7"}, {"path": "<b>\u202e"}, {"turn": "7"}])
def test_an_unknown_agent_or_request_is_not_found(
    deployment: Deployment, query: dict[str, str]
) -> None:
    run_id = deployment.suspended()
    problem = read(deployment, run_id, **query).refused(404)
    if "path" in query:
        assert problem["detail"].endswith(
            "there are agents at the empty path (hr), 0.1 (account_agent)"
        )


def test_an_unknown_run_is_not_found(deployment: Deployment) -> None:
    read(deployment, "mzxw6ytboi2dgnjrgezdgnbv").refused(404)


def test_reading_changes_nothing(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    before = deployment.state()
    found(deployment, run_id)
    assert deployment.state() == before


@pytest.mark.parametrize("text", ["a" * 3_000_000, "\x01" * 700_000, "\U0001f600" * 1_000_000])
def test_no_response_is_larger_than_lambda_allows(
    deployment: Deployment,
    model: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    @tool(effect="read")
    def read_it() -> str:
        """Read."""
        return text

    reader = Agent("reader", "Read.", tools=[read_it], settings={"stop": ["x" * 2_000_000]})
    monkeypatch.setattr(agents, "AGENTS", [reader])

    def respond(request: Json) -> Reply:
        if request["messages"][-1]["role"] == "tool":
            return Reply(content=text[:1_500_000])
        return Reply(tool_calls=(Call("read_it", {}), Call("read_it", {})))

    model.respond = respond
    run_id = deployment.started("reader", "y" * 256_000)
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"
    for query in ({}, {"turn": 1}):
        answers = list(every_page(deployment, run_id, **query))
        assert all(answer.status == 200 for _, answer in answers)
        assert max(len(answer.body.encode()) for _, answer in answers) < RESPONSE_LIMIT
        items = [item for page, _ in answers for item in page["items"] if item["turn"] == 1]
        assert sum(len(item["messages"]) for item in items) == (5 if query else 3)
