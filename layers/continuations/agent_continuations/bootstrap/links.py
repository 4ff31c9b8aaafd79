"""What is signed: links for approvers, callback addresses, tokens of outcomes, events."""

import os
from datetime import timedelta

from agent_continuations.auth.approval_links import ApprovalLinks
from agent_continuations.auth.callback_tokens import CallbackTokens, OutcomeTokens
from agent_continuations.auth.event_signatures import EventSignatures
from agent_continuations.bootstrap.aws import SECRET_SECONDS, keys, refreshed_every, secret
from agent_continuations.core.approvals.policy import is_group
from agent_continuations.core.notice import Notice

LINK_GRACE_SECONDS = 7 * 24 * 3600
DOUBT_LINK_SECONDS = 90 * 24 * 3600


@refreshed_every(SECRET_SECONDS)
def approval_links() -> ApprovalLinks:
    """Signs and reads the tokens in approvers' links."""
    return ApprovalLinks(keys(secret(os.environ["SIGNING_SECRET"])))


@refreshed_every(SECRET_SECONDS)
def callback_tokens() -> CallbackTokens:
    """Signs and reads the tokens in jobs' addresses."""
    return CallbackTokens(keys(secret(os.environ["CALLBACK_SECRET"])))


@refreshed_every(SECRET_SECONDS)
def outcome_tokens() -> OutcomeTokens:
    """Signs and reads the tokens with which hosts report the outcomes of attempts."""
    return OutcomeTokens(keys(secret(os.environ["CALLBACK_SECRET"])))


@refreshed_every(SECRET_SECONDS)
def event_signatures() -> EventSignatures:
    """Signs events of the bus, and verifies them."""
    return EventSignatures(keys(secret(os.environ["EVENT_SECRET"])))


def callback_url(run_id: str, path: str) -> str:
    """The address to which the job of a call sends its outcome."""
    return f"{_public_url()}/callbacks/{callback_tokens().token(run_id, path)}"


def approval_link(notice: Notice, approver: str) -> str:
    """The link to a request for one approver; for a group, the page that requires signing in."""
    if is_group(approver):
        return sign_in_page(notice)
    if notice.expires_at:
        # Longer than the request, so that a late click shows an explanation.
        expires_at = notice.expires_at + timedelta(seconds=LINK_GRACE_SECONDS)
    else:
        expires_at = notice.created_at + timedelta(seconds=DOUBT_LINK_SECONDS)
    token = approval_links().token(
        notice.run_id, notice.request_id, approver, expires_at, notice.arguments_hash
    )
    return f"{_public_url()}/approvals/{token}"


def sign_in_page(notice: Notice) -> str:
    """The page of a request for approvers who are signed in."""
    return f"{_public_url()}/approvals/{notice.run_id}/{notice.request_id}"


def _public_url() -> str:
    return os.environ["PUBLIC_URL"].rstrip("/")
