"""A mail as SES receives it, and the approval link in it."""

import re
from dataclasses import dataclass
from email import message_from_string, policy
from email.message import EmailMessage

_LINK = re.compile(r"https?://\S+/approvals/[\w.-]+")


@dataclass(frozen=True)
class Mail:
    """A mail as SES received it."""

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
