"""E-mail to approvers by SES: text and HTML, with the personal link of the approver."""

from collections.abc import Callable
from email.message import EmailMessage
from email.utils import make_msgid
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from jinja2 import Environment, FileSystemLoader, select_autoescape

from agent_continuations.core.approvals.policy import Risk, is_group
from agent_continuations.core.notice import Notice
from agent_continuations.errors import Fatal, Retryable
from agent_continuations.look_alikes import look_alike_lines
from agent_continuations.safe_text import escape_json, escape_line
from agent_continuations.views.labels import REQUESTS, subject

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

# An unverified sender or a sandbox can be fixed; a malformed request cannot.
_REFUSED = {"BadRequestException"}


class EmailNotifier:
    """Sends a notice to one e-mail address.

    Args:
        link: from a notice and an approver to the page of the request; for a group it requires
            signing in.
    """

    def __init__(
        self, *, ses: "SESV2Client", sender: str, link: Callable[[Notice, str], str]
    ) -> None:
        self._ses = ses
        self._sender = sender
        self._link = link

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        """Send one e-mail.

        Raises:
            Retryable: SES cannot accept the message now.
            Fatal: SES refuses the message.
        """
        message = self.message(notice, address, approver)
        try:
            self._ses.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [address]},
                Content={"Raw": {"Data": message.as_bytes()}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _REFUSED:
                raise Fatal(str(error)) from error
            raise Retryable(str(error)) from error
        except BotoCoreError as error:
            raise Retryable(str(error)) from error

    def message(self, notice: Notice, address: str, approver: str) -> EmailMessage:
        """The e-mail to send. Text of the model is in the body only, never in a header.

        Raises:
            Fatal: the address is not an e-mail address.
        """
        variables = _variables(notice, self._link(notice, approver), approver)
        message = EmailMessage()
        message["From"] = self._sender
        try:
            message["To"] = address
            recipients = message["To"].addresses
        except (
            ValueError,
            IndexError,
            AttributeError,
            TypeError,
        ):  # the parser raises all of these
            recipients = ()
        if len(recipients) != 1 or not (recipients[0].username and recipients[0].domain):
            raise Fatal("not a mail address, or more than one")
        message["Subject"] = variables["subject"]
        domain = self._sender.rpartition("@")[2].rstrip(">") or "localhost"
        message["Message-ID"] = make_msgid(idstring=notice.notice_id, domain=domain)
        message["X-Notice-Id"] = notice.notice_id
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(self._pages.get_template("notice.txt").render(variables))
        html = self._pages.get_template("notice.html").render(variables)
        message.add_alternative(html, subtype="html")
        return message

    @cached_property
    def _pages(self) -> Environment:
        return Environment(
            loader=FileSystemLoader(Path(__file__).with_name("email_pages")),
            autoescape=select_autoescape(["html"], default_for_string=True),
            trim_blocks=True,
            lstrip_blocks=True,
        )


def _variables(notice: Notice, link: str, approver: str) -> dict[str, Any]:
    """The variables of the templates.

    Each text from outside is cut to one line, except for the arguments, which are JSON: so none
    can insert a line that looks like one of the template.
    """
    preview, high = notice.preview, notice.risk is Risk.HIGH
    reversible = {True: "Reversible", False: "Cannot be undone", None: ""}
    if is_group(approver):
        about_link = f"You are asked as a member of {escape_line(approver)}."
    else:
        can = "view this request, but not decide it" if high else "decide as you"
        about_link = f"This link is personal: anyone with it can {can}. Opening it decides nothing."
    return {
        "notice": notice,
        "label": REQUESTS[notice.kind],
        "subject": subject(
            notice.kind, notice.tool, high_risk=high, reminder=notice.occasion == "reminder"
        ),
        "link": link,
        "about_link": about_link,
        "group": is_group(approver),
        "high": high,
        "agents": [escape_line(each) for each in notice.agents],
        "arguments": escape_json(notice.arguments),
        "look_alikes": look_alike_lines(notice.arguments, preview.effect if preview else ""),
        "effect": escape_line(preview.effect) if preview else "",
        "reversible": reversible[preview.reversible] if preview else "",
        "goal": escape_line(notice.goal),
    }
