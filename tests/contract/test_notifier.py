"""What every channel does alike, whichever service is behind it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from agent_continuations.core.notice import Notice
from agent_continuations.errors import Fatal, Retryable
from tests.contract.channels import ADA, CHANNELS, LINK, PAGE, Arrived, Channel, opened
from tests.unit.adapters.channels.test_email import HOSTILE, about, half

SECRET = "DE89370400440532013000"
HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ue000-\uf8ff]"
)
# A channel is opened once for all examples: each looks only at what it has sent itself.
once = settings(
    deadline=None,
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=CHANNELS)
def channel(request: pytest.FixtureRequest) -> Iterator[Channel]:
    with opened(request.param) as made:
        yield made


def sent(channel: Channel, **more: Any) -> Arrived:
    """A notice as it arrives."""
    channel.notifier.deliver(notice(**more), channel.address, ADA)
    return channel.arrived()[-1]


def notice(**more: Any) -> Notice:
    return about(**{"arguments": {"iban": SECRET}, "goal": f"Pay {SECRET}.", **more})


def test_each_call_delivers_once(channel: Channel) -> None:
    for times in (1, 2, 3):
        sent(channel)
        assert len(channel.arrived()) == times


def test_a_message_carries_the_notices_id_and_a_second_delivery_the_same(channel: Channel) -> None:
    assert sent(channel).notice_id == "abcdefgh23456723"
    assert sent(channel).notice_id == "abcdefgh23456723"
    assert sent(channel, notice_id="another").notice_id == "another"


def test_a_message_says_what_is_asked(channel: Channel) -> None:
    for kind in ("approval", "doubt"):
        arrived = sent(channel, kind=kind)
        assert "pay" in arrived.words
        assert "clerk" in arrived.words
        assert "0123456789ab" in arrived.words


def test_a_service_that_is_not_there_may_come_back(channel: Channel) -> None:
    nobody = channel.unreachable()
    with pytest.raises(Retryable):
        nobody.deliver(notice(), channel.address, ADA)
    assert channel.arrived() == []


def test_a_refusal_for_good_is_final(channel: Channel) -> None:
    refused = channel.refuse()
    with pytest.raises(Fatal):
        channel.notifier.deliver(notice(), refused, ADA)


def test_what_is_private_is_told_in_private_only(channel: Channel) -> None:
    arrived = sent(channel)
    assert (SECRET in arrived.words) == channel.private
    assert (LINK in arrived.words or LINK in arrived.links) == channel.private
    assert set(arrived.links) <= {LINK if channel.private else PAGE}


@once
@given(text=half)
def test_no_text_makes_structure(channel: Channel, text: str) -> None:
    check_stays_words(channel, arguments={"to": text}, goal=text, approvers=(text,))


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
def test_hostile_words_stay_words(channel: Channel, text: str) -> None:
    check_stays_words(channel, arguments={text: [text]}, goal=text, agents=(text, text))


def check_stays_words(channel: Channel, **more: Any) -> None:
    """The template's structure, its links, nothing hidden, and still the approver's question."""
    for kind in ("approval", "doubt"):
        expected = sent(channel, kind=kind, arguments={"to": "x"}, goal="x", agents=("x", "x"))
        arrived = sent(channel, kind=kind, **more)
        assert arrived.structure == expected.structure
        assert arrived.links == expected.links
        assert not HIDDEN.search(arrived.words)
