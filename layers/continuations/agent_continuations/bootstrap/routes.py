"""Notification routes of the deployment: the channels of approvers, and those of machines."""

import os

from agent_continuations.notifications.routes import NotificationRoutes, read_routes


def addresses(text: str) -> tuple[str, ...]:
    """The addresses in a comma-separated text."""
    return tuple(each.strip() for each in text.split(",") if each.strip())


def operators() -> tuple[str, ...]:
    """People who are asked about a call in doubt that has no approvers."""
    return addresses(os.environ.get("OPERATORS", ""))


def routes() -> NotificationRoutes:
    """The routes of the deployment: the channels of approvers, the topic and the webhook.

    Raises:
        Fatal: RECIPIENTS is invalid. Then no notice is delivered and an alarm goes off, rather
            than that an approver is not asked; the notices stay in the outbox.
    """
    machines = {"topic": os.environ.get("TOPIC"), "webhook": os.environ.get("WEBHOOK_URL")}
    return NotificationRoutes(
        read_routes(os.environ["RECIPIENTS"]),
        [f"{channel}:{address}" for channel, address in machines.items() if address],
    )
