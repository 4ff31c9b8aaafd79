"""The function behind the inbound queue: what others accept is stored once, or disposed of."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from agent_continuations import Approval, Job, ToolContext, WaitFor, tool
from agent_continuations.auth.callback_tokens import CallbackTokens, OutcomeTokens
from agent_continuations.auth.event_signatures import EventSignatures
from agent_continuations.core.ids import opaque_id
from agent_continuations.core.outcome import Outcome, too_large
from agent_continuations.errors import Invalid
from agent_continuations.ports.inbound_queue import (
    CallbackMessage,
    EventMessage,
    InboundMessage,
    OutcomeMessage,
    message_text,
)
from tests.local.model_server import ModelServer
from tests.support.deployment import NO_JSON, Deployment
from tests.support.http_answers import Answer
from tests.support.lambda_invocation import example
from tests.support.one_tool_agents import play

BOSS = "boss@example.com"
NOBODY = opaque_id(b"n" * 15)
DONE = Outcome(kind="ok", content="12 rows")
NOTHING_FAILED: dict[str, list[Any]] = {"batchItemFailures": []}
URLS: list[str] = []


@tool(effect="idempotent")
def export(context: ToolContext) -> Job:
    """Export."""
    URLS.append(context.callback_url)
    return Job("j", timeout_seconds=3600)


PAID: list[str] = []


@tool(approval=Approval([BOSS]))
def pay(context: ToolContext) -> str:
    """Pay."""
    PAID.append(context.path)
    return "paid"


@tool(effect="read")
def await_goods() -> WaitFor:
    """Wait."""
    return WaitFor("goods-arrived", correlation="o-1")


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch, model: ModelServer) -> None:
    play(monkeypatch, model, {"exporter": export, "waiter": await_goods, "payer": pay})


def exporting(deployment: Deployment) -> tuple[str, str]:
    """A run that waits for a job, and the token of its address."""
    run_id = deployment.suspended("exporter", "go")
    return run_id, URLS[-1].rpartition("/")[2]


def call_back(deployment: Deployment, token: str, result: Any) -> Answer:
    body = json.dumps({"status": "ok", "result": result})
    return deployment.http("callback", params={"token": token}, body=body)


def receive(deployment: Deployment, *messages: InboundMessage | str, receives: int = 1) -> Any:
    """Invoke the function with these messages."""
    event: dict[str, Any] = {"Records": []}
    for number, message in enumerate(messages):
        [record] = example("inbound")["Records"]
        record["body"] = message if isinstance(message, str) else message_text(message)
        record["messageId"] = f"m-{number}"
        record["attributes"]["ApproximateReceiveCount"] = str(receives)
        event["Records"].append(record)
    return deployment.invoke("InboundFunction", event, seconds=29)


def dead(deployment: Deployment) -> list[str]:
    """The bodies of the dead letters, which are taken."""
    url, bodies = deployment.physical["InboundDeadLetters"], []
    while found := deployment.sqs.receive_message(QueueUrl=url).get("Messages", []):
        for each in found:
            deployment.sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
            bodies.append(each["Body"])
    return bodies


def happened(run_id: str, key: str = "e-1", *, secret: str = "e" * 64) -> EventMessage:
    """An event as EventBridgeFunction sends it."""
    event = EventMessage(
        run_id=run_id,
        name="goods-arrived",
        payload={"pallets": 2},
        correlation="o-1",
        key=key,
        at=datetime.now(UTC),
    )
    return EventSignatures([secret]).signed(event)


@contextmanager
def outage(deployment: Deployment) -> Iterator[None]:
    """The functions' table does not answer."""
    table, deployment.physical["Table"] = deployment.physical["Table"], "no-such-table"
    try:
        yield
    finally:
        deployment.physical["Table"] = table


# -- callbacks -------------------------------------------------------------------------------------


def test_callbacks_and_events_are_accepted_without_a_write(deployment: Deployment) -> None:
    run_id, token = exporting(deployment)
    before = deployment.items()
    assert call_back(deployment, token, "12 rows").json() == {
        "run_id": run_id,
        "path": "0.0",
        "status": "ok",
    }
    event = example("eventbridge")
    event["detail"] |= {"run_id": run_id}
    assert deployment.invoke("EventBridgeFunction", event)["event_id"]
    assert deployment.items() == before
    assert set(deployment.drain()) == {"InboundFunction", "ResumeFunction"}
    assert deployment.read(run_id)["result"] == "12 rows"


@pytest.mark.parametrize("number", NO_JSON)
def test_a_number_that_json_cannot_express_is_refused(deployment: Deployment, number: str) -> None:
    run_id, token = exporting(deployment)
    before = deployment.items()
    for result in (number, f'{{"rows": [{number}]}}'):
        body = f'{{"status": "ok", "result": {result}}}'
        deployment.http("callback", params={"token": token}, body=body).refused(422)
    with suppress(ValueError):  # the runtime itself refuses a number of 5,000 digits
        event = example("eventbridge")
        event["detail"] |= {"run_id": run_id, "payload": json.loads(number)}
        with pytest.raises(Invalid):
            deployment.invoke("EventBridgeFunction", event)
    assert deployment.drain() == []
    assert deployment.items() == before


def test_of_two_outcomes_the_one_that_is_stored_first_stands(deployment: Deployment) -> None:
    run_id, token = exporting(deployment)
    for result in ("first", "second", "first"):
        assert call_back(deployment, token, result).status == 200
    for event in deployment.messages("InboundQueue"):
        assert deployment.invoke("InboundFunction", event) == NOTHING_FAILED
    call_back(deployment, token, "second").refused(409)
    [refused] = deployment.lines("message refused")
    assert (refused["kind"], refused["run_id"], refused["path"]) == ("callback", run_id, "0.0")
    assert refused["reason"] == "the outcome of this call is already known"
    assert dead(deployment) == []
    deployment.drain()
    assert deployment.read(run_id)["result"] == "first"


def test_a_result_that_is_too_large_for_a_message_is_told(deployment: Deployment) -> None:
    run_id, token = exporting(deployment)
    for _ in range(2):
        assert call_back(deployment, token, "x" * 3_000_000).status == 200
        deployment.drain()
    assert deployment.read(run_id)["result"] == too_large(3_000_000)
    call_back(deployment, token, "x" * 3_000_001).refused(409)


def test_the_largest_result_arrives(deployment: Deployment) -> None:
    run_id, token = exporting(deployment)
    assert call_back(deployment, token, "漢" * 333_000).status == 200
    deployment.drain()
    assert deployment.read(run_id)["result"] == "漢" * 333_000


def test_a_callback_for_a_run_that_has_ended_is_refused(deployment: Deployment) -> None:
    run_id, token = exporting(deployment)
    deployment.http("cancel-run", params={"run_id": run_id})
    deployment.drain()
    before = deployment.state()
    call_back(deployment, token, "late").refused(409)
    assert deployment.state() == before


def test_an_outcome_of_a_run_that_ends_meanwhile_is_dropped(deployment: Deployment) -> None:
    run_id, token = exporting(deployment)
    assert call_back(deployment, token, "late").status == 200
    [message] = deployment.messages("InboundQueue")
    deployment.http("cancel-run", params={"run_id": run_id})
    deployment.drain()
    assert deployment.invoke("InboundFunction", message) == NOTHING_FAILED
    [refused] = deployment.lines("message refused")
    assert refused["reason"] == "the run is cancelled"
    assert dead(deployment) == []


def test_no_content_and_no_token_is_in_the_log(deployment: Deployment) -> None:
    _, token = exporting(deployment)
    for result in ("zz-secret", "zz-other"):
        call_back(deployment, token, result)
    receive(deployment, happened(NOBODY), CallbackMessage(token="zz.secret", outcome=DONE))
    deployment.drain()
    log = deployment.log.getvalue()
    assert [each for each in (token, "zz", "pallets") if each in log] == []


# -- outages ---------------------------------------------------------------------------------------


def test_what_cannot_be_stored_now_is_received_again(deployment: Deployment) -> None:
    run_id, token = exporting(deployment)
    messages = CallbackMessage(token=token, outcome=DONE), happened(run_id)
    with outage(deployment):
        failed = receive(deployment, *messages)
    assert failed == {"batchItemFailures": [{"itemIdentifier": f"m-{n}"} for n in range(2)]}
    assert receive(deployment, *messages, receives=400) == NOTHING_FAILED
    deployment.drain()
    assert deployment.read(run_id)["result"] == "12 rows"


def test_one_message_that_fails_keeps_no_other(deployment: Deployment) -> None:
    run_id, token = exporting(deployment)
    messages = ("x", CallbackMessage(token="t.s", outcome=DONE))
    failed = receive(deployment, *messages, CallbackMessage(token=token, outcome=DONE))
    assert failed == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    deployment.drain()
    assert deployment.read(run_id)["result"] == "12 rows"


def test_an_event_in_an_outage_waits_in_the_queue(deployment: Deployment) -> None:
    run_id = deployment.suspended("waiter", "go")
    event = example("eventbridge")
    event["detail"]["run_id"] = run_id
    with outage(deployment):
        first = deployment.invoke("EventBridgeFunction", event)
        assert deployment.invoke("EventBridgeFunction", event) == first
    deployment.drain()
    assert deployment.read(run_id)["result"] == '{"pallets":2}'
    assert deployment.lines("event refused") == []


def test_a_callback_in_an_outage_is_to_be_repeated(deployment: Deployment) -> None:
    _, token = exporting(deployment)
    before = deployment.state()
    with outage(deployment):
        call_back(deployment, token, "12 rows").refused(503)
    url, deployment.physical["InboundQueue"] = deployment.physical["InboundQueue"], "https://x.test"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "agent_continuations.bootstrap.services.client",
            lambda name: Silent() if name == "sqs" else getattr(deployment, name),
        )
        call_back(deployment, token, "12 rows").refused(503)
    deployment.physical["InboundQueue"] = url
    assert deployment.state() == before


class Silent:
    """A client of a queue that refuses everything."""

    def send_message(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "SendMessage")


# -- what nobody may send --------------------------------------------------------------------------


def test_who_may_send_to_the_queue_can_still_not_forge(deployment: Deployment) -> None:
    """A hostile tool may send to the queue. It has the token of its own attempt, and no other."""
    run_id, token = exporting(deployment)
    waiting = deployment.suspended("waiter", "go")
    stranger, event = "z" * 64, happened(waiting)
    forged: list[InboundMessage] = [
        CallbackMessage(token=CallbackTokens([stranger]).token(run_id, "0.0"), outcome=DONE),
        CallbackMessage(token=OutcomeTokens(["c" * 64]).token(run_id, "0.0", 1), outcome=DONE),
        CallbackMessage(token="", outcome=DONE),
        CallbackMessage(token="\ud800.\ud800", outcome=DONE),
        OutcomeMessage(token=OutcomeTokens([stranger]).token(run_id, "0.0", 1), outcome=DONE),
        OutcomeMessage(token=token, outcome=DONE),
        happened(waiting, secret=stranger),
        # With the key of tokens, which functions that face the internet have.
        happened(waiting, secret="c" * 64),
        event.model_copy(update={"run_id": run_id}),
        event.model_copy(update={"payload": {"pallets": 3}}),
        event.model_copy(update={"signature": ""}),
    ]
    before = deployment.items()
    count = len(forged)
    # First the key could be a newer one; after that nothing is received again.
    assert len(receive(deployment, *map(escaped, forged))["batchItemFailures"]) == count
    assert receive(deployment, *map(escaped, forged), receives=2) == NOTHING_FAILED
    assert deployment.items() == before
    assert dead(deployment) == []
    refused = deployment.lines("message refused")
    assert len(refused) == count
    assert not any("run_id" in each for each in refused)


def escaped(message: InboundMessage) -> str:
    """A message as a hostile sender may write it: also with half a surrogate pair."""
    return json.dumps({**message.model_dump(), **_text(message)}, default=str)


def _text(message: InboundMessage) -> dict[str, str]:
    return {"at": message.at.isoformat()} if isinstance(message, EventMessage) else {}


def test_a_key_that_is_newer_than_the_cached_one_costs_one_more_receive(
    deployment: Deployment,
) -> None:
    run_id = deployment.suspended("waiter", "go")
    event = happened(run_id, secret="n" * 64)
    assert receive(deployment, event)["batchItemFailures"]
    rotated = {"current": "n" * 64, "previous": ["e" * 64]}
    deployment.keep_secret("EventSecret", json.dumps(rotated))
    assert receive(deployment, event, receives=2) == NOTHING_FAILED
    deployment.drain()
    assert deployment.read(run_id)["result"] == '{"pallets":2}'


@pytest.mark.parametrize(
    "body",
    [
        "x",
        "[]",
        "null",
        "[" * 100_000,
        '{"v": 2, "kind": "callback", "token": "t", "outcome": {"kind": "ok", "content": ""}}',
        '{"run_id": "mzxw6ytboi2dgnjrgezdgnbv"}',
    ],
    ids=lambda body: body[:20],
)
def test_a_message_of_an_unknown_form_is_a_dead_letter_at_once(
    deployment: Deployment, body: str
) -> None:
    assert receive(deployment, body) == NOTHING_FAILED
    assert dead(deployment) == [body]
    [refused] = deployment.lines("message refused")
    assert "no form that is known" in refused["reason"]


# -- events ----------------------------------------------------------------------------------------


def test_an_event_that_its_run_does_not_take_is_a_dead_letter(deployment: Deployment) -> None:
    run_id = deployment.suspended("waiter", "go")
    deployment.http("cancel-run", params={"run_id": run_id})
    deployment.drain()
    event, other = happened(run_id), happened(NOBODY)
    assert receive(deployment, event, other) == NOTHING_FAILED
    assert dead(deployment) == [message_text(event), message_text(other)]
    ended, missing = deployment.lines("message refused")
    assert (ended["run_id"], ended["reason"]) == (run_id, "the run is cancelled")
    assert missing["run_id"] == NOBODY


def test_an_event_that_is_on_record_is_not_sent_again(deployment: Deployment) -> None:
    run_id = deployment.suspended("waiter", "go")
    event = example("eventbridge")
    event["detail"]["run_id"] = run_id
    first = deployment.invoke("EventBridgeFunction", event)
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"
    assert deployment.invoke("EventBridgeFunction", event) == first
    assert deployment.drain() == []


# -- late outcomes ---------------------------------------------------------------------------------


def test_a_late_outcome_ends_its_call(deployment: Deployment) -> None:
    """The run's process was lost while the tool ran; its host reports the outcome by the queue."""
    run_id = deployment.suspended("payer", "go")
    token = OutcomeTokens(["c" * 64]).token(run_id, "0.0", 1)
    early = OutcomeMessage(token=token, outcome=DONE)
    assert receive(deployment, early) == NOTHING_FAILED
    assert deployment.read(run_id)["status"] == "suspended", "nobody has approved the call"
    assert deployment.click(deployment.token(BOSS)).status == 303
    deployment.messages("ResumeQueue")
    deployment.lose(run_id, "0.0")
    other = OutcomeMessage(token=token, outcome=Outcome(kind="error", content="no"))
    assert receive(deployment, early, early, other) == NOTHING_FAILED
    fates = [each["outcome"] for each in deployment.lines("message processed")]
    assert fates[-3:] == ["stored", "stored", "dropped"]
    assert [each["path"] for each in deployment.lines("message refused")] == ["0.0", "0.0"]
    assert dead(deployment) == []
    deployment.drain()
    assert (deployment.read(run_id)["result"], PAID) == ("12 rows", [])
