"""Who may do what: callers, approvers, and the functions themselves."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.e2e.conftest import FUNCTIONS, Client, System
from tests.local.ministack import REGION

SECURITY = "security@example.com"
BASIC = "AWSLambdaBasicExecutionRole"


def test_a_request_that_is_not_signed_is_refused(client: Client, system: System) -> None:
    run_id = client.start("treasury", "Pay 8 to ops")
    api = system.stack.api_url
    body = {"agent": "treasury", "input": "Pay 9 to ops"}
    for method, path, sent in (
        ("GET", "/runs", None),
        ("POST", "/runs", body),
        ("GET", f"/runs/{run_id}", None),
        ("GET", f"/runs/{run_id}/continuation", None),
        ("GET", f"/runs/{run_id}/timeline", None),
        ("POST", f"/runs/{run_id}/decisions", {}),
        ("POST", f"/runs/{run_id}/cancel", None),
        ("POST", f"/runs/{run_id}/redrive", None),
    ):
        answer = client.send(method, api + path, sent)
        assert answer.status == 403, (method, path, answer.text)
    assert client.ended(run_id)["status"] == "completed"


def test_a_request_signed_by_somebody_unknown_is_refused(client: Client, system: System) -> None:
    url = system.stack.api_url + "/runs"
    request = AWSRequest(method="GET", url=url)
    stranger = Credentials("AKIAAAAAAAAAAAAAAAAA", "not a secret of anybody here")
    SigV4Auth(stranger, "execute-api", REGION).add_auth(request)
    assert client.send("GET", url, headers=dict(request.headers)).status == 403


def test_an_approvers_link_needs_no_signature(client: Client, system: System) -> None:
    run_id = client.start("hr", "Onboard Alan Turing (alan@example.com), basic")
    (asked,) = client.suspended(run_id)["waiting"]
    token = client.link(asked, SECURITY).rpartition("/")[2]
    link = f"{system.stack.api_url}/approvals/{token}"
    assert client.send("GET", link).status == 200
    assert client.post(link, decision="reject", reason="he left").status == 200
    assert "he left" in client.ended(run_id)["result"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_may_do_everything_or_touch_everything(system: System, function: str) -> None:
    for statement in _statements(system, function):
        assert statement["Effect"] == "Allow"
        actions, resources = _list(statement["Action"]), _list(statement["Resource"])
        assert not [action for action in actions if "*" in action]
        if "*" in resources:
            assert set(actions) == {"ses:SendEmail", "ses:SendRawEmail"}
            (condition,) = statement["Condition"].values()
            assert condition == {"ses:FromAddress": "approvals@example.com"}
        else:
            # All objects of runs; all versions of a function; all lists of callers.
            all_of = {"lambda:InvokeFunction": ":*", "ssm:GetParameter": "/callers/*"}
            rest = all_of.get(actions[0], "/runs/*")
            assert not [each for each in resources if "*" in each.removesuffix(rest)]


@pytest.mark.parametrize(
    "function",
    FUNCTIONS,
)
def test_no_function_has_a_policy_of_amazons_but_the_one_for_its_logs(
    system: System, function: str
) -> None:
    iam = system.stack.client("iam")
    attached = iam.list_attached_role_policies(RoleName=system.role(function))["AttachedPolicies"]
    assert [each["PolicyName"] for each in attached] == [BASIC]


def test_the_function_behind_the_links_can_do_its_work_and_no_more(system: System) -> None:
    resource = system.stack.resource
    table, bucket = resource("Table"), resource("Bucket")
    with system.as_function("ApprovalsApiFunction") as client:
        secrets, dynamodb, s3, sqs = map(client, ("secretsmanager", "dynamodb", "s3", "sqs"))
        secrets.get_secret_value(SecretId=resource("SigningSecret"))
        _refused(lambda: secrets.get_secret_value(SecretId=resource("ModelSecret")))
        _refused(lambda: dynamodb.scan(TableName=table))
        _refused(lambda: dynamodb.delete_item(TableName=table, Key={"pk": _s("x"), "sk": _s("x")}))
        _refused(lambda: s3.put_object(Bucket=bucket, Key="elsewhere", Body=b""))
        _refused(lambda: sqs.send_message(QueueUrl=resource("AdvanceQueue"), MessageBody="{}"))
        _refused(lambda: sqs.receive_message(QueueUrl=resource("ResumeQueue")))


@pytest.mark.parametrize("function", ["CallbacksFunction", "EventBridgeFunction"])
def test_the_functions_that_other_systems_call_can_read_and_send_only(
    system: System, function: str
) -> None:
    resource = system.stack.resource
    table, bucket, key = resource("Table"), resource("Bucket"), {"pk": _s("x"), "sk": _s("x")}
    with system.as_function(function) as client:
        dynamodb, s3, sqs = map(client, ("dynamodb", "s3", "sqs"))
        dynamodb.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": _s("x")},
        )
        put = {"Put": {"TableName": table, "Item": key}}
        _refused(lambda: dynamodb.put_item(TableName=table, Item=key))
        _refused(lambda: dynamodb.transact_write_items(TransactItems=[put]))
        _refused(lambda: dynamodb.update_item(TableName=table, Key=key))
        _refused(lambda: s3.put_object(Bucket=bucket, Key="runs/x", Body=b""))
        for queue in ("AdvanceQueue", "ResumeQueue", "NotifyQueue"):
            url = resource(queue)
            _refused(partial(sqs.send_message, QueueUrl=url, MessageBody="{}"))
        _refused(lambda: sqs.receive_message(QueueUrl=resource("InboundQueue")))


@pytest.mark.parametrize(
    "function",
    [each for each in FUNCTIONS if each not in ("EventBridgeFunction", "InboundFunction")],
)
def test_no_other_function_can_sign_events(system: System, function: str) -> None:
    secret = system.stack.resource("EventSecret")
    with system.as_function(function) as client:
        _refused(lambda: client("secretsmanager").get_secret_value(SecretId=secret))


@pytest.mark.parametrize(
    "function",
    ["RunsApiFunction", "SweepFunction", "NotifyFunction", "SigninFunction", "AuthorizeFunction"],
)
def test_functions_that_ask_no_model_cannot_read_its_key(system: System, function: str) -> None:
    secret = system.stack.resource("ModelSecret")
    with system.as_function(function) as client:
        _refused(lambda: client("secretsmanager").get_secret_value(SecretId=secret))


def test_the_functions_for_signing_in_cannot_touch_a_run(system: System) -> None:
    table, key = system.stack.resource("Table"), {"pk": _s("x"), "sk": _s("x")}
    for function in ("SigninFunction", "AuthorizeFunction"):
        with system.as_function(function) as client:
            _refused(partial(client("dynamodb").get_item, TableName=table, Key=key))
            _refused(partial(client("dynamodb").put_item, TableName=table, Item=key))


@pytest.mark.parametrize("function", [each for each in FUNCTIONS if each != "SigninFunction"])
def test_only_the_function_for_signing_in_has_the_clients_secret(
    system: System, function: str
) -> None:
    secret = system.stack.resource("OidcSecret")
    with system.as_function(function) as client:
        _refused(lambda: client("secretsmanager").get_secret_value(SecretId=secret))


@pytest.mark.parametrize(
    "function",
    [
        *("RunsApiFunction", "AdvanceFunction", "SweepFunction", "AuthorizeFunction"),
        *("SigninFunction", "CallbacksFunction", "EventBridgeFunction", "WebFunction"),
        *("FindStuckRunsFunction", "InboundFunction"),
    ],
)
def test_functions_that_serve_no_links_cannot_make_any(system: System, function: str) -> None:
    secret = system.stack.resource("SigningSecret")
    with system.as_function(function) as client:
        _refused(lambda: client("secretsmanager").get_secret_value(SecretId=secret))


def test_the_function_that_delivers_notices_writes_the_outbox_and_no_run(system: System) -> None:
    table, outbox = map(system.stack.resource, ("Table", "OutboxTable"))
    key = {"pk": _s("R#x"), "sk": _s("N#x")}
    update = {
        "Key": key,
        "UpdateExpression": "SET a = :a",
        "ExpressionAttributeValues": {":a": key["pk"]},
    }
    with system.as_function("NotifyFunction") as client:
        dynamodb = client("dynamodb")
        dynamodb.get_item(TableName=table, Key=key)
        _refused(lambda: dynamodb.put_item(TableName=table, Item=key))
        _refused(lambda: dynamodb.update_item(TableName=table, **update))
        both = [{"Put": {"TableName": each, "Item": key}} for each in (outbox, table)]
        _refused(lambda: dynamodb.transact_write_items(TransactItems=both))
        dynamodb.put_item(TableName=outbox, Item=key)
        assert dynamodb.get_item(TableName=outbox, Key=key)["Item"] == key
        _refused(lambda: dynamodb.delete_item(TableName=outbox, Key=key))
    system.stack.client("dynamodb").delete_item(TableName=outbox, Key=key)


@pytest.mark.parametrize(
    "function",
    ["CallbacksFunction", "EventBridgeFunction", "SigninFunction", "SweepFunction", "WebFunction"],
)
def test_other_functions_write_no_notice(system: System, function: str) -> None:
    outbox = system.stack.resource("OutboxTable")
    with system.as_function(function) as client:
        _refused(
            lambda: client("dynamodb").put_item(
                TableName=outbox, Item={"pk": _s("R#x"), "sk": _s("N#x")}
            )
        )


def _statements(system: System, function: str) -> list[dict[str, Any]]:
    found = list(system.statements(system.role(function)))
    assert bool(found) == (function != "AuthorizeFunction"), "who says who it is needs nothing here"
    return found


def _refused(call: Callable[[], Any]) -> None:
    with pytest.raises(ClientError) as refusal:
        call()
    assert refusal.value.response["Error"]["Code"].startswith("AccessDenied"), refusal.value


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _s(text: str) -> dict[str, str]:
    return {"S": text}
