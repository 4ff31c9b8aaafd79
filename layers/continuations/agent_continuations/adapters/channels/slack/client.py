"""The client of Slack's Web API; the only module that imports the SDK.

Slack does not deduplicate messages: `client_msg_id` is for its own clients only
(github.com/slackapi/java-slack-sdk/issues/852). So each message has the id of the notice in its
metadata, which identifies duplicates; a person may see the same request twice.
"""

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from http.client import HTTPException
from typing import Any

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web import WebClient

from agent_continuations.adapters.channels.slack.blocks import SlackMessage
from agent_continuations.adapters.retry_after import retry_after_seconds
from agent_continuations.core.notice import Notice
from agent_continuations.errors import ContinuationError, Fatal, Forbidden, Retryable
from agent_continuations.ports.clock import utc_now

API_URL = "https://slack.com/api/"
METADATA = "agent_continuations_notice"

# Permanent errors of the address or the message. All others can pass or be fixed: a token renewed,
# a permission given, the app invited to the channel.
_REFUSED = {
    "cannot_dm_bot",
    "channel_not_found",
    "invalid_arguments",
    "invalid_blocks",
    "invalid_blocks_format",
    "is_archived",
    "msg_blocks_too_long",
    "msg_too_long",
    "user_disabled",
    "user_not_found",
    "users_not_found",
}


class SlackWorkspace:
    """One workspace, as one app sees it. Implements `interactions.Workspace`.

    Args:
        timeout_seconds: for each request.
    """

    def __init__(
        self,
        *,
        bot_token: str,
        signing_secret: str,
        api_url: str = API_URL,
        timeout_seconds: int = 5,
    ) -> None:
        # At DEBUG the SDK logs its requests, which contain links.
        logger = logging.getLogger("agent_continuations.slack")
        logger.setLevel(logging.WARNING)
        # The outbox, or the person who clicked, retries failures.
        self._client = WebClient(
            bot_token,
            base_url=api_url,
            timeout=timeout_seconds,
            retry_handlers=[],
            logger=logger,
        )
        self._verifier = SignatureVerifier(signing_secret)

    def is_authentic(self, body: str, headers: Mapping[str, str]) -> bool:
        """Whether Slack sent this within the last five minutes."""
        try:
            return self._verifier.is_valid_request(body, dict(headers))
        except (ValueError, TypeError, OverflowError):
            return False  # a timestamp that is no number or too large, a signature not in ASCII

    def email_of(self, user_id: str) -> str:
        """The e-mail address of a full member of this workspace.

        Raises:
            Forbidden: the user is not a full member, or Slack has not confirmed the address.
        """
        user = self.call(self._client.users_info, user=user_id)["user"]
        barred = ("deleted", "is_bot", "is_stranger", "is_restricted", "is_ultra_restricted")
        if user["team_id"] != self._team_id or any(user.get(each) for each in barred):
            raise Forbidden("only full members of this workspace can decide here")
        email = user.get("profile", {}).get("email")
        if not user.get("is_email_confirmed") or not email:
            raise Forbidden("Slack has no confirmed e-mail address for you")
        return str(email)

    def post(self, channel: str, content: SlackMessage, notice: Notice) -> None:
        """Post a message with the id of a notice in its metadata."""
        ids = {"notice_id": notice.notice_id, "run_id": notice.run_id}
        self.call(
            self._client.chat_postMessage,
            channel=channel,
            blocks=content.blocks,
            text=content.text,
            metadata={"event_type": METADATA, "event_payload": ids},
            mrkdwn=False,
            parse="none",
            link_names=False,
            unfurl_links=False,
            unfurl_media=False,
        )

    def update(self, channel: str, message: str, content: SlackMessage) -> None:
        """Replace a message."""
        self.call(
            self._client.chat_update,
            channel=channel,
            ts=message,
            blocks=content.blocks,
            text=content.text,
            parse="none",
            link_names=False,
        )

    def post_ephemeral(self, channel: str, user_id: str, content: SlackMessage) -> None:
        """Post a message that only one person sees."""
        self.call(
            self._client.chat_postEphemeral,
            channel=channel,
            user=user_id,
            blocks=content.blocks,
            text=content.text,
            parse="none",
            link_names=False,
        )

    def open(self, trigger_id: str, view: Mapping[str, Any]) -> None:
        """Open a modal for the person who clicked."""
        self.call(self._client.views_open, trigger_id=trigger_id, view=dict(view))

    def user_id(self, email: str) -> str:
        """The id of the member with an e-mail address."""
        found = self.call(self._client.users_lookupByEmail, email=email)
        return str(found["user"]["id"])

    def call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        """Call a method of the Web API.

        Raises:
            Retryable: Slack cannot be reached, or the error can pass or be fixed.
            Fatal: the error is permanent.
        """
        try:
            return method(**arguments)
        except SlackApiError as error:
            raise _refusal(error) from error
        # The SDK assumes that JSON is an object, hence AttributeError.
        except (SlackClientError, HTTPException, OSError, ValueError, AttributeError) as error:
            raise Retryable(f"Slack cannot be reached: {error}") from error

    @cached_property
    def _team_id(self) -> str:
        return str(self.call(self._client.auth_test)["team_id"])


def _refusal(error: SlackApiError) -> ContinuationError:
    response = error.response
    reported = response.data.get("error") if isinstance(response.data, dict) else None
    code = str(reported or f"status {response.status_code}")[:200]
    after = retry_after_seconds(response.headers.get("Retry-After"), utc_now())
    if code in _REFUSED:
        return Fatal(f"Slack refuses: {code}")
    return Retryable(f"Slack refuses: {code}", after)
