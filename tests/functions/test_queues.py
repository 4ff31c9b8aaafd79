"""The functions behind queues and the schedule: no work is lost or repeated."""

import json
import random
import string
import time
from typing import Any

import pytest

import agents
from tests.local import script
from tests.local.model_server import Fault, Json, ModelServer, Reply
from tests.local.template import template
from tests.support.deployment import SECURITY, Deployment
from tests.support.hr_agent import hr_agent
from tests.support.lambda_invocation import example


def kinds(deployment: Deployment, run_id: str) -> list[tuple[str, str | None]]:
    return [(each["kind"], each["tool"]) for each in deployment.timeline(run_id)]


def is_notice(item: dict[str, Any]) -> bool:
    return str(item["sk"]["S"]).startswith("N#")


def is_head(item: dict[str, Any]) -> bool:
    return str(item["sk"]["S"]) == "#H"


# -- advance ------------------------------------------------------------


def test_a_message_that_is_delivered_twice_has_one_effect(
    deployment: Deployment, model: ModelServer
) -> None:
    run_id = deployment.started()
    [work] = deployment.messages("AdvanceQueue")
    deployment.invoke("AdvanceFunction", work)
    before, asked = kinds(deployment, run_id), len(model.requests)
    assert deployment.invoke("AdvanceFunction", work) == {"batchItemFailures": []}
    assert (kinds(deployment, run_id), len(model.requests)) == (before, asked)
    deployment.drain()
    assert len(deployment.mails()) == 1
    deployment.click(deployment.token())
    [resume] = deployment.messages("ResumeQueue")
    for _ in range(3):
        deployment.invoke("ResumeFunction", resume)
    deployment.invoke("AdvanceFunction", work)
    assert len(model.requests) == asked + 2
    assert kinds(deployment, run_id).count(("tool", "authorize")) == 1
    assert deployment.read(run_id)["status"] == "completed"


def test_a_message_for_a_missing_run_is_deleted(deployment: Deployment) -> None:
    assert deployment.hint("AdvanceQueue", run_id="unknown") == {"batchItemFailures": []}


def test_only_the_message_with_a_failing_store_is_retried(deployment: Deployment) -> None:
    letters = "".join(random.choices(string.ascii_letters, k=100_000))
    large = deployment.started(input=f"Onboard Ada. {letters}")
    [work] = deployment.messages("AdvanceQueue")
    small = deployment.started()
    [more] = deployment.messages("AdvanceQueue")
    bucket, deployment.physical["Bucket"] = deployment.physical["Bucket"], "no-such-bucket"
    batch = {"Records": [*work["Records"], *more["Records"]]}
    failed = work["Records"][0]["messageId"]
    answer = deployment.invoke("AdvanceFunction", batch)
    assert answer == {"batchItemFailures": [{"itemIdentifier": failed}]}
    assert deployment.read(small)["status"] == "suspended"
    deployment.physical["Bucket"] = bucket
    # The failed claim has handed the run back.
    deployment.hint("AdvanceQueue", run_id=large)
    assert deployment.read(large)["status"] == "suspended"


def test_a_large_value_is_stored_in_the_bucket_and_read_again(deployment: Deployment) -> None:
    letters = "".join(random.choices(string.ascii_letters, k=100_000))
    run_id = deployment.suspended(input=f"Onboard Ada. {letters}")
    [stored] = deployment.s3.list_objects_v2(Bucket=deployment.table)["Contents"]
    assert stored["Key"].startswith(f"runs/{run_id}/")
    assert deployment.timeline(run_id)[0]["text"].startswith("Onboard Ada. ")


def test_a_run_whose_stored_value_is_lost_is_parked(deployment: Deployment) -> None:
    letters = "".join(random.choices(string.ascii_letters, k=100_000))
    run_id = deployment.started(input=f"Onboard Ada. {letters}")
    [stored] = deployment.s3.list_objects_v2(Bucket=deployment.table)["Contents"]
    deployment.s3.delete_object(Bucket=deployment.table, Key=stored["Key"])
    [work] = deployment.messages("AdvanceQueue")
    deployment.invoke("AdvanceFunction", work)
    [item] = deployment.http("list-runs", query={}).json()["items"]
    assert (item["run_id"], item["status"]) == (run_id, "parked")


def test_a_run_with_little_time_left_is_handed_over(
    deployment: Deployment, model: ModelServer
) -> None:
    run_id = deployment.started()
    [work] = deployment.messages("AdvanceQueue")
    deployment.invoke("AdvanceFunction", work, seconds=30)
    assert model.requests == []
    assert deployment.read(run_id)["status"] == "ready"
    assert deployment.drain() == ["ResumeFunction", "NotifyFunction"]
    assert deployment.read(run_id)["status"] == "suspended"


def test_a_busy_model_sets_a_timer_and_loses_no_work(
    deployment: Deployment, model: ModelServer
) -> None:
    model.respond = lambda _request: Fault(status=429, retry_after="60")
    run_id = deployment.started()
    deployment.drain()
    shown = deployment.read(run_id)
    assert shown["status"] == "suspended"
    assert [each["kind"] for each in shown["waiting"]] == ["model"]
    assert deployment.sweep() == 0
    model.respond = script.respond
    deployment.make_due(lambda item: item["pk"]["S"] == f"R#{run_id}")
    assert deployment.sweep() == 1
    deployment.drain()
    assert [each["kind"] for each in deployment.read(run_id)["waiting"]] == ["approval"]


def test_a_model_that_refuses_blocks_the_run_until_it_is_redriven(
    deployment: Deployment, model: ModelServer
) -> None:
    model.respond = lambda _request: Fault(status=401)
    run_id = deployment.started()
    deployment.drain()
    shown = deployment.read(run_id)
    assert shown["status"] == "suspended"
    assert "401" in shown["error"]
    assert "sk-test" not in json.dumps(shown)
    model.respond = script.respond
    event = example("redrive-run") | {"pathParameters": {"run_id": run_id}}
    assert deployment.invoke("RunsApiFunction", event)["statusCode"] == 202
    deployment.drain()
    assert deployment.read(run_id)["status"] == "suspended"


def test_a_run_waits_and_says_so_while_the_models_key_cannot_be_read(
    deployment: Deployment, model: ModelServer
) -> None:
    secret = deployment.physical["ModelSecret"]
    deployment.physical["ModelSecret"] = "no-such-secret"
    run_id = deployment.started()
    assert "AdvanceFunction" in deployment.drain()
    shown = deployment.read(run_id)
    assert shown["status"] == "suspended"
    [waiting] = shown["waiting"]
    assert waiting["kind"] == "model"
    [line] = deployment.lines("model unavailable")
    assert line["reason"].endswith("cannot be read: ResourceNotFoundException")
    deployment.physical["ModelSecret"] = secret
    deployment.make_due(lambda item: item["pk"]["S"] == f"R#{run_id}")
    assert deployment.sweep() == 1
    deployment.drain()
    assert [each["kind"] for each in deployment.read(run_id)["waiting"]] == ["approval"]


# -- notify ------------------------------------------------------------


def test_a_notice_is_mailed_once_despite_repeated_wake_up_messages(deployment: Deployment) -> None:
    deployment.started()
    [work] = deployment.messages("AdvanceQueue")
    deployment.invoke("AdvanceFunction", work)
    [hint] = deployment.messages("NotifyQueue")
    for _ in range(3):
        assert deployment.invoke("NotifyFunction", hint) == {"batchItemFailures": []}
    assert len(deployment.mails()) == 1
    deployment.make_due(is_notice)
    assert deployment.sweep() == 0


def test_only_failed_recipients_are_mailed_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "nobody@"
    monkeypatch.setattr(agents, "AGENTS", [hr_agent(approvers=[broken, SECURITY])])
    run_id = deployment.suspended()
    assert [mail.to for mail in deployment.mails()] == [SECURITY]
    [notice] = [item for item in deployment.items() if is_notice(item)]
    assert "due" not in notice  # trying again would be useless
    [failure] = deployment.lines("notice not delivered")
    assert (failure["run_id"], failure["channel"], failure["retry"]) == (run_id, "email", False)
    assert failure["reason"] == "not a mail address, or more than one"
    assert broken not in deployment.log.getvalue()
    assert "NoticesUndelivered" in deployment.log.getvalue()
    assert deployment.sweep() == 0
    assert deployment.click(deployment.token()).status == 303
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"


def test_mail_that_ses_refused_is_sent_once_ses_accepts_it(deployment: Deployment) -> None:
    deployment.forbid_sender()
    deployment.suspended()
    assert deployment.mails() == []
    assert "Did not have authority" in deployment.log.getvalue()
    deployment.allow_sender()
    deployment.make_due(is_notice)
    assert deployment.sweep() == 1
    deployment.drain()
    assert [mail.to for mail in deployment.mails()] == [SECURITY]
    assert "NoticesDelivered" in deployment.log.getvalue()


def test_a_message_for_a_missing_notice_is_deleted(deployment: Deployment) -> None:
    run_id = deployment.suspended()
    answer = deployment.hint("NotifyQueue", run_id=run_id, notice_id="unknown")
    assert answer == {"batchItemFailures": []}


def test_the_topic_notifies_machines_without_a_link(deployment: Deployment) -> None:
    queue = deployment.sqs.create_queue(QueueName=f"heard-{deployment.table}")["QueueUrl"]
    about = deployment.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    deployment.sns.subscribe(
        TopicArn=deployment.physical["Notices"],
        Protocol="sqs",
        Endpoint=about["Attributes"]["QueueArn"],
    )
    run_id = deployment.suspended()
    [heard] = deployment.sqs.receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(json.loads(heard["Body"])["Message"])
    assert told["run_id"] == run_id
    assert told["request_id"] == deployment.request_id(run_id)
    assert (told["kind"], told["tool"]) == ("approval", "authorize")
    assert "approvals/" not in heard["Body"]
    assert deployment.token() not in heard["Body"]
    assert "Ada Lovelace" not in heard["Body"]


def test_a_mail_links_to_the_public_url_if_there_is_one(deployment: Deployment) -> None:
    deployment.parameters["PublicUrl"] = "https://agents.example.com/"
    deployment.suspended()
    [mail] = deployment.mails()
    assert mail.link == f"https://agents.example.com/approvals/{mail.token}"


# -- sweep ------------------------------------------------------------


def test_the_sweeper_finds_the_work_of_lost_wake_up_messages(deployment: Deployment) -> None:
    run_id = deployment.started()
    deployment.messages("AdvanceQueue")  # taken, and lost
    assert deployment.sweep() == 0  # the hint had its minute
    deployment.make_due(is_head)
    assert deployment.sweep() == 1
    [again] = deployment.messages("AdvanceQueue")
    assert json.loads(again["Records"][0]["body"]) == {"run_id": run_id}
    deployment.invoke("AdvanceFunction", again)
    deployment.messages("NotifyQueue")  # lost, too
    assert deployment.sweep() == 0
    deployment.make_due(is_notice)
    assert deployment.sweep() == 1
    assert deployment.drain() == ["NotifyFunction"]
    assert [mail.to for mail in deployment.mails()] == [SECURITY]
    deployment.click(deployment.token())
    deployment.messages("ResumeQueue")  # and lost
    assert deployment.sweep() == 1
    deployment.drain()
    assert deployment.read(run_id)["status"] == "completed"
    assert deployment.sweep() == 0


def test_the_sweeper_continues_a_run_with_an_expired_lease(
    deployment: Deployment, model: ModelServer
) -> None:
    run_id = deployment.started()
    deployment.messages("AdvanceQueue")

    def lost(request: Json) -> Reply | Fault:
        deployment.dynamodb.update_item(
            TableName=deployment.table,
            Key={"pk": {"S": f"R#{run_id}"}, "sk": {"S": "#H"}},
            UpdateExpression="SET epoch = epoch + :one, lease_until = :past, due = :past",
            ExpressionAttributeValues={":one": {"N": "1"}, ":past": {"N": "1"}},
        )
        return script.respond(request)

    model.respond = lost
    deployment.hint("AdvanceQueue", run_id=run_id)
    assert model.requests
    assert deployment.read(run_id)["status"] == "running"
    model.respond = script.respond
    assert deployment.sweep() == 1
    deployment.drain()
    assert deployment.read(run_id)["status"] == "suspended"


def test_an_approver_who_could_not_be_notified_is_shown_on_the_run(deployment: Deployment) -> None:
    deployment.forbid_sender()
    run_id = deployment.suspended()
    [asked], [undelivered] = (
        deployment.read(run_id)["waiting"],
        deployment.read(run_id)["undelivered"],
    )
    assert undelivered["request_id"] == asked["request_id"]
    assert undelivered["recipients"] == [f"email:{SECURITY}"]
    assert undelivered["attempts"] == 1
    assert "MessageRejected" in undelivered["failure"]
    assert undelivered["again_at"] < asked["expires_at"]
    deployment.allow_sender()
    deployment.make_due(lambda item: item["sk"]["S"].startswith("N#"))
    deployment.sweep()
    deployment.drain()
    assert deployment.read(run_id)["undelivered"] == []


# -- stuck runs --------------------------------------------------------


def test_runs_that_nothing_will_wake_are_found_on_schedule(deployment: Deployment) -> None:
    fine, forgotten = deployment.suspended(), deployment.started()
    every_hour = example("find-stuck-runs")
    assert deployment.invoke("FindStuckRunsFunction", every_hour) == {"stuck": 0}
    deployment.dynamodb.update_item(
        TableName=deployment.table,
        Key={"pk": {"S": f"R#{forgotten}"}, "sk": {"S": "#H"}},
        UpdateExpression="REMOVE due",
    )
    assert deployment.invoke("FindStuckRunsFunction", every_hour) == {"stuck": 1}
    [stuck] = deployment.lines("run stuck")
    assert (stuck["level"], stuck["run_id"]) == ("ERROR", forgotten)
    assert stuck["reason"] == "ready, but has no due time"
    assert fine not in json.dumps(stuck)


def test_a_run_that_stays_blocked_is_counted_for_the_alarm(
    deployment: Deployment, model: ModelServer
) -> None:
    model.respond = lambda _request: Fault(status=401)
    run_id = deployment.started()
    deployment.drain()
    assert not deployment.lines("run blocked")
    hour_ago = int(1000 * (time.time() - 3600))
    deployment.dynamodb.update_item(
        TableName=deployment.table,
        Key={"pk": {"S": f"R#{run_id}"}, "sk": {"S": "#H"}},
        UpdateExpression="SET obstacle.since = :ago",
        ExpressionAttributeValues={":ago": {"N": str(hour_ago)}},
    )
    deployment.hint("ResumeQueue", run_id=run_id)
    assert "RunsBlocked" in deployment.log.getvalue()
    [blocked] = deployment.lines("run blocked")
    assert (blocked["level"], blocked["run_id"]) == ("ERROR", run_id)
    alarm = template()["Resources"]["BlockedAlarm"]["Properties"]
    assert (alarm["MetricName"], alarm["Dimensions"][0]["Value"]) == ("RunsBlocked", "advance")
