"""Slack: the workspace, and the handler of its interactions."""

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from agent_continuations.bootstrap.aws import recent_secret
from agent_continuations.bootstrap.services import services
from agent_continuations.errors import NotFound, Retryable

if TYPE_CHECKING:
    from agent_continuations.adapters.channels.slack.client import SlackWorkspace
    from agent_continuations.adapters.channels.slack.interactions import SlackInteractions


def slack_interactions() -> "SlackInteractions":
    """Handles clicks and submitted modals in Slack.

    Raises:
        NotFound: this deployment has no Slack.
    """
    secret = recent_secret(os.environ["SLACK_SECRET"])
    if not secret["signing_secret"]:
        raise NotFound("there is no such route")
    from agent_continuations.adapters.channels.slack.interactions import SlackInteractions

    return SlackInteractions(workspace(), services())


def workspace() -> "SlackWorkspace":
    """The Slack workspace of the deployment.

    Raises:
        Retryable: the deployment has no token for it yet.
    """
    secret = recent_secret(os.environ["SLACK_SECRET"])
    if not secret["bot_token"]:
        raise Retryable("this deployment has no token for Slack: give it SlackBotToken")
    return _workspace_of(secret["bot_token"], secret["signing_secret"])


@lru_cache(maxsize=1)
def _workspace_of(bot_token: str, signing_secret: str) -> "SlackWorkspace":
    from agent_continuations.adapters.channels.slack.client import SlackWorkspace

    return SlackWorkspace(
        bot_token=bot_token, signing_secret=signing_secret, api_url=os.environ["SLACK_API_URL"]
    )
