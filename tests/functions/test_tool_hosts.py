"""The function of a tool host: what it reports beside its answers, and what it does not take."""

import json
from typing import Any

import pytest

from agent_continuations import Job, ToolContext, tool
from agent_continuations.auth.callback_tokens import OutcomeTokens
from agent_continuations.core.outcome import MAX_LATE_RESULT_BYTES
from agent_continuations.handlers import late_outcomes
from agent_continuations.ports.inbound_queue import OutcomeMessage, parsed_message
from agent_continuations.ports.tool_host import CallLost, HostRequest, HostResponse
from tests.local.model_server import ModelServer
from tests.support.deployment import Deployment
from tests.support.handler_hosts import HandlerHosts
from tests.support.one_tool_agents import play

RAN: list[str] = []
RESULTS = ["in orbit"]


@tool
def launch() -> str:
    """Launch."""
    RAN.append("launch")
    return RESULTS[-1]


@tool(effect="read")
def look() -> str:
    """Look."""
    RAN.append("look")
    return "clear sky"


@tool
def crash() -> str:
    """Crash."""
    raise RuntimeError("the engine is off")


@tool(effect="idempotent")
def build(context: ToolContext) -> Job:
    """Build."""
    return Job(context.path, timeout_seconds=3600)


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch, model: ModelServer) -> None:
    RAN.clear()
    play(monkeypatch, model, {each.name: each for each in (launch, look, crash, build)})


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call takes long enough to be reported."""
    monkeypatch.setattr(late_outcomes, "LATE_SECONDS", 0)


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer of a host arrives."""
    invoke = HandlerHosts.invoke

    def lose(self: HandlerHosts, host: str, request: HostRequest) -> HostResponse:
        invoke(self, host, request)
        raise CallLost("the connection was reset", ended=False)

    monkeypatch.setattr(HandlerHosts, "invoke", lose)


def advanced(deployment: Deployment, agent: str) -> str:
    """A run that has been advanced once."""
    run_id = deployment.started(agent, "go")
    for event in deployment.messages("AdvanceQueue"):
        assert deployment.invoke("AdvanceFunction", event) == {"batchItemFailures": []}
    return run_id


def reported(deployment: Deployment) -> list[OutcomeMessage]:
    """The outcomes in the inbound queue, which stay there."""
    url = deployment.physical["InboundQueue"]
    found = deployment.sqs.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages", [])
    messages = [parsed_message(each["Body"]) for each in found]
    return [each for each in messages if isinstance(each, OutcomeMessage)]


@pytest.mark.usefixtures("slow", "unheard")
def test_an_outcome_whose_answer_is_lost_is_stored_and_nobody_is_asked(
    deployment: Deployment,
) -> None:
    run_id = advanced(deployment, "launch")
    assert deployment.read(run_id)["status"] == "suspended"
    [message] = reported(deployment)
    assert OutcomeTokens(["c" * 64]).read(message.token) == (run_id, "0.0", 1)
    deployment.drain()
    run = deployment.read(run_id)
    assert (run["status"], run["result"], RAN) == ("completed", "in orbit", ["launch"])
    assert deployment.mailbox.sent_messages == []


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("agent", ["launch", "crash"])
def test_an_outcome_that_comes_twice_counts_once(deployment: Deployment, agent: str) -> None:
    run_id = advanced(deployment, agent)
    before = deployment.read(run_id)
    assert before["status"] == "completed"
    assert len(reported(deployment)) == 1
    deployment.drain()
    assert deployment.read(run_id) == before


@pytest.mark.parametrize(("agent", "is_slow"), [("launch", False), ("look", True), ("build", True)])
def test_reads_waits_and_quick_calls_are_not_reported(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, agent: str, is_slow: bool
) -> None:
    if is_slow:
        monkeypatch.setattr(late_outcomes, "LATE_SECONDS", 0)
    advanced(deployment, agent)
    assert reported(deployment) == []


@pytest.mark.usefixtures("slow", "unheard")
def test_a_large_outcome_is_reported_with_a_sentence(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.functions.test_tool_hosts.RESULTS", ["x" * (MAX_LATE_RESULT_BYTES + 1)]
    )
    run_id = advanced(deployment, "launch")
    deployment.drain()
    run = deployment.read(run_id)
    assert (run["status"], RAN) == ("completed", ["launch"])
    assert "too large" in run["result"]


@pytest.mark.usefixtures("slow")
def test_an_outcome_that_cannot_be_reported_is_in_the_answer(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.physical["InboundQueue"] = "http://x/1"
    run_id = advanced(deployment, "launch")
    assert deployment.read(run_id)["result"] == "in orbit"
    [record] = [each for each in caplog.records if each.name == "tools"]
    assert (record.levelname, record.message) == ("WARNING", "late outcome not reported")


@pytest.mark.usefixtures("unheard", "slow")
def test_without_a_token_nothing_is_reported(deployment: Deployment) -> None:
    deployment.physical["CallbackSecret"] = "no-such-secret"
    run_id = advanced(deployment, "launch")
    assert RAN == ["launch"]
    assert reported(deployment) == []
    assert deployment.read(run_id)["status"] == "suspended"


# -- requests that are not understood --------------------------------------------------------------


def test_a_request_of_a_newer_engine_is_refused_and_nothing_runs(deployment: Deployment) -> None:
    call = {"path": "0.0", "attempt": 1, "agent": "launch", "tool": "launch", "raw": "{}"}
    call["idempotency_key"] = "k"
    newer: tuple[dict[str, Any], ...] = ({"v": 2}, {"evidence": []})
    for changed in newer:
        request: dict[str, Any] = {"v": 1, "do": "run", "run_id": "r", "calls": [call], **changed}
        answer = deployment.invoke("ToolsFunction", request)
        [refused] = HostResponse.model_validate_json(json.dumps(answer)).answers
        assert (refused.path, refused.kind, refused.passes) == ("0.0", "refused", True)
    assert RAN == []
    assert len(deployment.lines("the request cannot be read")) == 2


def test_agents_that_cannot_be_imported_run_nothing(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = deployment.started("launch", "go")
    monkeypatch.setattr("tool_host.app.registry", lambda: 1 / 0)
    for event in deployment.messages("AdvanceQueue"):
        deployment.invoke("AdvanceFunction", event)
    run = deployment.read(run_id)
    assert (run["status"], RAN) == ("parked", [])
    assert "the agents cannot be imported: ZeroDivisionError: division by zero" in run["error"]


def test_an_answer_may_hold_what_newer_hosts_say() -> None:
    answer = {"path": "0.0", "kind": "ok", "content": "done", "seconds": 3}
    text = json.dumps({"v": 1, "answers": [answer], "at": "noon"})
    assert HostResponse.model_validate_json(text).answers[0].content == "done"
