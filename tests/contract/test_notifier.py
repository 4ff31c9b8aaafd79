"""The contract of every notification channel, whichever service is behind it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from agent_continuations.errors import Fatal, Retryable
from tests.contract.channels import ADA, CHANNELS, LINK, PAGE, Channel, Received, open_channel
from tests.support.notices import HOSTILE, SECRET, notice_with_secret, texts_with_surrogates
from tests.support.plain_texts import without_look_alikes

HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ue000-\uf8ff]"
)
# A channel is opened once for all examples: each checks only the message that it has sent itself.
once = settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=CHANNELS)
def channel(request: pytest.FixtureRequest) -> Iterator[Channel]:
    with open_channel(request.param) as made:
        yield made


def sent(channel: Channel, **more: Any) -> Received:
    """Deliver a notice. Returns the message as it was received."""
    channel.notifier.deliver(notice_with_secret(**more), channel.address, ADA)
    return channel.received()[-1]


def test_each_call_delivers_once(channel: Channel) -> None:
    for times in (1, 2, 3):
        sent(channel)
        assert len(channel.received()) == times


def test_every_delivery_of_a_notice_carries_its_id(channel: Channel) -> None:
    assert sent(channel).notice_id == "abcdefgh23456723"
    assert sent(channel).notice_id == "abcdefgh23456723"
    assert sent(channel, notice_id="another").notice_id == "another"


def test_a_message_describes_the_request(channel: Channel) -> None:
    for kind in ("approval", "doubt"):
        received = sent(channel, kind=kind)
        assert "pay" in received.text
        assert "clerk" in received.text
        assert "0123456789ab" in received.text


def test_an_unreachable_service_is_retryable(channel: Channel) -> None:
    unreachable = channel.unreachable()
    with pytest.raises(Retryable):
        unreachable.deliver(notice_with_secret(), channel.address, ADA)
    assert channel.received() == []


def test_a_permanent_refusal_is_fatal(channel: Channel) -> None:
    refused = channel.refuse()
    with pytest.raises(Fatal):
        channel.notifier.deliver(notice_with_secret(), refused, ADA)


def test_private_details_are_sent_to_private_channels_only(channel: Channel) -> None:
    received = sent(channel)
    assert (SECRET in received.text) == channel.private
    assert (LINK in received.text or LINK in received.links) == channel.private
    assert set(received.links) <= {LINK if channel.private else PAGE}


@once
@given(text=texts_with_surrogates.map(without_look_alikes))
def test_text_never_becomes_structure(channel: Channel, text: str) -> None:
    check_stays_text(channel, arguments={"to": text}, goal=text, approvers=(text,))


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "<!channel> <!here> <!everyone> <@U0ADA> <#C0ALL> <!subteam^S0ALL>",
        "<https://evil.example|Approve> https://evil.example/ mailto:eve@evil.example",
        "@channel @here @ada #general :tada: ada@example.com",
        "```\n*bold* _it_ ~no~ `code` > quote\n- list\n```",
        "&lt;!channel&gt; &amp;lt;@U0ADA&amp;gt;",
        '"}]},{"type":"actions","elements":[{"type":"button"',
    ],
)
def test_hostile_text_stays_text(channel: Channel, text: str) -> None:
    check_stays_text(channel, arguments={text: [text]}, goal=text, agents=(text, text))


def check_stays_text(channel: Channel, **more: Any) -> None:
    """The message keeps the template's structure and links, and hides nothing."""
    for kind in ("approval", "doubt"):
        expected = sent(channel, kind=kind, arguments={"to": "x"}, goal="x", agents=("x", "x"))
        received = sent(channel, kind=kind, **more)
        assert received.structure == expected.structure
        assert received.links == expected.links
        assert not HIDDEN.search(received.text)
