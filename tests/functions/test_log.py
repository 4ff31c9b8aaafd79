"""The functions' log lines: JSON, one for each request and message, with no text and no secret."""

import json
import logging
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from pydantic import ValidationError

import approvals_api.app
import dashboard.app
import runs_api.app
from agent_continuations.adapters.channels.email import EmailNotifier
from agent_continuations.auth.callback_tokens import CallbackTokens
from agent_continuations.bootstrap.log import MAX_TRACEBACK_CHARACTERS
from agent_continuations.errors import NotFound
from tests.local.issuer import IssuerServer
from tests.local.model_server import Fault, ModelServer
from tests.local.template import ROOT, template
from tests.support.advance_in_memory import NOISE, RUN_KEYS
from tests.support.deployment import SECURITY, Deployment
from tests.support.hostile_run import HostileRun
from tests.support.hostile_scenes import MARK, MARKERS, NAMES, SCENES, RecordedRun
from tests.support.log_lines import log_lines

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
PLACES = ("layers/continuations", "layers/agents", "functions", ".")

# -- in Lambda's own runtime -----------------------------------------------------------------------


@cache
def runtime_output(level: str) -> str:
    """What `advance` prints in Lambda's runtime, configured as the template does."""
    every = template()["Globals"]["Function"]["LoggingConfig"]
    environment = {
        "AWS_LAMBDA_LOG_FORMAT": every["LogFormat"],
        "AWS_LAMBDA_LOG_LEVEL": every["ApplicationLogLevel"],
        "AWS_LAMBDA_FUNCTION_NAME": "advance",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_LOG_LEVEL": level,
        "POWERTOOLS_METRICS_NAMESPACE": "Tests",
        "PYTHONPATH": os.pathsep.join(str(ROOT / each) for each in PLACES),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.advance_in_memory"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def runtime_lines(level: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in runtime_output(level).splitlines()]


def is_measurement(line: dict[str, Any]) -> bool:
    return "_aws" in line


@pytest.mark.parametrize("level", LEVELS)
def test_every_line_is_json_of_the_level_that_the_deployment_wants(level: str) -> None:
    output = runtime_output(level)
    assert output.isascii()
    lines = runtime_lines(level)
    assert len(lines) == output.count("\n")
    for each in lines:
        if not is_measurement(each):
            assert LEVELS.index(each["level"]) >= LEVELS.index(level)
            # Lambda takes a line without a valid time (RFC 3339) for INFO.
            assert datetime.fromisoformat(each["timestamp"]).tzinfo
    # Alarms are built on these, whatever the level.
    assert sum(map(is_measurement, lines)) == len(RUN_KEYS)


def test_the_librarys_lines_are_those_of_the_function() -> None:
    lines = [each for each in runtime_lines("INFO") if not is_measurement(each)]
    ours = [each for each in lines if each["message"] in ("model replied", "run suspended")]
    assert len(ours) == 2 * len(RUN_KEYS)
    for each in ours:
        assert (each["service"], each["function_name"]) == ("advance", "advance")
        assert each["agent"] == "clerk"
    # Each invocation has its own request and run.
    assert len({(each["function_request_id"], each["run_id"]) for each in ours}) == len(RUN_KEYS)
    [first, second] = [each for each in lines if each["message"] == "message processed"]
    assert {each["run_id"] for each in (first, second)} == {each["run_id"] for each in ours}
    assert first["outcome"] == "suspended"
    assert isinstance(first["duration_ms"], int)


def test_no_line_is_written_twice() -> None:
    places = Counter(
        (each["message"], each.get("run_id"), each.get("path"), each.get("function_request_id"))
        for each in runtime_lines("DEBUG")
        if not is_measurement(each) and "service" in each
    )
    assert set(places.values()) == {1}


def test_a_tools_own_lines_are_in_the_log_and_clients_are_quiet() -> None:
    for level in LEVELS:
        assert NOISE not in runtime_output(level)
    looked = [each for each in runtime_lines("INFO") if each.get("message") == "looked"]
    assert [(each["service"], each["seen"]) for each in looked] == [("advance", 1)] * 2
    throttled = [each for each in runtime_lines("INFO") if each.get("message") == "throttled"]
    assert [each["level"] for each in throttled] == ["WARNING"] * 2


def test_only_debug_lines_and_tracebacks_have_texts() -> None:
    for each in runtime_lines("DEBUG"):
        said = json.dumps({**each, "exception": ""})
        assert ("secret" in said) <= (each.get("level") == "DEBUG"), each
    assert runtime_output("DEBUG").count("zz-secret-zz") > runtime_output("INFO").count("secret")


def test_a_traceback_is_in_one_line_and_shortened() -> None:
    raised = [each for each in runtime_lines("INFO") if each.get("message") == "tool raised"]
    assert [each["tool"] for each in raised] == ["fail"] * 2
    for each in raised:
        assert each["exception"].startswith("Traceback (most recent call last):")
        assert each["exception_name"] == "LookupError"
        assert len(each["exception"]) <= MAX_TRACEBACK_CHARACTERS + 10
    [broken] = [each for each in runtime_lines("INFO") if each.get("level") == "ERROR"]
    assert broken["message"] == "message failed"
    assert broken["exception_name"] == "JSONDecodeError"


def test_the_levels_of_the_template_are_those_of_python() -> None:
    parameter = template()["Parameters"]["LogLevel"]
    assert (parameter["Default"], tuple(parameter["AllowedValues"])) == ("INFO", LEVELS)
    every = template()["Globals"]["Function"]["Environment"]["Variables"]
    assert every["POWERTOOLS_LOG_LEVEL"] == {"Ref": "LogLevel"}


# -- HTTP requests ---------------------------------------------------------------------------------


def request_line(deployment: Deployment) -> dict[str, Any]:
    """The line of the last request."""
    line = deployment.lines("request handled")[-1]
    assert isinstance(line["duration_ms"], int)
    names = ("service", "method", "route", "status", "caller", "run_id", "level")
    return {name: line.get(name) for name in names}


def test_a_request_has_one_line_with_its_route(deployment: Deployment) -> None:
    run_id = deployment.started()
    assert request_line(deployment) == {
        "service": "runs-api",
        "method": "POST",
        "route": "/runs",
        "status": 202,
        "caller": "program",
        "run_id": run_id,
        "level": "INFO",
    }
    deployment.read(run_id)
    assert request_line(deployment)["route"] == "/runs/{run_id}"
    assert request_line(deployment)["run_id"] == run_id
    assert len(deployment.lines("request handled")) == 2
    assert len({each["function_request_id"] for each in deployment.lines()}) == 2


def test_a_refusal_is_an_ordinary_line(deployment: Deployment) -> None:
    assert deployment.post_run({"agent": "zz-secret", "input": "x"}).status == 404
    line = request_line(deployment)
    assert (line["status"], line["level"], line["run_id"]) == (404, "INFO", None)
    assert "zz-secret" not in deployment.log.getvalue()


@pytest.mark.parametrize("run_id", ["UPPER", "a\nb", "1", "x" * 65, "a.b.c", "é"])
def test_what_is_no_run_id_is_not_in_the_log(deployment: Deployment, run_id: str) -> None:
    assert deployment.http("read-run", params={"run_id": run_id}).status == 404
    assert request_line(deployment)["run_id"] is None
    assert run_id not in [each for line in deployment.lines() for each in line.values()]


def test_an_internal_error_has_its_traceback(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = deployment.started()

    def broken() -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("runs_api.app.services", broken)
    assert deployment.http("read-run", params={"run_id": run_id}).status == 500
    line = request_line(deployment)
    assert (line["level"], line["status"], line["run_id"]) == ("ERROR", 500, run_id)
    [cause] = deployment.lines("request failed")
    assert (cause["level"], cause["run_id"]) == ("ERROR", run_id)
    assert "in broken" in cause["exception"]


def test_a_link_is_not_in_the_log_and_its_run_is(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    token = deployment.token()
    assert deployment.page(token).status == 200
    assert request_line(deployment) == {
        "service": "approvals-api",
        "method": "GET",
        "route": "/approvals/{token}",
        "status": 200,
        "caller": "link",
        "run_id": run_id,
        "level": "INFO",
    }
    # A link that was cut in the middle is a capability nevertheless.
    for cut in (token[:-1], token + "x", "/".join(token.split(".")), token.replace(".", "/", 1)):
        deployment.page(cut)
    deployment.http("signed-in-page", params={"token": token, "request_id": token})
    assert deployment.click(token).status == 303
    log = deployment.log.getvalue()
    assert [part for part in token.split(".") if part in log] == []
    assert SECURITY not in log
    [decided] = deployment.lines("request decided")
    assert (decided["service"], decided["run_id"], decided["via"]) == (
        "approvals-api",
        run_id,
        "link",
    )


def test_a_jobs_address_is_not_in_the_log_and_its_call_is(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    token = CallbackTokens(["c" * 64]).token(run_id, "0.0")
    body = json.dumps({"status": "ok", "result": "zz-secret"})
    assert deployment.http("callback", params={"token": token}, body=body).status == 409
    line = request_line(deployment)
    assert (line["service"], line["route"]) == ("callbacks", "/callbacks/{token}")
    assert (line["caller"], line["run_id"]) == ("link", run_id)
    assert deployment.lines("request handled")[-1]["path"] == "0.0"
    log = deployment.log.getvalue()
    assert [part for part in (*token.split("."), "zz-secret") if part in log] == []


def test_slack_is_a_caller_of_its_own(deployment: Deployment) -> None:
    assert deployment.http("slack_interaction", body="payload=zz-secret").status == 404
    assert request_line(deployment)["caller"] == "slack"
    assert "zz-secret" not in deployment.log.getvalue()


def test_a_person_who_is_signed_in_is_no_name(deployment: Deployment, issuer: IssuerServer) -> None:
    deployment.trust(issuer)
    token = issuer.token(SECURITY, ["operators"])
    headers = {"Authorization": f"Bearer {token}"}
    assert deployment.http("inbox", headers=headers).status == 200
    assert request_line(deployment)["caller"] == "person"
    [identified] = deployment.lines("caller identified")
    assert (identified["service"], identified["caller"]) == ("authorize", "person")
    refused = deployment.http("inbox", headers={"Authorization": f"Bearer {token}x"})
    assert refused.status == 401
    assert deployment.lines("caller refused")
    log = deployment.log.getvalue()
    assert SECURITY not in log
    assert [part for part in token.split(".") if part in log] == []


# -- queues, the schedule, the event bus -----------------------------------------------------------


def test_a_message_has_one_line_with_its_outcome(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    processed = {each["service"]: each for each in deployment.lines("message processed")}
    assert (processed["advance"]["run_id"], processed["advance"]["outcome"]) == (
        run_id,
        "suspended",
    )
    notify = processed["notify"]
    assert (notify["run_id"], notify["outcome"]) == (run_id, "delivered")
    delivered = deployment.lines("notice delivered")
    assert [each["channel"] for each in delivered] == ["email", "inbox", "topic"]
    for each in delivered:
        assert (each["run_id"], each["notice_id"]) == (run_id, notify["notice_id"])
        assert (each["service"], each["attempt"]) == ("notify", 1)
    assert deployment.hint("AdvanceQueue", run_id=run_id)
    assert deployment.lines("message processed")[-1]["outcome"] == "suspended"
    assert deployment.hint("AdvanceQueue", run_id="unknown")
    assert deployment.lines("message processed")[-1]["outcome"] == "not advanced"
    assert SECURITY not in deployment.log.getvalue()


def test_an_undelivered_notice_has_its_reason_without_the_address(deployment: Deployment) -> None:
    deployment.forbid_sender()
    run_id = deployment.suspended()
    [failure] = deployment.lines("notice not delivered")
    assert (failure["level"], failure["channel"], failure["retry"]) == ("WARNING", "email", True)
    assert failure["run_id"] == run_id
    assert "Did not have authority to send from email [address]" in failure["reason"]
    log = deployment.log.getvalue()
    assert SECURITY not in log
    assert deployment.parameters["Sender"] not in log


def test_an_unexpected_error_of_a_channel_has_its_traceback(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deliver(*_given: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(EmailNotifier, "deliver", deliver)
    deployment.suspended()
    [failure] = deployment.lines("notice not delivered")
    assert (failure["reason"], failure["retry"]) == ("ZeroDivisionError", True)
    assert "in deliver" in failure["exception"]


def test_the_schedule_and_the_event_bus_have_one_line_each(deployment: Deployment) -> None:
    deployment.sweep()
    [swept] = deployment.lines("swept")
    assert (swept["service"], swept["due"]) == ("sweep", 0)
    event = {
        "id": "e-1",
        "detail": {"run_id": "unknown", "name": "paid", "payload": {"iban": "zz-secret"}},
    }
    with pytest.raises(NotFound):
        deployment.invoke("EventBridgeFunction", event)
    with pytest.raises(ValidationError):
        deployment.invoke("EventBridgeFunction", {**event, "detail": {"zz-wrong": "zz-secret"}})
    unknown, invalid = deployment.lines("event refused")
    assert (unknown["run_id"], unknown["event_id"]) == ("unknown", "e-1")
    assert "run_id: Field required" in invalid["reason"]
    run_id = deployment.suspended()
    event["detail"]["run_id"] = run_id  # type: ignore[index]
    deployment.invoke("EventBridgeFunction", event)
    [accepted] = deployment.lines("event accepted")
    assert (accepted["run_id"], accepted["service"]) == (run_id, "eventbridge")
    assert "zz-secret" not in deployment.log.getvalue()


def test_a_blocked_run_is_a_warning_in_the_functions_log(
    deployment: Deployment, model: ModelServer
) -> None:
    model.respond = lambda _request: Fault(status=401)
    run_id = deployment.started()
    deployment.drain()
    [blocked] = deployment.lines("run suspended")
    about = (blocked["level"], blocked["service"], blocked["run_id"])
    assert about == ("WARNING", "advance", run_id)
    assert "401" in blocked["reason"]
    assert "sk-test" not in deployment.log.getvalue()


# -- hostile texts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENES)
def test_no_text_of_a_hostile_run_is_in_the_engines_lines(name: str) -> None:
    with log_lines(logging.INFO) as lines:
        run = RecordedRun()
        SCENES[name](run)
    assert "people asked" in lines.messages()
    found = {each[0] for each in MARK.finditer(lines.texts(logging.INFO, logging.WARNING))}
    assert found <= set(NAMES.values())


@pytest.mark.parametrize("name", SCENES)
def test_no_text_of_a_hostile_run_is_in_the_log_of_a_page(name: str) -> None:
    words = {each: f"zz{each}zz\u202e\u2028'\"\n" for each in MARKERS}
    services = [each.app.logger.name for each in (approvals_api, dashboard, runs_api)]
    with log_lines(logging.INFO, *services) as lines:
        world = HostileRun(name, words)
        world.open()
        world.open(edit="1", grant="1")
        world.open_inbox()
        world.open_as_operator()
        for api in ("run", "timeline", "audit", "continuation", "messages"):
            world.api(f"read-{api}")
        world.post({"decision": "reject", "reason": words["why"]})
        world.post_inbox({"pick": f"{world.head.run_id}/{world.request_id}", "decision": "approve"})
    assert lines.messages().count("request handled") == 14
    said = lines.texts(logging.INFO, logging.WARNING, logging.ERROR)
    assert {each[0] for each in MARK.finditer(said)} <= set(NAMES.values())
    assert not re.search("[\u202e\u2028]", said)
