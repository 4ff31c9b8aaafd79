"""Functions that face other systems may read and send; one of ours may write what they send."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.template import template
from tests.support.template_functions import functions

RESOURCES: dict[str, Any] = template()["Resources"]
READS = {"dynamodb:GetItem", "dynamodb:Query", "s3:GetObject", "s3:ListBucket"}
WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem", "s3:PutObject"}
RECEIVES = {"ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage"}
DAY = 24 * 3600


def policies(function: str) -> Iterator[dict[str, Any]]:
    """The policy documents of a function, its own or those of a role in the template."""
    properties = functions()[function]
    if "Role" not in properties:
        yield from properties["Policies"]
        return
    for each in RESOURCES[_name(properties["Role"])]["Properties"]["Policies"]:
        yield each["PolicyDocument"]


def rights(function: str) -> Iterator[tuple[str, str]]:
    """What a function of the template may do: each action with a resource."""
    for policy in policies(function):
        for statement in policy["Statement"]:
            assert statement["Effect"] == "Allow"
            actions, resources = statement["Action"], statement["Resource"]
            for action in actions if isinstance(actions, list) else [actions]:
                for each in resources if isinstance(resources, list) else [resources]:
                    yield action, _name(each)


def _name(resource: Any) -> str:
    """The logical id that a reference names, with what follows it."""
    match resource:
        case {"Fn::GetAtt": [name, _]}:
            return str(name)
        case {"Fn::GetAtt": str(text)}:
            return text.partition(".")[0]
        case {"Fn::Sub": str(text)}:
            return text.replace("${", "").replace("}", "").replace(".Arn", "")
    raise AssertionError(resource)


@pytest.mark.parametrize(
    ("function", "sends", "reads"),
    [
        ("CallbacksFunction", {"InboundQueue"}, {"CallbackSecret"}),
        ("EventBridgeFunction", {"InboundQueue", "DeadLetters"}, {"EventSecret"}),
    ],
)
def test_what_faces_other_systems_writes_nothing(
    function: str, sends: set[str], reads: set[str]
) -> None:
    allowed = set(rights(function))
    assert {name for action, name in allowed if action == "sqs:SendMessage"} == sends
    secrets = "secretsmanager:GetSecretValue"
    assert {name for action, name in allowed if action == secrets} == reads
    assert {action for action, _ in allowed} - READS == {"sqs:SendMessage", secrets}


def test_the_function_that_writes_has_no_authors_code_and_no_other_right() -> None:
    allowed = set(rights("InboundFunction"))
    assert "Layers" not in functions()["InboundFunction"], "the common layer only"
    assert {pair for pair in allowed if pair[0] not in READS} == {
        *((action, "Table") for action in WRITES if action.startswith("dynamodb:")),
        ("s3:PutObject", "Bucket/runs/*"),
        ("sqs:SendMessage", "ResumeQueue"),
        ("sqs:SendMessage", "InboundDeadLetters"),
        ("secretsmanager:GetSecretValue", "CallbackSecret"),
        ("secretsmanager:GetSecretValue", "EventSecret"),
        *((f"sqs:{action}", "InboundQueue") for action in RECEIVES),
    }


def test_an_outage_of_a_day_loses_no_message_and_leaves_time_for_people() -> None:
    queue = RESOURCES["InboundQueue"]["Properties"]
    seconds = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"]
    assert seconds >= DAY
    assert queue["RedrivePolicy"]["maxReceiveCount"] <= 1000, "SQS allows no more"
    assert queue["MessageRetentionPeriod"] == 14 * DAY
    # A dead letter keeps the age that it had.
    dead = RESOURCES["InboundDeadLetters"]["Properties"]
    assert dead["MessageRetentionPeriod"] - seconds >= 12 * DAY
    timeout = template()["Globals"]["Function"]["Timeout"]
    assert "Timeout" not in functions()["InboundFunction"]
    assert queue["VisibilityTimeout"] >= 6 * timeout, "as AWS asks for"
    assert queue["MaximumMessageSize"] == dead["MaximumMessageSize"] == 1024 * 1024


def test_what_waits_and_what_was_given_up_raise_alarms() -> None:
    alarms = {
        _name(each["Properties"]["Dimensions"][0]["Value"]): each["Properties"]
        for each in RESOURCES.values()
        if each["Type"] == "AWS::CloudWatch::Alarm" and each["Properties"]["Namespace"] == "AWS/SQS"
    }
    waiting, dead = alarms["InboundQueue"], alarms["InboundDeadLetters"]
    assert (waiting["MetricName"], waiting["Threshold"]) == ("ApproximateAgeOfOldestMessage", 900)
    assert dead["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert all(each["AlarmActions"] == [{"Ref": "Alarms"}] for each in (waiting, dead))


def test_events_come_from_a_bus_of_the_stacks_own() -> None:
    rule = functions()["EventBridgeFunction"]["Events"]["Happened"]["Properties"]
    assert rule["EventBusName"] == {"Ref": "EventBus"}
    assert RESOURCES["EventBus"]["Properties"] == {"Name": {"Ref": "AWS::StackName"}}
    others = [
        event["Properties"]
        for each in functions().values()
        for event in each.get("Events", {}).values()
        if event["Type"] == "EventBridgeRule"
    ]
    assert others == [rule]


def test_only_event_senders_get_a_right_from_the_buss_policy() -> None:
    """The local stack has no such policies, so the template has to prove it."""
    policy = RESOURCES["EventBusPolicy"]
    assert policy["Condition"] == "HasEventSenders"
    assert template()["Conditions"]["HasEventSenders"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "EventSenders"}, ""]}]
    }
    assert template()["Parameters"]["EventSenders"]["Default"] == ""
    assert policy["Properties"] == {
        "EventBusName": {"Ref": "EventBus"},
        "StatementId": "EventSenders",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": {"Fn::Split": [",", {"Ref": "EventSenders"}]}},
            "Action": "events:PutEvents",
            "Resource": {"Fn::GetAtt": ["EventBus", "Arn"]},
        },
    }
    policies = [
        each for each in RESOURCES.values() if each["Type"] == "AWS::Events::EventBusPolicy"
    ]
    assert policies == [policy]


def test_events_that_cannot_be_delivered_are_kept() -> None:
    """EventBridge needs a right on the queue itself: the role of the function is not asked."""
    [statement] = RESOURCES["DeadLettersPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    rule = functions()["EventBridgeFunction"]["Events"]["Happened"]["Properties"]
    assert rule["DeadLetterConfig"] == {"Arn": statement["Resource"]}
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert "EventBridgeFunctionHappened" in str(statement["Condition"])
