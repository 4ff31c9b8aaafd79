"""Runs that wait for anything but an approval, through the deployed functions."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

import agents
from agent_continuations import (
    Agent,
    Approval,
    EveryTurns,
    Job,
    Question,
    ToolContext,
    WaitFor,
    tool,
)
from agent_continuations.errors import Conflict, NotFound
from tests.local.model_server import Call, Json, ModelServer, Reply
from tests.support.deployment import Deployment
from tests.support.http_answers import Answer
from tests.support.lambda_invocation import example
from tests.support.template_functions import functions

BUYER, BOSS = "buyer@example.com", "boss@example.com"
DELIVER = ("logistics", "Deliver the order o-1 in 2 parcels.")


def post(deployment: Deployment, name: str, run_id: str, body: Any = None, **more: Any) -> Answer:
    text = None if body is None else json.dumps(body)
    params = {"run_id": run_id, **more.pop("params", {})}
    return deployment.http(name, params=params, body=text, **more)


def kinds(deployment: Deployment, run_id: str) -> list[str]:
    return [each["kind"] for each in deployment.read(run_id)["waiting"]]


# -- one order from start to end -------------------------------------------------------------------


def test_an_order_is_delivered(deployment: Deployment) -> None:
    run_id = deployment.suspended(*DELIVER)
    assert kinds(deployment, run_id) == ["question", "event"]
    [mail] = deployment.mails()
    assert mail.to == BUYER
    assert mail.message["Subject"] == "Answer needed: ask_buyer"
    assert "When shall we deliver the order o-1, and to which floor?" in mail.part("plain")
    arrived = {"payload": {"pallets": 2}, "correlation": "o-1"}
    told = post(deployment, "signal-run", run_id, arrived, params={"name": "goods-arrived"})
    assert told.status == 202
    deployment.drain()
    assert kinds(deployment, run_id) == ["question"]
    form = {"arguments.day": "2026-12-24", "arguments.floor": "3", "arguments.lift": "false"}
    assert deployment.click(deployment.token(BUYER), "approve", **form).status == 303
    deployment.drain()
    assert kinds(deployment, run_id) == ["job"]
    for _ in range(2):
        deployment.make_due(lambda item: "lease_until" not in item)
        deployment.sweep()
        deployment.drain()
    assert kinds(deployment, run_id) == ["job"]  # the carrier needs longer than this test
    answered = next(each for each in deployment.timeline(run_id) if each["kind"] == "decision")
    assert answered["approver"] == BUYER


# -- questions -------------------------------------------------------------------------------------


def test_the_page_of_a_question_has_a_form_for_its_answer(deployment: Deployment) -> None:
    deployment.suspended(*DELIVER)
    token = deployment.token(BUYER)
    page = deployment.page(token).body
    assert "<h1>logistics asks you</h1>" in page
    assert "When shall we deliver the order o-1, and to which floor?" in page
    for control in ("arguments.day", "arguments.floor", "arguments.lift"):
        assert f'name="{control}"' in page
    assert "Send answer" in page
    assert "I cannot answer" in page
    assert "Approve" not in page.split("<main")[-1]


def test_an_invalid_answer_is_explained_at_its_field(deployment: Deployment) -> None:
    run_id = deployment.suspended(*DELIVER)
    token = deployment.token(BUYER)
    form = {"arguments.day": "2026-12-24", "arguments.floor": "99", "arguments.lift": "true"}
    refused = deployment.click(token, "approve", **form)
    assert refused.status == 422
    assert "less than or equal to 40" in refused.body
    assert 'value="99"' in refused.body
    assert kinds(deployment, run_id) == ["question", "event"]
    assert deployment.click(token, "approve", **{**form, "arguments.floor": "4"}).status == 303
    page = deployment.page(token).body
    assert "<h2>Answered</h2>" in page
    assert "2026-12-24" in page


def test_a_question_can_be_answered_by_programs(deployment: Deployment) -> None:
    deployment.parameters["CallersMayActForApprovers"] = "yes"
    run_id = deployment.suspended(*DELIVER)
    [asked, _] = deployment.read(run_id)["waiting"]
    assert set(asked["answer_schema"]["properties"]) == {"day", "floor", "lift"}
    wanted = {"request_id": asked["request_id"], "approver": BUYER, "decision": "answer"}
    wrong = deployment.decide(run_id, **wanted, answer={"day": "soon"})
    assert wrong.faults() == {"answer.day"}
    assert deployment.decide(run_id, **wanted).faults() == {"answer"}
    right = deployment.decide(run_id, **wanted, answer={"day": "2026-12-24"})
    assert right.json()["answer"] == {"day": "2026-12-24", "floor": 0, "lift": True}
    arguments = deployment.decide(run_id, **{**wanted, "decision": "approve", "answer": 1})
    assert arguments.faults() == {"answer"}


def test_a_question_can_be_declined(deployment: Deployment, model: ModelServer) -> None:
    run_id = deployment.suspended(*DELIVER)
    deployment.click(deployment.token(BUYER), "reject", reason="I never ordered this.")
    deployment.drain()
    assert kinds(deployment, run_id) == ["event"]
    post(deployment, "signal-run", run_id, {"correlation": "o-1"}, params={"name": "goods-arrived"})
    deployment.drain()
    assert any("I never ordered this." in json.dumps(each) for each in model.requests)


# -- agents for these tests ------------------------------------------------------------------------


class Played:
    """An agent that calls one tool and then answers with its result."""

    def __init__(self, patch: pytest.MonkeyPatch, model: ModelServer, agent: Agent) -> None:
        patch.setattr(agents, "AGENTS", [agent])
        self.replies = 0
        model.respond = self._respond

    def _respond(self, request: Json) -> Reply:
        self.replies += 1
        told = [each["content"] for each in request["messages"] if each["role"] == "tool"]
        said = [each["content"] for each in request["messages"] if each["role"] == "user"]
        if told or len(said) > 1:
            return Reply(content=f"{'; '.join(told)} / {said[-1]}")
        calls = tuple(Call(each["function"]["name"], {}) for each in request.get("tools", ()))
        return Reply(tool_calls=calls) if calls else Reply(content=f"you said: {said[-1]}")


URLS: list[str] = []


@tool(effect="idempotent")
def export(context: ToolContext) -> Job:
    """Export."""
    URLS.append(context.callback_url)
    return Job({"id": 7}, timeout_seconds=3600)


def exporting(
    deployment: Deployment, patch: pytest.MonkeyPatch, model: ModelServer
) -> tuple[str, str]:
    """A run that waits for a job, and the token of its callback address."""
    Played(patch, model, Agent("exporter", tools=[export]))
    run_id = deployment.suspended("exporter", "go")
    base, _, token = URLS[-1].rpartition("/")
    assert base == "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/v1/callbacks"
    return run_id, token


def call_back(deployment: Deployment, token: str, body: Any) -> Answer:
    return deployment.http("callback", params={"token": token}, body=json.dumps(body))


def test_a_job_calls_back(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    run_id, token = exporting(deployment, monkeypatch, model)
    done = call_back(deployment, token, {"status": "ok", "result": {"rows": 12}})
    assert done.json() == {"run_id": run_id, "path": "0.0", "status": "ok"}
    assert call_back(deployment, token, {"status": "ok", "result": {"rows": 12}}).status == 200
    deployment.drain()
    assert call_back(deployment, token, {"status": "ok", "result": {"rows": 12}}).status == 200
    call_back(deployment, token, {"status": "ok", "result": {"rows": 13}}).refused(409)
    assert deployment.drain() == [], "an outcome on record is not sent again"
    assert deployment.read(run_id)["result"] == '{"rows": 12} / go'
    assert token not in deployment.log.getvalue()


def test_a_failed_job_is_reported(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    run_id, token = exporting(deployment, monkeypatch, model)
    assert call_back(deployment, token, {"status": "error", "error": "disk full"}).status == 200
    deployment.drain()
    assert "The job failed. disk full" in deployment.read(run_id)["result"]


def test_only_the_token_of_a_job_completes_it(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    run_id, token = exporting(deployment, monkeypatch, model)
    ok = {"status": "ok", "result": 1}
    payload, _, signature = token.rpartition(".")
    flipped = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")
    for wrong in (f"{payload}.{flipped}", payload, "x", "a.b", token[1:]):
        call_back(deployment, wrong, ok).refused(404)
    bodies: tuple[Any, ...] = ({}, {"status": "ok", "error": "x"}, {"status": "error"}, [])
    for body in (*bodies, {"status": "done"}):
        assert call_back(deployment, token, body).status == 422
    deployment.keep_secret("CallbackSecret", json.dumps({"current": "d" * 64, "previous": []}))
    call_back(deployment, token, ok).refused(404)
    assert kinds(deployment, run_id) == ["job"]


def test_a_callback_address_survives_a_key_rotation(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    _, token = exporting(deployment, monkeypatch, model)
    rotated = {"current": "d" * 64, "previous": ["c" * 64]}
    deployment.keep_secret("CallbackSecret", json.dumps(rotated))
    assert call_back(deployment, token, {"status": "ok"}).status == 200


def test_functions_that_run_tools_cannot_sign_approval_links(deployment: Deployment) -> None:
    for function in ("AdvanceFunction", "ResumeFunction"):
        variables = deployment.variables(function)
        assert "SIGNING_SECRET" not in variables
        assert variables["CALLBACK_SECRET"] != deployment.physical["SigningSecret"]


# -- events from the bus ---------------------------------------------------------------------------


@tool(effect="read")
def await_goods() -> WaitFor:
    """Wait."""
    return WaitFor("goods-arrived", correlation="o-1")


def test_an_event_from_the_bus_is_delivered_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    Played(monkeypatch, model, Agent("waiter", tools=[await_goods]))
    run_id = deployment.suspended("waiter", "go")
    event = example("eventbridge")
    event["detail"]["run_id"] = run_id
    first = deployment.invoke("EventBridgeFunction", event)
    assert deployment.invoke("EventBridgeFunction", event) == first
    assert first["event_id"]
    deployment.drain()
    assert deployment.read(run_id)["result"] == '{"pallets":2} / go'


def test_an_event_that_is_refused_for_good_fails_and_so_becomes_a_dead_letter(
    deployment: Deployment,
) -> None:
    event = example("eventbridge")
    with pytest.raises(NotFound):
        deployment.invoke("EventBridgeFunction", event)
    event["detail"] = {"nonsense": True}
    with pytest.raises(ValidationError):
        deployment.invoke("EventBridgeFunction", event)
    run_id = deployment.suspended()
    deployment.http("cancel-run", params={"run_id": run_id})
    deployment.drain()
    event["detail"] = {"run_id": run_id, "name": "goods-arrived"}
    with pytest.raises(Conflict, match="cancelled"):
        deployment.invoke("EventBridgeFunction", event)
    failed = functions()["EventBridgeFunction"]["EventInvokeConfig"]["DestinationConfig"]
    assert failed["OnFailure"]["Type"] == "SQS"


# -- conditions ------------------------------------------------------------------------------------


@tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


def held(deployment: Deployment, patch: pytest.MonkeyPatch, model: ModelServer) -> str:
    condition = EveryTurns(limit=1, approval=Approval([BOSS]))
    Played(patch, model, Agent("looker", tools=[look], conditions=[condition]))
    return deployment.suspended("looker", "go")


def test_a_condition_is_decided_on_a_page(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    run_id = held(deployment, monkeypatch, model)
    [mail] = deployment.mails()
    assert mail.message["Subject"] == "Go-ahead needed: turns"
    assert "1 model replies were made; the limit is 1." in mail.part("plain")
    page = deployment.page(mail.token)
    assert "<h1>Should looker continue?</h1>" in page.body
    assert ">Stop</button>" in page.body
    assert 'href="?edit=1"' in page.body
    assert 'name="arguments.limit"' in deployment.page(mail.token, edit=True).body
    refused = deployment.click(mail.token, **{"arguments.limit": "0"})
    assert refused.status == 422
    assert deployment.click(mail.token, **{"arguments.limit": "5"}).status == 303
    deployment.drain()
    assert deployment.read(run_id)["result"] == "seen / go"
    assert "<h2>Continued</h2>" in deployment.page(mail.token).body


def test_a_condition_can_end_the_run(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    run_id = held(deployment, monkeypatch, model)
    deployment.click(deployment.token(BOSS), "reject", reason="enough")
    deployment.drain()
    ended = deployment.read(run_id)
    assert (ended["status"], ended["error"]) == (
        "failed",
        f"stopped by {BOSS} at the condition turns: enough",
    )


def test_questions_and_conditions_have_no_bulk_decision(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    """Their inbox entries have no checkbox; see `test_inbox` for the rest."""

    @tool(effect="read")
    def ask() -> Question:
        """Ask."""
        return Question("Well?", ask=[BOSS])

    Played(monkeypatch, model, Agent("asker", tools=[ask]))
    run_id = deployment.suspended("asker", "go")
    assert kinds(deployment, run_id) == ["question"]
    refused = deployment.click(deployment.token(BOSS), "approve")
    assert refused.status == 422


# -- messages and operators ------------------------------------------------------------------------


def test_a_completed_run_continues_with_the_next_message(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    played = Played(monkeypatch, model, Agent("talker"))
    run_id = deployment.started("talker", "hello")
    deployment.drain()
    assert deployment.read(run_id)["result"] == "you said: hello"
    told = post(
        deployment, "message-run", run_id, {"content": "more"}, headers={"Idempotency-Key": "k"}
    )
    assert told.status == 202
    again = post(
        deployment, "message-run", run_id, {"content": "more"}, headers={"Idempotency-Key": "k"}
    )
    assert again.json() == told.json()
    deployment.drain()
    view = deployment.read(run_id)
    assert (view["status"], view["result"], played.replies) == ("completed", " / more", 2)
    assert any(
        each["kind"] == "message" and each["text"].endswith(": more")
        for each in deployment.timeline(run_id)
    )
    for body in ({}, {"content": ""}, {"content": "x", "more": 1}):
        assert post(deployment, "message-run", run_id, body).status == 422


def test_a_paused_run_accepts_decisions_and_does_not_advance(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    paused = post(deployment, "pause-run", run_id)
    assert (paused.status, deployment.read(run_id)["paused"]) == (202, True)
    assert deployment.click(deployment.token()).status == 303
    deployment.drain()
    assert deployment.read(run_id)["status"] == "suspended"
    assert post(deployment, "resume-run", run_id).status == 202
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"
    post(deployment, "pause-run", run_id).refused(409)
    post(deployment, "resume-run", run_id).refused(409)
    post(deployment, "resume-run", "aaaa").refused(404)


def test_a_long_poll_returns_when_the_run_changes(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    run_id = deployment.started()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            deployment.drain()

    monkeypatch.setattr("agent_continuations.services.runs.pause_for", sleep)

    def poll(**query: str) -> Any:
        return deployment.http("read-run", params={"run_id": run_id}, query=query)

    waiting = poll(wait="20").json()
    assert (waiting["status"], len(slept)) == ("suspended", 3)
    assert poll(wait="20").json() == waiting
    assert len(slept) == 3
    assert poll(wait="2", after=waiting["updated_at"]).json() == waiting
    assert sum(slept[3:]) == 2
    for wrong in ("0", "21", "x", "1.5"):
        assert poll(wait=wrong).faults() == {"wait"}


# -- child runs ------------------------------------------------------------------------------------


def test_a_parent_run_shows_the_waits_of_its_child_runs(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, model: ModelServer
) -> None:
    @tool(approval=Approval([BOSS]))
    def pay() -> str:
        """Pay."""
        return "paid"

    worker = Agent("worker", tools=[pay])
    boss = Agent("boss", tools=[worker.as_tool(description="Work.", spawn=True)])
    Played(monkeypatch, model, boss)

    def respond(request: Json) -> Reply:
        told = [each["content"] for each in request["messages"] if each["role"] == "tool"]
        if told:
            return Reply(content="; ".join(told))
        name = request["tools"][0]["function"]["name"]
        jobs = 2 if name == "worker" else 1
        arguments = {"input": "x"} if name == "worker" else {}
        return Reply(tool_calls=tuple(Call(name, arguments) for _ in range(jobs)))

    model.respond = respond
    run_id = deployment.suspended("boss", "go")
    waiting = deployment.read(run_id)["waiting"]
    assert [(each["kind"], each["path"]) for each in waiting] == [
        ("child", "0.0"),
        ("approval", "0.0/0.0"),
        ("child", "0.1"),
        ("approval", "0.1/0.0"),
    ]
    for mail in deployment.mails():
        assert deployment.click(mail.token).status == 303
    deployment.drain()
    assert deployment.read(run_id)["result"] == "paid; paid"
    child = deployment.read(waiting[1]["run_id"])
    assert (child["parent"], child["status"]) == (run_id, "completed")
