"""The template's resources in moto, its functions in this process, and their environments."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from typing import Any
from uuid import uuid4

import boto3
import pytest
from aws_lambda_powertools import Logger
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from agent_continuations.adapters.hosts import aws_lambda
from agent_continuations.adapters.models.openai import OpenAIModel
from agent_continuations.bootstrap import engine
from agent_continuations.bootstrap.log import write_through
from tests.local.issuer import IssuerServer
from tests.local.template import create_table, template
from tests.support.handler_hosts import HandlerHosts
from tests.support.http_answers import Answer, answer_of, http_event
from tests.support.lambda_invocation import REGION, Context, clear_cached_objects, example
from tests.support.template_functions import authorizer, functions, route, tool_hosts

API_ID = "a1b2c3d4e5"
QUEUES = {
    "AdvanceQueue": "advance",
    "ResumeQueue": "resume",
    "NotifyQueue": "notify",
    "InboundQueue": "inbound",
}


class DeployedStack:
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
        self.known_callers: list[dict[str, Any]] = []
        self.dynamodb: Any = boto3.client("dynamodb")
        self.s3: Any = boto3.client("s3")
        self.sqs: Any = boto3.client("sqs")
        self.secrets: Any = boto3.client("secretsmanager")
        self.ses: Any = boto3.client("sesv2")
        self.sns: Any = boto3.client("sns")
        self.table = create_table(self.dynamodb)
        self.outbox_table = create_table(self.dynamodb, "OutboxTable")
        self.s3.create_bucket(Bucket=self.table)
        self.physical = {
            "Table": self.table,
            "OutboxTable": self.outbox_table,
            "Bucket": self.table,
            "Api": API_ID,
        }
        for queue in (*QUEUES, "InboundDeadLetters"):
            answer = self.sqs.create_queue(
                QueueName=f"{queue}-{self.table}", Attributes={"VisibilityTimeout": "900"}
            )
            self.physical[queue] = answer["QueueUrl"]
        self.physical["Notices"] = self.sns.create_topic(Name=f"n{self.table}")["TopicArn"]
        self.keep_secret("ModelSecret", json.dumps({"api_key": "sk-test"}))
        self.keep_secret("SlackSecret", json.dumps({"bot_token": "", "signing_secret": ""}))
        self.keep_secret("WebhookSecret", json.dumps({"current": "k" * 64, "previous": []}))
        self.keep_secret("OidcSecret", json.dumps({"client_secret": ""}))
        self.keep_secret("SigninSecret", json.dumps({"current": "s" * 64, "previous": []}))
        self.keep_secret("CallbackSecret", json.dumps({"current": "c" * 64, "previous": []}))
        self.keep_secret("EventSecret", json.dumps({"current": "e" * 64, "previous": []}))
        self.rotate([uuid4().hex * 2])
        self.mailbox = ses_backends[DEFAULT_ACCOUNT_ID][REGION]
        self.mailbox.sent_messages.clear()
        self.allow_sender()

    def know_caller(self, arn: str, **entry: Any) -> None:
        """Put a caller into the parameter store, as an operator does: two in each list."""
        self.known_callers.append({"arn": arn, **entry})
        number = (len(self.known_callers) + 1) // 2
        value = json.dumps(self.known_callers[2 * number - 2 :])
        boto3.client("ssm").put_parameter(
            Name=f"/{self.table}/callers/{number}", Value=value, Type="String", Overwrite=True
        )

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
        """Use this identity provider."""
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
                return re.sub(r"\$\{([\w:.]+)\}", lambda found: self._named(found[1]), text)
            case {"Fn::If": ["HasPublicUrl", given, otherwise]}:
                return self._resolved(given if self.parameters["PublicUrl"] else otherwise)
            case str():
                return value
        raise AssertionError(f"the template holds what this cannot resolve: {value}")

    def _named(self, name: str) -> str:
        if name.endswith("Function.Arn"):
            return Context(name.removesuffix(".Arn")).invoked_function_arn
        pseudo = {
            "AWS::Region": REGION,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.table,
        }
        return {**pseudo, **self.parameters, **self.physical}[name]

    # -- what Lambda does ------------------------------------------------------------------------

    def invoke(self, function: str, event: Mapping[str, Any], *, seconds: float = 900) -> Any:
        """Cold-start a function with its own environment and nothing else, and call it."""
        name, _, entry = functions()[function]["Handler"].rpartition(".")
        module = import_module(name)
        handler = getattr(module, entry)
        with self._patch.context() as patch, self._logging(module.logger):
            for name in {name for each in functions() for name in self.variables(each)}:
                patch.delenv(name, raising=False)
            # The handlers of its tool hosts are called in this process, too.
            hosts = tool_hosts() if "TOOL_HOSTS" in self.variables(function) else ()
            for each in (*hosts, function):
                for name, value in self.variables(each).items():
                    patch.setenv(name, value)
            patch.setattr(aws_lambda, "LambdaToolHosts", HandlerHosts)
            clear_cached_objects()
            try:
                return handler(event, Context(function, seconds))
            finally:
                if engine.model.cache_info().currsize:
                    model = engine.model()
                    assert isinstance(model, OpenAIModel)
                    model._client.close()

    @contextmanager
    def _logging(self, logger: Logger) -> Iterator[None]:
        """Redirect the output and the log of a function to `log`."""
        with self._patch.context() as patch, redirect_stdout(self.log), redirect_stderr(self.log):
            patch.setattr(logger.registered_handler, "stream", self.log)
            write_through(logger)
            yield

    def lines(self, message: str | None = None) -> list[dict[str, Any]]:
        """The log lines with this message, or all; measurements are not among them."""
        found = [json.loads(line) for line in self.log.getvalue().splitlines()]
        found = [each for each in found if "_aws" not in each]
        return [each for each in found if message in (None, each["message"])]

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
        event = http_event(
            name,
            params=params,
            body=body,
            query=query,
            headers=headers,
            method=method,
            caller=caller,
        )
        resource, method = event["resource"], event["httpMethod"]
        if authorizer(resource, method) == "SignedIn":
            refusal = self._authorize(event)
            if refusal:
                return refusal
        return answer_of(self.invoke(route(resource, method), event, seconds=29))

    def _authorize(self, event: dict[str, Any]) -> Answer | None:
        """Add the authorizer's context to the event, or return its refusal."""
        request = example("authorize")
        request |= {name: event[name] for name in request if name in event}
        request["requestContext"] = {**event["requestContext"]}
        request["requestContext"].pop("authorizer", None)
        definition = template()["Resources"]["Api"]["Properties"]["Auth"]["Authorizers"]["SignedIn"]
        function = definition["FunctionArn"]["Fn::GetAtt"][0]
        try:
            policy = self.invoke(function, request, seconds=29)
        except Exception as error:  # noqa: BLE001 - the service takes any
            status = 401 if str(error) == "Unauthorized" else 500
            return Answer(status, {"content-type": "application/problem+json"}, "{}")
        [statement] = policy["policyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": request["methodArn"],
        }
        assert all(isinstance(value, str) for value in policy["context"].values())
        context = {
            "principalId": policy["principalId"],
            "integrationLatency": 12,
            **policy["context"],
        }
        event["requestContext"]["authorizer"] = context
        return None
