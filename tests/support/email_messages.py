"""The e-mail of a notice, and what must be true of each."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from typing import Any, Literal

import boto3

from agent_continuations.adapters.channels.email import EmailNotifier
from tests.support.notices import ADA, example_notice

LINK = "https://api.example.com/a/TOKEN-_1?x=1&y=2"
SENDER = "Approvals <approvals@example.com>"
HEADERS = {
    "From",
    "To",
    "Subject",
    "Message-ID",
    "X-Notice-Id",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
}


def notifier() -> EmailNotifier:
    ses = boto3.client(
        "sesv2", region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t"
    )
    return EmailNotifier(ses=ses, sender=SENDER, link=lambda _notice, _approver: LINK)


NOTIFIER = notifier()


def received(**more: Any) -> EmailMessage:
    """The mail of a notice, parsed from its bytes."""
    raw = NOTIFIER.message(example_notice(**more), ADA, ADA).as_bytes()
    return message_from_bytes(raw, policy=default)


def part(mail: EmailMessage, kind: Literal["plain", "html"]) -> str:
    found = mail.get_body((kind,))
    assert isinstance(found, EmailMessage)
    content = found.get_content()
    assert isinstance(content, str)
    return content


class Markup(HTMLParser):
    """Everything in a page that is not text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Any] = []
        self.links: list[str | None] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))
        self.links += [value for name, value in attrs if name in ("href", "src", "action")]

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.found.append(("decl", decl))

    def handle_pi(self, data: str) -> None:
        self.found.append(("pi", data))


def check_parts(mail: EmailMessage, to: str) -> None:
    assert sorted(mail.keys()) == sorted(HEADERS)
    assert (mail["From"], mail["To"], mail["X-Notice-Id"]) == (SENDER, to, "abcdefgh23456723")
    assert mail["Auto-Submitted"] == "auto-generated"
    parts = list(mail.walk())
    assert [each.get_content_type() for each in parts] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    for each in parts[1:]:
        assert set(each.keys()) <= {"Content-Type", "Content-Transfer-Encoding", "MIME-Version"}
        assert each.defects == []
    assert part(mail, "plain").split("\n").count(LINK) == 1
    assert Markup(part(mail, "html")).links == [LINK]
