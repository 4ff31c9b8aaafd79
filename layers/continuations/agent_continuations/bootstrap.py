"""The one place that wires: from a Lambda's environment to the things it uses, once a container.

What a function does not ask for is not imported, so that the approvals function never loads a
model client, and a cold start loads what its trigger needs.
"""

import json
import logging
import os
import sys
from collections.abc import Callable
from functools import cache, lru_cache
from time import time
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from agent_continuations.adapters.stores.dynamodb import DynamoDBInbox, DynamoDBStore
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.notice import Notice
from agent_continuations.errors import NotFound, Retryable
from agent_continuations.ports.inbox import Inbox
from agent_continuations.ports.model import Model
from agent_continuations.ports.notifier import Notifier
from agent_continuations.ports.queue import WorkQueue
from agent_continuations.ports.store import Store
from agent_continuations.services.runs import RunService

if TYPE_CHECKING:
    from agent_continuations.adapters.channels.slack.client import SlackWorkspace
    from agent_continuations.adapters.channels.slack.interactions import SlackInteractions
    from agent_continuations.adapters.channels.slack.notifier import SlackNotifier
    from agent_continuations.adapters.channels.webhook.notifier import WebhookNotifier
    from agent_continuations.auth.approval_links import ApprovalLinks
    from agent_continuations.auth.callback_tokens import CallbackTokens
    from agent_continuations.auth.login import CodeFlow
    from agent_continuations.auth.oidc import OidcProvider
    from agent_continuations.engine.runner import Runner
    from agent_continuations.notifications.outbox import NoticeDispatcher
    from agent_continuations.notifications.routes import NotificationRoutes

LINK_GRACE_SECONDS = 7 * 24 * 3600
DOUBT_LINK_SECONDS = 90 * 24 * 3600
SECRET_SECONDS = 60


@cache
def store() -> Store:
    """The table and its bucket."""
    return DynamoDBStore(
        dynamodb=_client("dynamodb"),
        s3=_client("s3"),
        table=os.environ["TABLE"],
        bucket=os.environ["BUCKET"],
    )


@cache
def inbox() -> Inbox:
    """What each approver was asked."""
    return DynamoDBInbox(_client("dynamodb"), os.environ["TABLE"])


@cache
def queue() -> WorkQueue:
    """The queues."""
    from agent_continuations.adapters.queues.sqs import SqsWorkQueue

    return SqsWorkQueue(
        sqs=_client("sqs"),
        advance_queue=os.environ.get("ADVANCE_QUEUE", ""),
        resume_queue=os.environ.get("RESUME_QUEUE", ""),
        notify_queue=os.environ.get("NOTIFY_QUEUE", ""),
    )


@cache
def registry() -> Registry:
    """The user's agents: `AGENTS` of the package `agents`."""
    from agents import AGENTS

    return Registry(AGENTS)


@cache
def runs() -> RunService:
    """The commands and queries."""
    return RunService(store=store(), queue=queue(), registry=registry)


@cache
def model() -> Model:
    """The model service that the deployment names."""
    from agent_continuations.adapters.models.openai import OpenAIModel

    return OpenAIModel(
        api_key=_secret(os.environ["MODEL_SECRET"])["api_key"] or "none",
        base_url=os.environ.get("OPENAI_BASE_URL") or None,
        model=os.environ["MODEL"],
    )


@cache
def runner() -> "Runner":
    """What advances runs."""
    from agent_continuations.engine.runner import Runner

    return Runner(
        store=store(),
        model=model(),
        registry=registry(),
        queue=queue(),
        recipients=_recipients(),
        operators=_addresses(os.environ.get("OPERATORS", "")),
        abandon=_end_process,
        callback_url=lambda run_id, path: (
            f"{_public_url()}/callbacks/{callback_tokens().token(run_id, path)}"
        ),
    )


def callback_tokens() -> "CallbackTokens":
    """The signing keys of jobs' addresses, read again every minute, as those of links."""
    return _callbacks(int(time() // SECRET_SECONDS))


@lru_cache(maxsize=1)
def _callbacks(_period: int) -> "CallbackTokens":
    from agent_continuations.auth.callback_tokens import CallbackTokens

    return CallbackTokens(_keys(os.environ["CALLBACK_SECRET"]))


def approval_links() -> "ApprovalLinks":
    """The signing keys of links: the present one, then older ones that still are accepted.

    They are read again every minute, so that a rotation reaches containers that are warm.
    """
    return _capabilities(int(time() // SECRET_SECONDS))


@lru_cache(maxsize=1)
def _capabilities(_period: int) -> "ApprovalLinks":
    from agent_continuations.auth.approval_links import ApprovalLinks

    return ApprovalLinks(_signing_keys())


def code_flow(base_url: str) -> "CodeFlow":
    """The way to the identity provider and back to `base_url`, where the API stands."""
    return _code_flow(base_url, int(time() // SECRET_SECONDS))


@lru_cache(maxsize=1)
def _code_flow(base_url: str, _period: int) -> "CodeFlow":
    from agent_continuations.auth.login import CodeFlow

    return CodeFlow(
        _issuer(),
        _signing_keys(),
        client_secret=_secret(os.environ["OIDC_SECRET"])["client_secret"],
        redirect_uri=f"{base_url}/signin/callback",
    )


@cache
def _issuer() -> "OidcProvider":
    from agent_continuations.auth.oidc import OidcProvider

    return OidcProvider(
        os.environ["OIDC_ISSUER"],
        os.environ["OIDC_CLIENT_ID"],
        groups_claim=os.environ["OIDC_GROUPS_CLAIM"],
    )


@cache
def notice_dispatcher() -> "NoticeDispatcher":
    """The channels. A new one is a file in `adapters/` and a line here."""
    from agent_continuations.adapters.channels.email import EmailNotifier
    from agent_continuations.adapters.channels.inbox import InboxNotifier
    from agent_continuations.adapters.channels.sns import SnsNotifier
    from agent_continuations.notifications.outbox import NoticeDispatcher

    notifiers: dict[str, Notifier] = {
        "email": EmailNotifier(
            ses=_client("sesv2"), sender=os.environ["SENDER"], link=_approval_link
        ),
        "topic": SnsNotifier(_client("sns")),
        "inbox": InboxNotifier(inbox()),
        "slack": LazyNotifier(_slack_notifier),
        "webhook": LazyNotifier(_webhook_notifier),
    }
    return NoticeDispatcher(store(), notifiers)


class LazyNotifier:
    """A channel that is imported when something goes through it: few deployments have it."""

    def __init__(self, make: "Callable[[], Notifier]") -> None:
        self._make = make

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        self._make().deliver(notice, address, approver)


@cache
def _slack_notifier() -> "SlackNotifier":
    from agent_continuations.adapters.channels.slack.notifier import SlackNotifier

    return SlackNotifier(_workspace, link=_approval_link, page=_sign_in_page)


@cache
def _webhook_notifier() -> "WebhookNotifier":
    from agent_continuations.adapters.channels.webhook.notifier import WebhookNotifier

    return WebhookNotifier(_webhook_keys, hosts=_addresses(os.environ["WEBHOOK_HOSTS"]))


def _webhook_keys() -> list[str]:
    secret = _secret_of_now(os.environ["WEBHOOK_SECRET"])
    return [secret["current"], *secret.get("previous", [])]


def slack_answers() -> "SlackInteractions":
    """What takes the clicks that people make in Slack.

    Raises:
        NotFound: this deployment has no Slack.
    """
    secret = _secret_of_now(os.environ["SLACK_SECRET"])
    if not secret["signing_secret"]:
        raise NotFound("there is no such route")
    from agent_continuations.adapters.channels.slack.interactions import SlackInteractions

    return SlackInteractions(_workspace(), runs())


def _workspace() -> "SlackWorkspace":
    secret = _secret_of_now(os.environ["SLACK_SECRET"])
    if not secret["bot_token"]:
        raise Retryable("this deployment has no token for Slack: give it SlackBotToken")
    return _workspace_of(secret["bot_token"], secret["signing_secret"])


@lru_cache(maxsize=1)
def _workspace_of(bot_token: str, signing_secret: str) -> "SlackWorkspace":
    from agent_continuations.adapters.channels.slack.client import SlackWorkspace

    return SlackWorkspace(
        bot_token=bot_token, signing_secret=signing_secret, api_url=os.environ["SLACK_API_URL"]
    )


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _end_process() -> None:
    """End this Lambda's process, because a tool is still running that was given up on.

    When a handler returns, its process is only frozen: the next invocation would thaw the tool,
    long after people were told that it can no longer be at work.
    """
    logging.shutdown()
    sys.stdout.flush()
    os._exit(1)


def _recipients() -> "NotificationRoutes":
    """Approvers as the deployment routes them, the topic and the webhook for machines.

    Raises:
        Fatal: what the deployment says cannot be read; then nothing is advanced, and an alarm
            tells so, rather than that somebody is not asked.
    """
    from agent_continuations.notifications.routes import NotificationRoutes, read_routes

    machines = {"topic": os.environ.get("TOPIC"), "webhook": os.environ.get("WEBHOOK_URL")}
    return NotificationRoutes(
        read_routes(os.environ["RECIPIENTS"]),
        [f"{channel}:{address}" for channel, address in machines.items() if address],
    )


def _approval_link(notice: Notice, approver: str) -> str:
    """An approver's own page, or for a group the one that asks to sign in."""
    from datetime import timedelta

    from agent_continuations.notifications.routes import is_group

    if is_group(approver):
        return _sign_in_page(notice)
    if notice.expires_at:
        # A little longer than the request, so that a late click meets an explanation.
        expires_at = notice.expires_at + timedelta(seconds=LINK_GRACE_SECONDS)
    else:
        expires_at = notice.created_at + timedelta(seconds=DOUBT_LINK_SECONDS)
    token = approval_links().token(notice.run_id, notice.request_id, approver, expires_at)
    return f"{_public_url()}/approvals/{token}"


def _sign_in_page(notice: Notice) -> str:
    return f"{_public_url()}/approvals/{notice.run_id}/{notice.request_id}"


def _public_url() -> str:
    return os.environ["PUBLIC_URL"].rstrip("/")


@cache
def _client(service: str) -> Any:
    retries: Any = {"mode": "standard", "total_max_attempts": 5}
    return boto3.client(
        service,  # type: ignore[call-overload]
        config=Config(retries=retries, connect_timeout=2, read_timeout=20, max_pool_connections=32),
    )


def _secret_of_now(arn: str) -> dict[str, Any]:
    """A secret, read again every minute, so that a rotation reaches containers that are warm."""
    return _secret_in(arn, int(time() // SECRET_SECONDS))


@lru_cache(maxsize=4)
def _secret_in(arn: str, _period: int) -> dict[str, Any]:
    return _secret(arn)


def _signing_keys() -> list[str]:
    return _keys(os.environ["SIGNING_SECRET"])


def _keys(arn: str) -> list[str]:
    """The present key in a secret, then older ones."""
    secret = _secret(arn)
    return [secret["current"], *secret.get("previous", [])]


def _secret(arn: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(
        _client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    )
    return value
