"""Notification channels. A new one is a file in `adapters/channels/` and a line in
`notice_dispatcher`.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from agent_continuations.adapters.channels.inbox import InboxNotifier
from agent_continuations.adapters.channels.sns import SnsNotifier
from agent_continuations.bootstrap.aws import client, keys, recent_secret
from agent_continuations.bootstrap.links import approval_link, sign_in_page
from agent_continuations.bootstrap.routes import addresses, routes
from agent_continuations.bootstrap.services import inbox, store
from agent_continuations.bootstrap.slack import workspace
from agent_continuations.core.notice import Notice
from agent_continuations.notifications.outbox import NoticeDispatcher
from agent_continuations.ports.notifier import Notifier

if TYPE_CHECKING:
    from agent_continuations.adapters.channels.slack.notifier import SlackNotifier
    from agent_continuations.adapters.channels.webhook.notifier import WebhookNotifier


@cache
def notice_dispatcher() -> NoticeDispatcher:
    """Delivers notices, each by its channel.

    Raises:
        Fatal: see `routes`.
    """
    # Imported here because it loads a template engine.
    from agent_continuations.adapters.channels.email import EmailNotifier

    notifiers: dict[str, Notifier] = {
        "email": EmailNotifier(
            ses=client("sesv2"), sender=os.environ["SENDER"], link=approval_link
        ),
        "topic": SnsNotifier(client("sns")),
        "inbox": InboxNotifier(inbox()),
        "slack": LazyNotifier(_slack_notifier),
        "webhook": LazyNotifier(_webhook_notifier),
    }
    return NoticeDispatcher(store(), notifiers, routes())


class LazyNotifier:
    """A channel that is imported at its first delivery, because few deployments use it."""

    def __init__(self, make: "Callable[[], Notifier]") -> None:
        self._make = make

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        self._make().deliver(notice, address, approver)


@cache
def _slack_notifier() -> "SlackNotifier":
    from agent_continuations.adapters.channels.slack.notifier import SlackNotifier

    return SlackNotifier(workspace, link=approval_link, page=sign_in_page)


@cache
def _webhook_notifier() -> "WebhookNotifier":
    from agent_continuations.adapters.channels.webhook.notifier import WebhookNotifier

    return WebhookNotifier(_webhook_keys, hosts=addresses(os.environ["WEBHOOK_HOSTS"]))


def _webhook_keys() -> list[str]:
    return keys(recent_secret(os.environ["WEBHOOK_SECRET"]))
