"""The cost of an approval: requests of the deployed functions, from the start of a run to its end.

The functions are imported and receive the events that AWS would send. Their table is DynamoDB
Local's; mail, queues, secrets and the bucket are moto's, in this process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

import agents
from agent_continuations import Agent, Approval, tool
from agent_continuations.bootstrap.aws import client as aws_clients
from agents.payments import treasury
from tests.bench.place import Ground
from tests.bench.scale import Scale
from tests.bench.tables import Goal, Row, Table
from tests.bench.wire import Meter, Tally
from tests.local import script
from tests.local.model_server import Call, Json, ModelServer, Reply
from tests.simulation.dynamodb import item_bytes
from tests.support.deployment import Deployment
from tests.support.lambda_invocation import REGION

CFO = "cfo@example.com"
CASES = {"flat": "payer", "three levels": "treasury"}
TASK = "Transfer 250 to ops."


@tool(approval=Approval([CFO]))
def pay(amount: int, to: str) -> str:
    """Pay somebody.

    Args:
        amount: euros.
        to: the receiving account.
    """
    return f"Paid {amount} euros to {to}."


# The smallest agent that asks. In the other case, an agent two levels down asks.
payer = Agent("payer", "You pay what you are asked to pay.", tools=[pay])


def run(ground: Ground, scale: Scale) -> dict[str, Any]:
    """One run of each case."""
    return {"cases": {name: _measured(ground, name, scale) for name in CASES}}


def _measured(ground: Ground, name: str, scale: Scale) -> dict[str, Any]:
    with _deployed(ground) as (deployment, meter):
        stages: dict[str, Tally] = {}
        meter.take()
        run_id = deployment.started(CASES[name], TASK)
        stages["start"] = meter.take()
        deployment.drain()
        stages["to the question, and the mail"] = meter.take()
        resting = deployment.items()
        request_id = deployment.request_id(run_id)
        expires = datetime.now(UTC) + timedelta(days=1)
        token = deployment.capabilities().token(run_id, request_id, CFO, expires, "f" * 64)
        meter.take()
        nonce = deployment.page(token).form_value("nonce")
        stages["the page"] = meter.take()
        answer = deployment.answer(token, {"nonce": nonce, "decision": "approve"})
        if answer.status not in (200, 303):
            raise AssertionError(answer.body)
        stages["the decision"] = meter.take()
        deployment.drain()
        stages["to the end"] = meter.take()
        if deployment.read(run_id)["status"] != "completed":
            raise AssertionError(deployment.timeline(run_id))
        stored = sum(map(item_bytes, deployment.items()))
    scale.say(f"approval: {name}")
    return {
        "stages": {stage: tally.plain() for stage, tally in stages.items()},
        "suspended": {
            "bytes": sum(map(item_bytes, resting)),
            "items": len(resting),
            "index_entries": sum(("due" in item) + ("list_key" in item) for item in resting),
        },
        "stored": stored,
    }


@contextmanager
def _deployed(ground: Ground) -> Iterator[tuple[Deployment, Meter]]:
    """The functions with a table of their own, and the meter of their requests."""
    meter = Meter()
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", ground.dynamodb_url)
        boto3.setup_default_session()
        session: Any = boto3.DEFAULT_SESSION
        meter.attach(session.events)
        aws_clients.cache_clear()
        patch.setattr(agents, "AGENTS", [payer, treasury])
        with ModelServer(_respond, api_key="sk-test") as model:
            yield Deployment(patch, model.base_url), meter
        aws_clients.cache_clear()
        boto3.DEFAULT_SESSION = None


def _respond(request: Json) -> Reply:
    if [each["function"]["name"] for each in request.get("tools", ())] != ["pay"]:
        return script.respond(request)
    if request["messages"][-1]["role"] == "tool":
        return Reply(content="It is paid.")
    return Reply(tool_calls=(Call("pay", {"amount": 250, "to": "ops"}),))


def tables(result: dict[str, Any]) -> list[Table]:
    """One row a stage."""
    rows: list[Row] = []
    for name, case in result["cases"].items():
        for stage, tally in [*case["stages"].items(), ("in all", _sum(case))]:
            units = (tally["write"], tally["write_indexes"], tally["read"] + tally["read_indexes"])
            rows.append((f"{name}: {stage}", tally["requests"], *units))
    head = ("approval", "store requests", "write units", "of indexes", "read units")
    note = (
        "The deployed functions, with a mail and an approver who opens the page and decides."
        " Flat is one agent and one call that asks; the other is the treasury of the examples."
        " DynamoDB Local counts an index write in a transaction twice; AWS's own calculator"
        " (aws/agent-toolkit-for-aws, calculate_costs.py) says that only the table's are."
    )
    return [Table("What an approval costs", head, rows, note)]


def goals(result: dict[str, Any]) -> list[Goal]:
    """The goals of the flat run."""
    flat = _sum(result["cases"]["flat"])
    every = flat["write"] + flat["write_indexes"]
    once = every - flat["twice_indexes"] / 2
    return [
        Goal("flat approval run: write units of the table", 24, flat["write"]),
        Goal("flat approval run: with indexes, as DynamoDB Local counts", 40, every),
        Goal("the same, if transactions count index writes once", 40, once),
        Goal("flat approval run: store requests", 18, flat["requests"]),
    ]


def _sum(case: dict[str, Any]) -> dict[str, Any]:
    names = ("requests", "write", "write_indexes", "twice_indexes", "read", "read_indexes")
    return {name: sum(tally[name] for tally in case["stages"].values()) for name in names}
