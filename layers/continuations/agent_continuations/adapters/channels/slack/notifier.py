"""Posts notices to Slack."""

import re
from collections.abc import Callable

from agent_continuations.adapters.channels.slack.blocks import private_notice, public_notice
from agent_continuations.adapters.channels.slack.client import SlackWorkspace
from agent_continuations.core.approvals.policy import is_group
from agent_continuations.core.notice import Notice

_PERSON = re.compile(r"[UW][A-Z0-9]+")


class SlackNotifier:
    """Posts notices. An address is a member id, a member's e-mail address or a channel id.

    Args:
        workspace: returns the workspace; called each time, as its token may change.
        link: from a notice and an approver to the page of the request; for a group it requires
            signing in.
        page: the page of a notice that requires signing in.
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
            Retryable: Slack cannot accept the message now.
            Fatal: the member or channel does not exist, or cannot receive messages.
        """
        workspace = self._workspace()
        channel = workspace.user_id(address) if "@" in address else address
        if _PERSON.fullmatch(channel):
            message = private_notice(
                notice, self._link(notice, approver), own=not is_group(approver)
            )
        else:
            message = public_notice(notice, self._page(notice))
        workspace.post(channel, message, notice)
