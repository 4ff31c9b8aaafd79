"""Runs that wait for everything else than an approval, on the deployed local stack."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.e2e.conftest import PROBLEM, Client, System, wait_for
from tests.local.template import ROOT

BUYER, SECURITY = "buyer@example.com", "security@example.com"
ANSWER = {"arguments.day": "2026-12-24", "arguments.floor": "3", "arguments.lift": "true"}


def kinds(client: Client, run_id: str) -> list[str]:
    return [each["kind"] for each in client.run(run_id)["waiting"]]


def polled(client: Client, run_id: str, **query: str) -> dict[str, Any]:
    """The run as a long poll finds it."""
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = client.send("GET", f"/runs/{run_id}?{text}")
    assert answer.status == 200, answer.text
    document: dict[str, Any] = answer.json
    return document


def test_an_order_waits_for_a_person_an_event_a_job_and_other_runs(
    client: Client, system: System
) -> None:
    run_id = client.start("logistics", "Deliver the order o-7 in 3 parcels.")
    waiting = polled(client, run_id, wait="20")
    assert [each["kind"] for each in waiting["waiting"]] == ["question", "event"]
    question = waiting["waiting"][0]
    # By EventBridge, as another system would.
    detail = {"run_id": run_id, "name": "goods-arrived", "correlation": "o-7"}
    entry = {
        "EventBusName": system.stack.resource("EventBus"),
        "Source": "com.example.warehouse",
        "DetailType": "Agent Run Event",
        "Detail": json.dumps({**detail, "payload": {"pallets": 2}}),
    }
    system.stack.client("events").put_events(Entries=[entry])
    wait_for("the event", lambda: kinds(client, run_id) == ["question"] or None)
    # By the link in the mail; once with a floor that there is not.
    link = client.link(question, BUYER)
    wrong = client.post(link, decision="approve", **{**ANSWER, "arguments.floor": "99"})
    assert wrong.status == 422
    assert wrong.headers["content-type"] == PROBLEM
    assert client.post(link, decision="approve", **ANSWER).status == 200
    wait_for("the job", lambda: kinds(client, run_id) == ["job"] or None)
    # By the address that the tool was given; whoever changes it ends nothing.
    [booked] = system.effects(run_id, "book_truck")
    address = booked["callback_url"]
    assert address.startswith(f"{client.url}/callbacks/")
    ended = {"status": "ok", "result": "The truck is booked."}
    assert client.send("POST", f"{address}x", ended).status == 404
    assert client.send("POST", address, ended).status == 200
    run = client.ended(run_id)
    assert client.send("POST", address, ended).status == 200
    assert client.send("POST", address, {**ended, "result": "?"}).status == 409
    assert run["status"] == "completed", run
    assert run["result"].startswith("The truck is booked. The parcel o-7/1 is on its way")
    assert run["result"].count("is on its way") == 3
    couriers = client.send("GET", "/runs?agent=courier").json["items"]
    mine = [each for each in couriers if client.run(each["run_id"])["parent"] == run_id]
    assert [each["status"] for each in mine] == ["completed"] * 3
    # And goes on with what is said next.
    again = client.send("POST", f"/runs/{run_id}/messages", {"content": "Thanks!"})
    assert again.status == 202
    said = polled(client, run_id, wait="20", after=run["updated_at"])
    assert (said["status"], said["result"]) == ("completed", "The order is delivered.")
    shown = client.send("GET", f"/web/runs/{run_id}", headers={"Accept": "text/html"})
    assert shown.status == 200
    assert "Thanks!" in shown.text
    assert "<script" not in shown.text


def test_an_operator_holds_a_run_and_lets_it_go_on(client: Client, system: System) -> None:
    run_id = client.start("logistics", "Deliver the order o-8.")
    client.suspended(run_id, waiting=2)
    assert client.send("POST", f"/runs/{run_id}/pause").status == 202
    event = {"correlation": "o-8", "payload": "here"}
    happened = client.send("POST", f"/runs/{run_id}/events/goods-arrived", event)
    assert happened.status == 202
    system.quiet()
    assert client.run(run_id)["paused"]
    assert client.run(run_id)["status"] == "suspended"
    assert client.send("POST", f"/runs/{run_id}/resume").status == 202
    wait_for("the event", lambda: kinds(client, run_id) == ["question"] or None)
    assert client.send("POST", f"/runs/{run_id}/cancel").status == 202
    assert client.ended(run_id)["status"] == "cancelled"


def command(client: Client, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line client, as somebody would type it."""
    return subprocess.run(
        [sys.executable, "-m", "agent_continuations.cli", "--url", client.url, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "layers" / "continuations")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_run_is_started_watched_and_decided_from_the_command_line(client: Client) -> None:
    started = command(client, "--json", "start", "hr", "Onboard Ada (ada@example.com), basic")
    assert started.returncode == 0, started.stderr
    run_id = json.loads(started.stdout)["run_id"]
    tailed = command(client, "tail", run_id)
    assert tailed.returncode == 3, (tailed.stdout, tailed.stderr)
    assert "authorize" in tailed.stdout
    shown = command(client, "show", run_id)
    assert shown.returncode == 0
    assert "account_agent" in shown.stdout
    approved = command(client, "approve", run_id, "--approver", SECURITY, "--yes")
    assert approved.returncode == 0, approved.stderr
    ended = command(client, "tail", run_id)
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    again = command(client, "reject", run_id)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.count("\n") == 1
    assert command(client, "audit", run_id, "--verify").returncode == 0
