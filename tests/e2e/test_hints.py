"""The queues carry hints only: one that is lost costs time, ten for one cost nothing."""

import json

from tests.e2e.conftest import Client, System


def test_a_decision_whose_hint_is_lost_is_found_by_the_sweeper(
    client: Client, system: System
) -> None:
    run_id = client.start("treasury", "Pay 3000 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]
    system.quiet()
    with system.deaf("ResumeFunction"):
        assert client.decide(run_id, asked, "approve").status == 200
        system.lose_hints("ResumeQueue")
    assert client.run(run_id)["status"] == "ready"
    assert system.effects(run_id, "transfer") == []

    assert system.sweep() >= 1
    run = client.ended(run_id)
    assert run["status"] == "completed", run
    assert len(system.effects(run_id, "transfer")) == 1


def test_a_start_whose_hint_is_lost_is_found_by_the_sweeper(client: Client, system: System) -> None:
    system.quiet()
    with system.deaf("AdvanceFunction"):
        run_id = client.start("treasury", "Pay 30 to ops")
        system.lose_hints("AdvanceQueue")
    assert client.run(run_id)["status"] == "ready"

    system.let_a_minute_pass(run_id)
    assert system.sweep() >= 1
    assert client.ended(run_id)["status"] == "completed"
    assert len(system.effects(run_id, "transfer")) == 1


def test_ten_hints_at_once_for_one_decision_run_the_tool_once(
    client: Client, system: System
) -> None:
    run_id = client.start("treasury", "Pay 4000 to reserve")
    (asked,) = client.suspended(run_id)["waiting"]
    # Nobody hears until all of them are there, so that they are heard at once.
    with system.deaf("ResumeFunction"):
        assert client.decide(run_id, asked, "approve").status == 200
        _send_ten(system, "ResumeQueue", run_id)
    _ran_once(client, system, run_id, 4000)


def test_ten_hints_at_once_for_one_start_run_the_tool_once(client: Client, system: System) -> None:
    with system.deaf("AdvanceFunction"):
        run_id = client.start("treasury", "Pay 77 to reserve")
        _send_ten(system, "AdvanceQueue", run_id)
    _ran_once(client, system, run_id, 77)


def _send_ten(system: System, name: str, run_id: str) -> None:
    queue, hint = system.stack.resource(name), json.dumps({"run_id": run_id})
    entries = [{"Id": str(number), "MessageBody": hint} for number in range(10)]
    sent = system.stack.client("sqs").send_message_batch(QueueUrl=queue, Entries=entries)
    assert len(sent["Successful"]) == 10
    assert system.queued()[name] == 11


def _ran_once(client: Client, system: System, run_id: str, amount: int) -> None:
    """The run ends, its tool ran once, and the model was asked once for each of seven turns."""
    run = client.ended(run_id)
    system.quiet()  # in the queue of dead letters, too
    assert run["status"] == "completed", run
    assert len(system.effects(run_id, "transfer")) == 1
    ran = [each for each in client.timeline(run_id, "tool") if each["tool"] == "transfer"]
    assert len(ran) == 1
    # The treasury and its clerk have two turns each, the worker has three.
    asked = [each for each in system.model.conversations if f" {amount} " in each]
    assert len(asked) == len(set(asked)) == 7
    assert len(client.timeline(run_id, "model")) == 7


def test_a_hint_for_a_run_that_has_ended_or_never_was_does_nothing(
    client: Client, system: System
) -> None:
    run_id = client.start("treasury", "Pay 20 to ops")
    before = client.ended(run_id)
    system.quiet()
    sqs = system.stack.client("sqs")
    for queue in ("AdvanceQueue", "ResumeQueue"):
        for told in (run_id, "aaaaaaaaaaaaaaaaaaaaaaaa"):
            sqs.send_message(
                QueueUrl=system.stack.resource(queue), MessageBody=json.dumps({"run_id": told})
            )
    system.quiet()
    assert client.run(run_id) == before
    assert len(system.effects(run_id, "transfer")) == 1
