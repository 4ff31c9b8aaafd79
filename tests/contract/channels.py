"""Every notification channel with the service behind it, for one contract suite.

AWS runs in this process, Slack and a receiver of webhooks on loopback. The tests read each message
where it arrives.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string, policy
from email.message import EmailMessage
from ipaddress import ip_address
from typing import Any, Protocol
from uuid import uuid4

import boto3
import pytest
import trustme
from botocore.config import Config
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from agent_continuations.adapters.channels.email import EmailNotifier
from agent_continuations.adapters.channels.slack.client import METADATA, SlackWorkspace
from agent_continuations.adapters.channels.slack.notifier import SlackNotifier
from agent_continuations.adapters.channels.sns import SnsNotifier
from agent_continuations.adapters.channels.webhook.notifier import WebhookNotifier
from agent_continuations.core.notice import Notice
from agent_continuations.ports.notifier import Notifier
from tests.local.hook_server import HookServer, Says, trusting
from tests.local.slack_server import Fault, Message, SlackServer
from tests.support.email_messages import Markup, part

REGION = "us-east-1"
ADA = "ada@example.com"
LINK = "https://api.example.com/approvals/CAPABILITY-of-ada"
PAGE = "https://api.example.com/approvals/r/abcdefgh23456723"
KEY = "whsec_" + "a2V5IG9mIHRoaXJ0eS10d28gYnl0ZXMgb3Igc28="


@dataclass(frozen=True)
class Received:
    """A message as its recipient received it.

    Attributes:
        notice_id: the notice's id in the message.
        text: all text that a person or a machine can read.
        structure: the message without its text; a hostile text must not add to it.
        links: the targets of all links.
    """

    notice_id: str
    text: str
    structure: Any
    links: list[str]


class Channel(Protocol):
    """A notifier, an address that it delivers to, and the service behind it.

    Attributes:
        private: whether only the approver reads messages to this address.
    """

    @property
    def notifier(self) -> Notifier: ...

    @property
    def address(self) -> str: ...

    @property
    def private(self) -> bool: ...

    def received(self) -> list[Received]:
        """The messages that were received, oldest first."""

    def unreachable(self) -> Notifier:
        """The same notifier, while the service is unreachable."""

    def refuse(self) -> str:
        """Make the service refuse permanently. Returns the address that it refuses."""


def link(_notice: Notice, _approver: str) -> str:
    return LINK


def page(_notice: Notice) -> str:
    return PAGE


def client(service: str, endpoint: str | None = None) -> Any:
    config: Any = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    return boto3.client(
        service,  # type: ignore[call-overload]
        region_name=REGION,
        aws_access_key_id="t",
        aws_secret_access_key="t",
        endpoint_url=endpoint,
        config=config,
    )


UNREACHABLE = "http://127.0.0.1:9"


@dataclass
class Email:
    address: str = ADA
    private: bool = True

    def __post_init__(self) -> None:
        ses = client("sesv2")
        ses.create_email_identity(EmailIdentity="a@example.com")
        self.notifier = EmailNotifier(ses=ses, sender="a@example.com", link=link)
        self._sent = ses_backends[DEFAULT_ACCOUNT_ID][REGION].sent_messages
        self._sent.clear()
        self._messages: list[Received] = []

    def received(self) -> list[Received]:
        new = self._sent[len(self._messages) :]
        self._messages += [self._read(each.raw_data) for each in new]
        return self._messages

    def _read(self, raw: str) -> Received:
        mail = message_from_string(raw, _class=EmailMessage, policy=policy.default)
        text, markup = part(mail, "plain"), Markup(part(mail, "html"))
        varying = {"Subject", "Message-ID", "Content-Type", "Content-Transfer-Encoding"}
        headers = [(name, value) for name, value in mail.items() if name not in varying]
        parts = [each.get_content_type() for each in mail.walk()]
        return Received(
            notice_id=str(mail["X-Notice-Id"]),
            text="\n".join([text, part(mail, "html"), str(mail["Subject"])]),
            structure=(sorted(mail.keys()), headers, parts, markup.found),
            links=[each for each in markup.links if each],
        )

    def unreachable(self) -> Notifier:
        return EmailNotifier(ses=client("sesv2", UNREACHABLE), sender="a@example.com", link=link)

    def refuse(self) -> str:
        return "no address"


@dataclass
class Topic:
    private: bool = False

    def __post_init__(self) -> None:
        sns, self._sqs, name = client("sns"), client("sqs"), uuid4().hex
        self.notifier = SnsNotifier(sns)
        self.address = sns.create_topic(Name=name)["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=self.address, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
        self._bodies: list[str] = []

    def received(self) -> list[Received]:
        while messages := self._sqs.receive_message(QueueUrl=self._queue).get("Messages"):
            for each in messages:
                self._bodies.append(json.loads(each["Body"])["Message"])
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=each["ReceiptHandle"])
        return [read_json(each, json.loads(each)) for each in self._bodies]

    def unreachable(self) -> Notifier:
        return SnsNotifier(client("sns", UNREACHABLE))

    def refuse(self) -> str:
        return f"{self.address}-that-is-gone"


@dataclass
class Hook:
    server: HookServer
    authority: trustme.CA
    private: bool = False

    def __post_init__(self) -> None:
        self.notifier = self._made()
        self.address = self.server.url

    def _made(self) -> WebhookNotifier:
        return WebhookNotifier(
            lambda: [KEY],
            ports=(self.server.port, 9),
            resolve=lambda _host, _port: [ip_address("127.0.0.1")],
            allows=lambda _address: True,
            tls=trusting(self.authority),
        )

    def received(self) -> list[Received]:
        return [
            read_json(each.body.decode(), json.loads(each.body)["data"])
            for each in self.server.received
            if each.headers["webhook-id"] == json.loads(each.body)["data"]["notice_id"]
        ]

    def unreachable(self) -> Notifier:
        made = self._made()
        self.address = self.address.replace(str(self.server.port), "9")
        return made

    def refuse(self) -> str:
        self.server.says = Says(410)
        return self.address


@dataclass
class Slack:
    server: SlackServer
    address: str
    private: bool
    _made: list[SlackWorkspace] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.join("U0ADA", ADA)
        self.server.channels.add("C0ALL")
        self.notifier = self._notifier(self.server.url)

    def _notifier(self, url: str) -> SlackNotifier:
        workspace = SlackWorkspace(
            bot_token=self.server.token, signing_secret="s", api_url=url, timeout_seconds=2
        )
        return SlackNotifier(lambda: workspace, link=link, page=page)

    def received(self) -> list[Received]:
        assert self.server.refusals == []
        return [self._read(each) for each in self.server.messages]

    def _read(self, message: Message) -> Received:
        assert message.metadata
        assert message.metadata["event_type"] == METADATA
        return Received(
            notice_id=message.metadata["event_payload"]["notice_id"],
            text=message.words(),
            structure=shape(message.blocks),
            links=[each["url"] for each in message.buttons() if "url" in each],
        )

    def unreachable(self) -> Notifier:
        return self._notifier(f"{UNREACHABLE}/api/")

    def refuse(self) -> str:
        return "nobody@example.com" if "@" in self.address else "U0GONE"


def read_json(text: str, data: dict[str, Any]) -> Received:
    """A message to a machine: its keys are the structure, and no value is a link."""
    links = [value for value in data.values() if str(value).startswith("http")]
    return Received(data["notice_id"], text, sorted(data), links)


def shape(value: Any) -> Any:
    """Blocks without their text. Sections that only continue the text of the one before count as
    one.
    """
    if isinstance(value, list):
        shapes = [shape(each) for each in value]
        return [each for at, each in enumerate(shapes) if at == 0 or each != shapes[at - 1]]
    if isinstance(value, dict):
        if value.get("type") == "plain_text":
            assert not {"<", ">"} & set(value["text"])
            return "text"
        return {name: shape(each) for name, each in value.items()}
    return value


@contextmanager
def open_channel(name: str) -> Iterator[Channel]:
    """Open a channel by its name in the suite."""
    match name:
        case "email" | "topic":
            with mock_aws():
                yield Email() if name == "email" else Topic()
        case "webhook":
            authority = trustme.CA()
            with HookServer(authority) as server:
                yield Hook(server, authority)
        case "slack to a person" | "slack to an address" | "slack to a channel":
            address = {"person": "U0ADA", "address": ADA}.get(name.rpartition(" ")[2], "C0ALL")
            with SlackServer() as slack:
                yield Slack(slack, address, private=address != "C0ALL")
        case _:
            pytest.fail(f"unknown channel {name}")


CHANNELS = [
    "email",
    "topic",
    "webhook",
    "slack to a person",
    "slack to an address",
    "slack to a channel",
]
__all__ = ["ADA", "CHANNELS", "LINK", "PAGE", "Channel", "Fault", "Received", "open_channel"]
