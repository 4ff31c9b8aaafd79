"""Which requests the stack lets pass. One that would do harm is made so that it is refused later.

The resources are those of the template, so a new one has its requests without a change here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from tests.e2e.conftest import Client, System
from tests.e2e.roles.attacker import Attacker, passes
from tests.local.stack import STACK
from tests.local.template import template
from tests.support.template_functions import functions

SENDS, RECEIVES, READS, INVOKES = "sends to", "receives from", "reads secrets", "invokes"
EVENTS, API, MAILS, PUBLISHES = "puts events on", "calls the API", "sends", "publishes to"
LOG, CHANGES = "log", "changes"
WRITES = {"Put", "Update", "Delete", "BatchWrite"}
_KEY = {"pk": {"S": "roles"}, "sk": {"S": "probe"}}
_OBJECT = "runs/probe"

Request: TypeAlias = Callable[[], object]


@dataclass(frozen=True)
class Right:
    """Something that a role may do.

    Attributes:
        column: of the page's table.
        name: what stands in the cell of a role that may.
        request: does it, or would.
        action, resource: what a policy says that allows it; needed only where the emulator lets
            the request pass whatever the policies say.
    """

    column: str
    name: str
    request: Request
    action: str = ""
    resource: str = ""

    @property
    def passes(self) -> bool:
        """Whether the request is authorized with the credentials that are used now."""
        return passes(self.request)

    def is_in(self, statements: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a policy with these statements gives it."""
        assert self.action, f"{self.name}: the emulator lets everybody"
        return any(
            self.action in each["Action"] and self.resource in each["Resource"]
            for each in statements
        )


def resources(kind: str) -> list[str]:
    """The logical ids of the template's resources of a type."""
    return [name for name, each in template()["Resources"].items() if each["Type"] == kind]


class Rights:
    """All requests that are tried.

    Args:
        client: whoever stands before the front door.
        system: the deployed system.
        attacker: sends them.
    """

    def __init__(self, client: Client, system: System, attacker: Attacker) -> None:
        self._client, self._system, self._attacker = client, system, attacker
        self._id = system.stack.resource
        self._bucket = self._id("Bucket")
        system.stack.client("s3").put_object(Bucket=self._bucket, Key=_OBJECT, Body=b"probe")

    def all(self) -> list[Right]:
        """Them all, in the order of the page."""
        tables = {f"`{each}`": self._table(each) for each in resources("AWS::DynamoDB::Table")}
        columns: dict[str, Mapping[str, Request]] = {
            **tables,
            "`Bucket`": self._objects(),
            SENDS: self._sent(),
            RECEIVES: self._received(),
            READS: self._secrets(),
            INVOKES: self._invoked(),
            EVENTS: self._events(),
            API: {"yes": self._call_api},
            MAILS: {"e-mail": self._mail},
            LOG: self._log(),
            CHANGES: self._changes(),
        }
        found = [
            Right(column, name, request)
            for column, requests in columns.items()
            for name, request in requests.items()
        ]
        return [*found, *self._published()]

    def _table(self, logical: str) -> dict[str, Request]:
        dynamodb, table = self._attacker.client("dynamodb"), self._id(logical)
        indexes = template()["Resources"][logical]["Properties"]["GlobalSecondaryIndexes"]
        keys = {each["IndexName"]: each["KeySchema"][0]["AttributeName"] for each in indexes}
        here, key = {"TableName": table}, {"Key": _KEY}
        put = {table: [{"PutRequest": {"Item": _KEY}}]}
        return {
            "Get": partial(dynamodb.get_item, **here, **key),
            "BatchGet": partial(dynamodb.batch_get_item, RequestItems={table: {"Keys": [_KEY]}}),
            "Query": partial(dynamodb.query, **here, **_where("pk")),
            **{
                f"Query {index}": partial(dynamodb.query, **here, IndexName=index, **_where(name))
                for index, name in keys.items()
            },
            "Scan": partial(dynamodb.scan, **here, Limit=1),
            "Put": partial(dynamodb.put_item, **here, Item=_KEY),
            "Update": partial(dynamodb.update_item, **here, **key),
            "BatchWrite": partial(dynamodb.batch_write_item, RequestItems=put),
            "Delete": partial(dynamodb.delete_item, **here, **key),
        }

    def _objects(self) -> dict[str, Request]:
        s3, here = self._attacker.client("s3"), {"Bucket": self._bucket}
        return {
            "Get": partial(s3.get_object, **here, Key=_OBJECT),
            "List": partial(s3.list_objects_v2, **here, MaxKeys=1),
            "Put": partial(s3.put_object, **here, Key=_OBJECT, Body=b"probe"),
            "Put anywhere": partial(s3.put_object, **here, Key="probe", Body=b"probe"),
            "Delete": partial(s3.delete_object, **here, Key="runs/nothing"),
        }

    def _sent(self) -> dict[str, Request]:
        # SQS refuses an empty message.
        send = partial(self._attacker.client("sqs").send_message, MessageBody="")
        return {
            name: partial(send, QueueUrl=url)
            for name, url in self._named("AWS::SQS::Queue").items()
        }

    def _received(self) -> dict[str, Request]:
        receive = self._attacker.client("sqs").receive_message
        # SQS gives ten messages at most, and refuses this request.
        return {
            name: partial(receive, QueueUrl=url, MaxNumberOfMessages=11)
            for name, url in self._named("AWS::SQS::Queue").items()
        }

    def _secrets(self) -> dict[str, Request]:
        get = self._attacker.client("secretsmanager").get_secret_value
        return {
            name: partial(get, SecretId=arn)
            for name, arn in self._named("AWS::SecretsManager::Secret").items()
        }

    def _invoked(self) -> dict[str, Request]:
        invoke = partial(self._attacker.client("lambda").invoke, InvocationType="DryRun")
        return {name: partial(invoke, FunctionName=self._id(name)) for name in functions()}

    def _events(self) -> dict[str, Request]:
        put, entry = self._attacker.client("events").put_events, {"Source": "probe"}
        entry |= {"DetailType": "Probe", "Detail": "{}"}
        buses = {"the default bus": "default", **self._named("AWS::Events::EventBus")}
        return {
            name: partial(put, Entries=[{**entry, "EventBusName": bus}])
            for name, bus in buses.items()
        }

    def _published(self) -> list[Right]:
        publish = partial(self._attacker.client("sns").publish, Message="probe")
        return [
            Right(PUBLISHES, name, partial(publish, TopicArn=arn), "sns:Publish", arn)
            for name, arn in self._named("AWS::SNS::Topic").items()
        ]

    def _mail(self) -> None:
        text = {"Data": "probe"}
        self._attacker.client("sesv2").send_email(
            FromEmailAddress="approvals@example.com",
            Destination={"ToAddresses": ["probe@example.com"]},
            Content={"Simple": {"Subject": text, "Body": {"Text": text}}},
        )

    def _call_api(self) -> None:
        url = f"{self._system.stack.api_url}/runs"
        answer = self._client.send("GET", url, headers=self._attacker.signed("GET", url))
        if answer.status == 403:
            raise PermissionError(answer.text)

    def _changes(self) -> dict[str, Request]:
        """Requests that would change the system itself, each with something wrong in it."""
        client, identify = self._attacker.client, self._id
        return {
            "code": partial(
                client("lambda").update_function_code,
                FunctionName=identify("AdvanceFunction"),
                S3Bucket="none",
                S3Key="none",
                DryRun=True,
            ),
            "roles": partial(
                client("iam").put_role_policy,
                RoleName=self._system.role("AdvanceFunction"),
                PolicyName="probe",
                PolicyDocument="{",
            ),
            "tables": partial(client("dynamodb").update_table, TableName=identify("Table")),
            "buckets": partial(client("s3").put_bucket_policy, Bucket=self._bucket, Policy="{"),
            "queues": partial(
                client("sqs").set_queue_attributes,
                QueueUrl=identify("NotifyQueue"),
                Attributes={"VisibilityTimeout": "-1"},
            ),
            "rules": partial(client("events").put_rule, Name="probe", ScheduleExpression="wrong"),
            "secrets": self._put_secret("SigningSecret"),
            "stacks": partial(
                client("cloudformation").create_change_set,
                StackName=STACK,
                ChangeSetName="probe",
                TemplateBody="{",
            ),
        }

    def _put_secret(self, name: str) -> Request:
        """A request that stores the value that the secret has already."""
        arn = self._id(name)
        value = self._system.stack.client("secretsmanager").get_secret_value(SecretId=arn)
        put = self._attacker.client("secretsmanager").put_secret_value
        return partial(put, SecretId=arn, SecretString=value["SecretString"])

    def _log(self) -> dict[str, Request]:
        logs, group = self._attacker.client("logs"), self._id("Logs")
        return {
            "Write": partial(logs.create_log_stream, logGroupName=group, logStreamName="probe"),
            "Read": partial(logs.filter_log_events, logGroupName=group, limit=1),
        }

    def _named(self, kind: str) -> dict[str, str]:
        """The physical ids of the resources of a type."""
        return {name: self._id(name) for name in resources(kind)}


def _where(key: str) -> dict[str, Any]:
    return {
        "KeyConditionExpression": "#k = :k",
        "ExpressionAttributeNames": {"#k": key},
        "ExpressionAttributeValues": {":k": {"S": "roles"}},
        "Limit": 1,
    }
