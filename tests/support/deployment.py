"""The deployed functions in one process: the template's resources in moto, its environments, and
the events of `events/`, sent as AWS would send them.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from email import message_from_string, policy
from email.message import EmailMessage
from html import unescape
from importlib import import_module
from io import StringIO
from logging import StreamHandler, getLogger
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from agent_continuations.adapters.models.openai import OpenAIModel
from agent_continuations.auth.approval_links import ApprovalLinks
from agent_continuations.bootstrap import engine
from agent_continuations.bootstrap.aws import client
from tests.local.issuer import IssuerServer
from tests.local.template import ROOT, create_table, template

REGION = "us-east-1"
API_ID = "a1b2c3d4e5"
SECURITY = "security@example.com"
ONBOARD_ADA = "Onboard Ada Lovelace (ada@example.com) with security level confidential."
QUEUES = {"AdvanceQueue": "advance", "ResumeQueue": "resume", "NotifyQueue": "notify"}
# What a program sends, in place of all the headers by which a browser is known.
CURL: dict[str, str | None] = {
    "Accept": "*/*",
    "Origin": None,
    "Sec-Fetch-Dest": None,
    "Sec-Fetch-Mode": None,
    "Sec-Fetch-Site": None,
    "Sec-Fetch-User": None,
}
_LINK = re.compile(r"https?://\S+/approvals/[\w.-]+")


@dataclass(frozen=True)
class Answer:
    """What came back from an HTTP function; header names in lower case, cookies apart."""

    status: int
    headers: Mapping[str, str]
    body: str
    cookies: tuple[str, ...] = ()

    def json(self) -> Any:
        return json.loads(self.body)

    def refused(self, status: int) -> dict[str, Any]:
        """The problem document, which must be one of this status."""
        assert self.status == status, self.body
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = self.json()
        assert document["status"] == status
        assert document["title"] and document["detail"]
        return document

    def faults(self) -> set[str]:
        """The fields that a 422 names."""
        return {each["field"] for each in self.refused(422)["errors"]}

    def form_value(self, name: str) -> str:
        """A field of the page's form, as a browser would post it unchanged."""
        found = re.search(rf'name="{name}"(?: value="([^"]*)"|[^>]*>([^<]*)</textarea>)', self.body)
        assert found, f"the page has no field {name}"
        return unescape(found[1] if found[1] is not None else found[2])


@dataclass(frozen=True)
class Mail:
    """A mail as SES was given it."""

    to: str
    raw: str

    @property
    def message(self) -> EmailMessage:
        return message_from_string(self.raw, policy=policy.default)

    def part(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert isinstance(body, EmailMessage)
        return str(body.get_content())

    @property
    def link(self) -> str:
        links: list[str] = _LINK.findall(self.part("plain"))
        return links[-1]

    @property
    def token(self) -> str:
        return self.link.rpartition("/")[2]


@dataclass(frozen=True)
class Context:
    """What the Lambda service tells a function of its invocation."""

    function_name: str
    seconds: float = 900
    memory_limit_in_mb: int = 512
    aws_request_id: str = field(default_factory=lambda: str(uuid4()))
    _started: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{DEFAULT_ACCOUNT_ID}:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.seconds - (time.monotonic() - self._started)))


def example(name: str) -> dict[str, Any]:
    """One of the events in `events/`, fresh."""
    read: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return read


def functions() -> dict[str, dict[str, Any]]:
    """The properties of the template's functions, by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def forget_what_was_made() -> None:
    """Empty all that `bootstrap` keeps for the life of a container, but clients of AWS."""
    for name, module in list(sys.modules.items()):
        if name.startswith("agent_continuations.bootstrap."):
            for made in vars(module).values():
                kept = hasattr(made, "cache_clear") and not isinstance(made, type)
                if kept and made is not client:
                    made.cache_clear()


class Deployment:
    """The template's resources and functions. Every invocation is a cold start.

    Attributes:
        parameters: the stack's; a test may change them at any time.
        log: all that the functions have written.
    """

    def __init__(self, patch: pytest.MonkeyPatch, model_url: str) -> None:
        self._patch = patch
        given = template()["Parameters"].items()
        self.parameters = {name: str(about.get("Default", "")) for name, about in given}
        self.parameters |= {"OpenAIBaseUrl": model_url, "OpenAIApiKey": "sk-test"}
        self.log = StringIO()
        self.dynamodb: Any = boto3.client("dynamodb")
        self.s3: Any = boto3.client("s3")
        self.sqs: Any = boto3.client("sqs")
        self.secrets: Any = boto3.client("secretsmanager")
        self.ses: Any = boto3.client("sesv2")
        self.sns: Any = boto3.client("sns")
        self.table = create_table(self.dynamodb)
        self.s3.create_bucket(Bucket=self.table)
        self.physical = {"Table": self.table, "Bucket": self.table, "Api": API_ID}
        for queue in QUEUES:
            answer = self.sqs.create_queue(
                QueueName=f"{queue}-{self.table}", Attributes={"VisibilityTimeout": "900"}
            )
            self.physical[queue] = answer["QueueUrl"]
        self.physical["Notices"] = self.sns.create_topic(Name=f"n{self.table}")["TopicArn"]
        self.keep_secret("ModelSecret", json.dumps({"api_key": "sk-test"}))
        self.keep_secret("SlackSecret", json.dumps({"bot_token": "", "signing_secret": ""}))
        self.keep_secret("WebhookSecret", json.dumps({"current": "k" * 64, "previous": []}))
        self.keep_secret("OidcSecret", json.dumps({"client_secret": ""}))
        self.keep_secret("CallbackSecret", json.dumps({"current": "c" * 64, "previous": []}))
        self.rotate([uuid4().hex * 2])
        self.mailbox = ses_backends[DEFAULT_ACCOUNT_ID][REGION]
        self.mailbox.sent_messages.clear()
        self.allow_sender()

    # -- what CloudFormation does --------------------------------------------------------------

    def keep_secret(self, name: str, value: str) -> None:
        secret = f"{name}-{self.table}"
        if name in self.physical:
            self.secrets.put_secret_value(SecretId=secret, SecretString=value)
        else:
            made = self.secrets.create_secret(Name=secret, SecretString=value)
            self.physical[name] = made["ARN"]

    def rotate(self, keys: Sequence[str]) -> None:
        """Sign links with the first key, and accept the others."""
        self.keys = list(keys)
        value = {"current": keys[0], "previous": list(keys[1:])}
        self.keep_secret("SigningSecret", json.dumps(value))

    def trust(self, issuer: IssuerServer) -> None:
        """Let people sign in there."""
        self.parameters |= {"OidcIssuer": issuer.url, "OidcClientId": issuer.client_id}
        self.keep_secret("OidcSecret", json.dumps({"client_secret": issuer.client_secret}))

    def allow_sender(self) -> None:
        if self.parameters["Sender"] not in self.mailbox.email_identities:
            self.ses.create_email_identity(EmailIdentity=self.parameters["Sender"])

    def forbid_sender(self) -> None:
        self.ses.delete_email_identity(EmailIdentity=self.parameters["Sender"])

    def variables(self, function: str) -> dict[str, str]:
        """A function's environment, exactly as the template gives it."""
        every: dict[str, Any] = template()["Globals"]["Function"]["Environment"]["Variables"]
        own = functions()[function].get("Environment", {}).get("Variables", {})
        return {name: self._resolved(value) for name, value in {**every, **own}.items()}

    def _resolved(self, value: Any) -> str:
        match value:
            case {"Ref": name}:
                return self._named(name)
            case {"Fn::GetAtt": [name, "Id"]}:
                return self._named(name)
            case {"Fn::GetAtt": str(text)}:
                return self._named(text.removesuffix(".Id"))
            case {"Fn::Sub": text}:
                return re.sub(r"\$\{([\w:]+)\}", lambda found: self._named(found[1]), text)
            case {"Fn::If": ["HasPublicUrl", given, otherwise]}:
                return self._resolved(given if self.parameters["PublicUrl"] else otherwise)
            case str():
                return value
        raise AssertionError(f"the template holds what this cannot resolve: {value}")

    def _named(self, name: str) -> str:
        pseudo = {"AWS::Region": REGION, "AWS::URLSuffix": "amazonaws.com"}
        return {**pseudo, **self.parameters, **self.physical}[name]

    # -- what Lambda does ------------------------------------------------------------------------

    def invoke(self, function: str, event: Mapping[str, Any], *, seconds: float = 900) -> Any:
        """Cold-start a function with its own environment and nothing else, and call it."""
        name, _, entry = functions()[function]["Handler"].rpartition(".")
        module = import_module(name)
        handler = getattr(module, entry)
        with self._patch.context() as patch, self._logging():
            for name in {name for each in functions() for name in self.variables(each)}:
                patch.delenv(name, raising=False)
            for name, value in self.variables(function).items():
                patch.setenv(name, value)
            forget_what_was_made()
            try:
                return handler(event, Context(function, seconds))
            finally:
                if engine.model.cache_info().currsize:
                    model = engine.model()
                    assert isinstance(model, OpenAIModel)
                    model._client.close()

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Send all that a function prints or logs to `log`."""
        own = StreamHandler(self.log)
        services = (
            *("runs-api", "approvals-api", "advance", "notify", "sweep"),
            *("authorize", "signin", "callbacks", "eventbridge", "web"),
        )
        with self._patch.context() as patch, redirect_stdout(self.log), redirect_stderr(self.log):
            for service in services:
                for each in getLogger(service).handlers:
                    if isinstance(each, StreamHandler):
                        patch.setattr(each, "stream", self.log)
            getLogger().addHandler(own)
            try:
                yield
            finally:
                getLogger().removeHandler(own)

    # -- what API Gateway does -------------------------------------------------------------------

    def http(
        self,
        name: str,
        *,
        params: Mapping[str, str] | None = None,
        body: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str | None] | None = None,
        method: str | None = None,
        caller: str | None = None,
    ) -> Answer:
        """Send an event of `events/` to the function that the template routes it to."""
        event = example(name)
        resource = event["resource"]
        method = event["httpMethod"] = method or event["httpMethod"]
        path = resource.format(**(params or {}))
        event |= {"path": path, "pathParameters": dict(params) if params else None}
        event["requestContext"] |= {"path": f"/v1{path}", "httpMethod": method}
        if caller:
            event["requestContext"]["identity"]["userArn"] = caller
        if body is not None:
            event["body"] = body
        if query is not None:
            event["queryStringParameters"] = dict(query)
            event["multiValueQueryStringParameters"] = {k: [v] for k, v in query.items()}
        sent = {**event["headers"], **(headers or {})}
        event["headers"] = {name: value for name, value in sent.items() if value is not None}
        event["multiValueHeaders"] = {k: [v] for k, v in event["headers"].items()}
        if authorizer(resource, method) == "SignedIn":
            refusal = self._authorize(event)
            if refusal:
                return refusal
        answer = self.invoke(route(resource, method), event, seconds=29)
        told = {k.lower(): v for k, v in answer["multiValueHeaders"].items()}
        cookies = tuple(told.pop("set-cookie", ()))
        single = {k: v for k, [v] in told.items()}
        return Answer(answer["statusCode"], single, answer["body"] or "", cookies)

    def _authorize(self, event: dict[str, Any]) -> Answer | None:
        """Ask the authorizer, and tell the event what it says, or give what refuses."""
        asked = example("authorize")
        asked |= {name: event[name] for name in asked if name in event}
        asked["requestContext"] = {**event["requestContext"]}
        asked["requestContext"].pop("authorizer", None)
        about = template()["Resources"]["Api"]["Properties"]["Auth"]["Authorizers"]["SignedIn"]
        function = about["FunctionArn"]["Fn::GetAtt"][0]
        try:
            said = self.invoke(function, asked, seconds=29)
        except Exception as error:  # noqa: BLE001 - the service takes any
            status = 401 if str(error) == "Unauthorized" else 500
            return Answer(status, {"content-type": "application/problem+json"}, "{}")
        [statement] = said["policyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": asked["methodArn"],
        }
        assert all(isinstance(value, str) for value in said["context"].values())
        told = {"principalId": said["principalId"], "integrationLatency": 12, **said["context"]}
        event["requestContext"]["authorizer"] = told
        return None

    # -- what programs do ------------------------------------------------------------------------

    def post_run(self, body: Any = None, *, key: str | None = None) -> Answer:
        if body is None:
            body = {"agent": "hr", "input": ONBOARD_ADA}
        text = body if isinstance(body, str) else json.dumps(body)
        return self.http("start-run", body=text, headers={"Idempotency-Key": key})

    def started(self, agent: str = "hr", input: str = ONBOARD_ADA) -> str:
        """The id of a new run that nothing has advanced yet."""
        answer = self.post_run({"agent": agent, "input": input})
        assert answer.status == 202, answer.body
        return str(answer.json()["run_id"])

    def suspended(self, agent: str = "hr", input: str = ONBOARD_ADA) -> str:
        """The id of a run that waits for people who were told by mail."""
        run_id = self.started(agent, input)
        self.drain()
        assert self.read(run_id)["status"] == "suspended"
        return run_id

    def read(self, run_id: str) -> dict[str, Any]:
        answer = self.http("read-run", params={"run_id": run_id})
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json()
        return found

    def timeline(self, run_id: str) -> list[dict[str, Any]]:
        answer = self.http("read-timeline", params={"run_id": run_id})
        assert answer.status == 200, answer.body
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def request_id(self, run_id: str) -> str:
        """The one request that a run waits for."""
        [waiting] = self.read(run_id)["waiting"]
        return str(waiting["request_id"])

    def decide(self, run_id: str, *, caller: str | None = None, **body: Any) -> Answer:
        """Decide as a program; the only request and an approval where nothing else is said."""
        if "request_id" not in body:
            body["request_id"] = self.request_id(run_id)
        text = json.dumps({"decision": "approve", **body})
        return self.http("decide-run", params={"run_id": run_id}, body=text, caller=caller)

    # -- what approvers do -----------------------------------------------------------------------

    def capabilities(self) -> ApprovalLinks:
        return ApprovalLinks(self.keys)

    def mails(self) -> list[Mail]:
        """All mails, oldest first."""
        sent: list[Any] = self.mailbox.sent_messages
        return [Mail(each.destinations[0], each.raw_data) for each in sent]

    def token(self, approver: str = SECURITY) -> str:
        """The token in the last mail to an approver."""
        return [mail for mail in self.mails() if mail.to == approver][-1].token

    def run_of(self, token: str) -> str:
        """The run that a link is about."""
        return self.capabilities().read(token).run_id

    def page(
        self,
        token: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str | None] | None = None,
        edit: bool = False,
    ) -> Answer:
        return self.http(
            "approval-page",
            params={"token": token},
            method=method,
            headers=headers,
            query={"edit": "1"} if edit else None,
        )

    def answer(
        self,
        token: str,
        form: Mapping[str, str] | str,
        *,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Post a form as a browser does, but with these headers."""
        body = form if isinstance(form, str) else urlencode(form)
        params = {"token": token}
        return self.http("approval-decision", params=params, body=body, headers=headers)

    def click(self, token: str, decision: str = "approve", **more: str) -> Answer:
        """Open the page in a browser, fill in the form, and click."""
        nonce = self.page(token).form_value("nonce")
        return self.answer(token, {"nonce": nonce, "decision": decision, **more})

    # -- what SQS and the schedule do --------------------------------------------------------------

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take what a queue holds, as events."""
        taken = []
        url = self.physical[queue]
        while found := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10):
            messages = found.get("Messages", [])
            if not messages:
                break
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                event = example(QUEUES[queue])
                event["Records"][0] |= {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "md5OfBody": message["MD5OfBody"],
                }
                taken.append(event)
        return taken

    def hint(self, queue: str, **body: str) -> Any:
        """Invoke a queue's function with one message."""
        event = example(QUEUES[queue])
        event["Records"][0]["body"] = json.dumps(body)
        return self.invoke(consumer(queue), event)

    def drain(self) -> list[str]:
        """Deliver every message until the queues are empty; which functions were invoked."""
        invoked: list[str] = []
        while batch := [(queue, event) for queue in QUEUES for event in self.messages(queue)]:
            for queue, event in batch:
                answer = self.invoke(consumer(queue), event)
                assert answer == {"batchItemFailures": []}
                invoked.append(consumer(queue))
        return invoked

    def sweep(self) -> int:
        found: dict[str, int] = self.invoke("SweepFunction", example("sweep"), seconds=55)
        return found["due"]

    # -- what lies in the stores -------------------------------------------------------------------

    def items(self) -> list[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.table)
        items = [item for page in pages for item in page["Items"]]
        return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))

    def state(self) -> Any:
        """All that a function could have changed."""
        objects = self.s3.list_objects_v2(Bucket=self.table).get("Contents", [])
        wanted = ["ApproximateNumberOfMessages"]
        waiting = [
            self.sqs.get_queue_attributes(QueueUrl=self.physical[queue], AttributeNames=wanted)
            for queue in QUEUES
        ]
        return (
            self.items(),
            [each["Key"] for each in objects],
            [each["Attributes"] for each in waiting],
            len(self.mails()),
        )

    def make_due(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Let the time of some items come, as if they had waited long enough."""
        for item in self.items():
            if "due" in item and wanted(item):
                paused = ", model_pause.#until = :past" if "model_pause" in item else ""
                self.dynamodb.update_item(
                    TableName=self.table,
                    Key={"pk": item["pk"], "sk": item["sk"]},
                    UpdateExpression=f"SET due = :past{paused}",
                    **({"ExpressionAttributeNames": {"#until": "until"}} if paused else {}),
                    ExpressionAttributeValues={":past": {"N": "1"}},
                )

    def lose(self, run_id: str, path: str) -> None:
        """Leave a call as a process does that was killed while the tool ran; its time is up."""
        ago = {"N": "1"}
        intent = {"M": {"attempt": {"N": "1"}, "started_at": ago, "deadline": ago}}
        self.dynamodb.update_item(
            TableName=self.table,
            Key={"pk": {"S": f"R#{run_id}"}, "sk": {"S": "#H"}},
            UpdateExpression="SET intents.#path = :intent",
            ExpressionAttributeNames={"#path": path},
            ExpressionAttributeValues={":intent": intent},
        )


def triggers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every event of the template, with the function that it invokes."""
    for name, properties in functions().items():
        for event in properties.get("Events", {}).values():
            yield name, event


def route(resource: str, method: str) -> str:
    """The function that the template gives a route to."""
    return _route(resource, method)[0]


def authorizer(resource: str, method: str) -> str:
    """Who looks at a caller of a route before the function does."""
    named: str = _route(resource, method)[1].get("Auth", {}).get("Authorizer", "AWS_IAM")
    return named


def _route(resource: str, method: str) -> tuple[str, dict[str, Any]]:
    for name, event in triggers():
        about = event["Properties"]
        wanted = (resource, method.lower())
        if event["Type"] == "Api" and (about["Path"], about["Method"]) == wanted:
            return name, about
    raise AssertionError(f"the template has no route {method} {resource}")


def consumer(queue: str) -> str:
    """The function that the template lets read a queue."""
    for name, event in triggers():
        if event["Type"] == "SQS" and queue in str(event["Properties"]["Queue"]):
            return name
    raise AssertionError(f"nothing reads {queue}")
