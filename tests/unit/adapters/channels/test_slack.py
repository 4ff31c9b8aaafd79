"""Slack messages: only the buttons of the template, and no decision on hidden arguments."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_continuations.adapters.channels.slack.blocks import (
    plain,
    private_notice,
    public_notice,
    read_request_ref,
)
from agent_continuations.adapters.channels.slack.client import SlackWorkspace
from agent_continuations.adapters.channels.slack.interactions import approver_of
from agent_continuations.adapters.channels.slack.notifier import SlackNotifier
from agent_continuations.core.approvals.policy import is_group
from agent_continuations.errors import Fatal, Forbidden, Retryable
from agent_continuations.safe_text import escape
from tests.local.slack_rules import check_message
from tests.local.slack_server import Fault, SlackServer
from tests.support.notices import ADA, example_notice, json_values, texts_with_surrogates

OWN, PAGE = "https://api.example.com/approvals/TOKEN", "https://api.example.com/approvals/r/q"
USER = "U0ADA"


@pytest.fixture
def server() -> Iterator[SlackServer]:
    with SlackServer() as made:
        made.join(USER, ADA)
        made.channels.add("C0ALL")
        yield made


def workspace(server: SlackServer, **more: Any) -> SlackWorkspace:
    given: dict[str, Any] = {
        "bot_token": server.token,
        "signing_secret": server.signing_secret,
        "api_url": server.url,
        "timeout_seconds": 2,
    }
    return SlackWorkspace(**{**given, **more})


def post(server: SlackServer, address: str = USER, approver: str = ADA, **more: Any) -> None:
    made = workspace(server)
    notifier = SlackNotifier(
        lambda: made,
        link=lambda _notice, who: PAGE if is_group(who) else OWN,
        page=lambda _notice: PAGE,
    )
    notifier.deliver(example_notice(**more), address, approver)


def buttons(server: SlackServer) -> dict[str, Any]:
    """The buttons of the last message with their URLs; None for those that decide."""
    return {each["action_id"]: each.get("url") for each in server.messages[-1].buttons()}


# -- buttons ---------------------------------------------------------------------------------------


def test_a_request_that_is_shown_in_full_has_buttons_to_decide(server: SlackServer) -> None:
    post(server)
    assert buttons(server) == {"approve": None, "reject": None, "open": OWN}
    approve = server.messages[-1].button("approve")
    assert approve["text"]["text"] == "Approve"
    asked = read_request_ref(approve["value"])
    assert (asked.kind, asked.run_id, asked.request_id) == ("approval", "r", "abcdefgh23456723")
    assert asked.shown_hash == "0123456789abcdef" * 4


def test_a_high_risk_request_is_decided_on_its_page_only(server: SlackServer) -> None:
    post(server, risk="high")
    assert buttons(server) == {"open": OWN}
    assert "high risk" in server.messages[-1].text


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "x" * 40_000},
        {"text": "&" * 7000},
        {"…": "9000 characters, too much for a message; the page shows them all"},
    ],
)
def test_a_request_that_is_not_shown_in_full_is_decided_on_its_page_only(
    server: SlackServer, arguments: dict[str, Any]
) -> None:
    post(server, arguments=arguments)
    assert buttons(server) == {"open": OWN}
    assert "the page shows everything" in server.messages[-1].words()


def test_a_group_signs_in_from_a_direct_message_or_a_channel(server: SlackServer) -> None:
    for address in (USER, "C0ALL"):
        post(server, address, "group:finance")
        assert buttons(server) == {"open": PAGE}
        assert server.messages[-1].button("open")["text"]["text"] == "Sign in to decide"
        assert "personal" not in server.messages[-1].words()


def test_a_personal_link_is_never_in_a_channel(server: SlackServer) -> None:
    post(server, "C0ALL", ADA, arguments={"iban": "SECRET"}, goal="SECRET")
    assert buttons(server) == {"open": PAGE}
    assert "SECRET" not in server.messages[-1].words()
    assert "abcdefgh23456723" in server.messages[-1].words()


def test_a_doubt_has_the_wording_of_the_mail(server: SlackServer) -> None:
    post(server, kind="doubt", expires_at=None)
    message = server.messages[-1]
    assert message.button("approve")["text"]["text"] == "It happened"
    assert message.button("reject")["text"]["text"] == "It did not happen"
    words = message.words()
    assert "If it did happen after all, it will have happened twice." in words
    assert "nobody answers" not in words


def test_a_message_unfurls_no_links_and_parses_no_markup(server: SlackServer) -> None:
    """By default, Slack parses the text beside the blocks as markup."""
    post(server)
    assert server.messages[-1].options == {
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


# -- texts -----------------------------------------------------------------------------


@given(texts_with_surrogates, st.integers(min_value=2, max_value=200))
def test_a_text_is_escaped_and_truncated(text: str, limit: int) -> None:
    made = plain(text, limit)
    assert len(made) <= limit or made == "(blank)"
    assert not {"<", ">"} & set(made)
    bare = made.replace("&amp;", "+").replace("&lt;", "+").replace("&gt;", "+")
    assert "&" not in bare
    assert escape(made) == made


@given(st.text())
def test_a_text_within_the_limit_is_not_truncated(text: str) -> None:
    made = plain(text, 10 * len(escape(text)) + 10)
    decoded = made.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert decoded == (escape(text) if text.strip() else "(blank)")


@settings(deadline=None)  # the first notice imports what the others find
@given(
    st.dictionaries(texts_with_surrogates, json_values, max_size=3),
    texts_with_surrogates,
    st.sampled_from(["approval", "doubt"]),
)
def test_slack_accepts_every_notice(arguments: dict[str, Any], text: str, kind: str) -> None:
    notice = example_notice(
        arguments=arguments, goal=text, kind=kind, agents=(text,) * 20, approvers=(text,) * 20
    )
    check_message(private_notice(notice, OWN, own=True).blocks)
    check_message(private_notice(notice, PAGE, own=False).blocks)
    check_message(public_notice(notice, PAGE).blocks)


@pytest.mark.parametrize("size", [1, 2900, 2999, 3000, 3001, 8000, 29_000, 31_000, 300_000])
@pytest.mark.parametrize("letter", ["x", "&", " ", "\u202e", "\n"])
def test_slack_accepts_arguments_of_any_size(size: int, letter: str) -> None:
    made = private_notice(example_notice(arguments={"text": letter * size}), OWN, own=True)
    check_message(made.blocks)


# -- errors of Slack -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", ["channel_not_found", "is_archived", "user_not_found", "cannot_dm_bot", "msg_too_long"]
)
def test_a_permanent_slack_error_is_final(server: SlackServer, code: str) -> None:
    server.fault = Fault(code)
    with pytest.raises(Fatal, match=code):
        post(server)


@pytest.mark.parametrize(
    "code",
    [
        "invalid_auth",
        "account_inactive",
        "token_revoked",
        "missing_scope",
        "not_in_channel",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "what nobody knows yet",
    ],
)
def test_a_transient_or_fixable_slack_error_is_retried(server: SlackServer, code: str) -> None:
    server.fault = Fault(code)
    with pytest.raises(Retryable, match=code):
        post(server)


@pytest.mark.parametrize("after, seconds", [("30", 30.0), (None, None), ("soon", None)])
def test_retry_after_of_slack_is_respected(
    server: SlackServer, after: str | None, seconds: float | None
) -> None:
    server.fault = Fault("ratelimited", status=429, retry_after=after)
    with pytest.raises(Retryable) as caught:
        post(server)
    assert caught.value.after_seconds == seconds


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b"[1]", b"null", b"\xff"])
@pytest.mark.parametrize("status", [200, 502])
def test_a_response_that_is_not_from_slack_is_retried(
    server: SlackServer, status: int, body: bytes
) -> None:
    server.fault = Fault(status=status, body=body)
    with pytest.raises(Retryable):
        post(server)


def test_a_wrong_bot_token_is_reported_and_retried(server: SlackServer) -> None:
    made = workspace(server, bot_token="xoxb-another")
    with pytest.raises(Retryable, match="invalid_auth"):
        made.user_id(ADA)


def test_an_address_unknown_to_slack_is_a_final_error(server: SlackServer) -> None:
    for address in ("nobody@example.com", "U0GONE", "C0GONE"):
        with pytest.raises(Fatal, match="not_found"):
            post(server, address)


def test_a_dialog_opens_once_and_within_three_seconds(server: SlackServer) -> None:
    made = workspace(server)
    view: dict[str, Any] = {"type": "modal", "blocks": [{"type": "divider"}]}
    view |= {name: {"type": "plain_text", "text": name} for name in ("title", "submit", "close")}
    trigger = server.trigger()
    made.open(trigger, view)
    for late in (trigger, server.trigger(age=3.1), "of another app"):
        with pytest.raises(Retryable, match="trigger_id"):
            made.open(late, view)
    assert len(server.views) == 1


def test_no_link_is_logged_even_at_debug_level(
    server: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        post(server)
    assert OWN not in caplog.text
    assert server.token not in caplog.text


# -- approvers -------------------------------------------------------------------------------------


def test_a_request_without_approvers_cannot_be_decided() -> None:
    for email in (ADA, "", "operator"):
        with pytest.raises(Forbidden):
            approver_of([], email)


def test_an_approver_is_identified_by_the_whole_address() -> None:
    assert approver_of(["bob@example.com", ADA], "Ada@Example.com") == ADA
    for email in ("", "ada", "ada@example.co", "ada@example.com.evil.example", "\u00e5da@x"):
        with pytest.raises(Forbidden):
            approver_of([ADA, "group:ada", ""], email or "x")
