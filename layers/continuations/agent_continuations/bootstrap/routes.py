"""Where notifications go: approvers as the deployment routes them, and machines."""

import os

from agent_continuations.notifications.routes import NotificationRoutes, read_routes


def addresses(text: str) -> tuple[str, ...]:
    """The addresses in a text that separates them by commas."""
    return tuple(each.strip() for each in text.split(",") if each.strip())


def routes() -> NotificationRoutes:
    """Approvers as the deployment routes them, the topic and the webhook for machines.

    Raises:
        Fatal: what the deployment says cannot be read; then nothing is advanced, and an alarm
            tells so, rather than that somebody is not asked.
    """
    machines = {"topic": os.environ.get("TOPIC"), "webhook": os.environ.get("WEBHOOK_URL")}
    return NotificationRoutes(
        read_routes(os.environ["RECIPIENTS"]),
        [f"{channel}:{address}" for channel, address in machines.items() if address],
    )
