"""Notifier."""

import re
from collections.abc import Callable

from agent_continuations.adapters.channels.slack.blocks import private_notice, public_notice
from agent_continuations.adapters.channels.slack.client import SlackWorkspace
from agent_continuations.core.notice import Notice
from agent_continuations.notifications.routes import is_group

_PERSON = re.compile(r"[UW][A-Z0-9]+")


class SlackNotifier:
    """Posts notices. An address is a member's id, a member's mail address or a channel's id.

    Args:
        workspace: gives the workspace; asked each time, as its token may change.
        link: from a notice and an approver to the approver's page; a group's asks to sign in.
        page: the page of a notice that asks everybody to sign in.
    """

    def __init__(
        self,
        workspace: Callable[[], SlackWorkspace],
        *,
        link: Callable[[Notice, str], str],
        page: Callable[[Notice], str],
    ) -> None:
        self._workspace = workspace
        self._link = link
        self._page = page

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        """Post one message.

        Raises:
            Retryable: Slack did not take it now.
            Fatal: there is no such member or channel, or it cannot be written to.
        """
        workspace = self._workspace()
        channel = workspace.user_id(address) if "@" in address else address
        if _PERSON.fullmatch(channel):
            told = private_notice(notice, self._link(notice, approver), own=not is_group(approver))
        else:
            told = public_notice(notice, self._page(notice))
        workspace.post(channel, told, notice)
