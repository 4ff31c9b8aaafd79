"""From approvers to recipients: by their routes, by mail, and nobody is lost by a slip."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_continuations.errors import Fatal
from agent_continuations.notifications.routes import (
    NotificationRoutes,
    Recipient,
    is_group,
    read_routes,
)

CFO, FINANCE = "cfo@example.com", "group:finance"
ROUTES = {
    CFO: ["slack:cfo@example.com"],
    FINANCE: ["email:finance-leads@example.com", "slack:C024BE91L"],
}
names = st.text(min_size=1)
addresses = st.text(min_size=1).filter(lambda text: text.split() == [text])


def test_who_has_a_route_is_told_by_it_and_others_by_mail() -> None:
    assert NotificationRoutes(ROUTES)([CFO, "ada@example.com", FINANCE]) == [
        "slack:cfo@example.com",
        "email:ada@example.com",
        "email:finance-leads@example.com for group:finance",
        "slack:C024BE91L for group:finance",
        *(f"inbox:{name}" for name in (CFO, "ada@example.com", FINANCE)),
    ]


def test_a_name_that_is_no_address_and_has_no_route_is_told_nothing() -> None:
    assert NotificationRoutes({})(["arn:aws:iam::123456789012:role/Bot", "nobody"]) == []


def test_who_can_sign_in_has_an_inbox() -> None:
    assert NotificationRoutes({})(["group:nobody"]) == ["inbox:group:nobody"]


def test_machines_hear_of_every_notice_once() -> None:
    routes = NotificationRoutes(
        {CFO: ["webhook:https://x.example/"]}, ["topic:arn", "webhook:https://x/"]
    )
    assert routes([CFO]) == [
        "webhook:https://x.example/ for cfo@example.com",
        "inbox:cfo@example.com",
        "topic:arn",
        "webhook:https://x/",
    ]
    assert NotificationRoutes({}, ["topic:arn"])([]) == ["topic:arn"]


def test_who_is_named_twice_is_told_once() -> None:
    assert NotificationRoutes({})(["ada@example.com", "ada@example.com"]) == [
        "email:ada@example.com",
        "inbox:ada@example.com",
    ]


@pytest.mark.parametrize("text", ["email:ada@example.com", "topic:arn:aws:sns:::t", "email:"])
def test_what_older_code_stored_stands_for_itself(text: str) -> None:
    channel, _, address = text.partition(":")
    assert Recipient.parse(text, []) == Recipient(channel, address, address)
    assert str(Recipient.parse(text, [])) == text


@given(st.sampled_from(["email", "slack"]), addresses, names)
def test_a_recipient_that_was_routed_is_read_as_it_was_written(
    channel: str, address: str, approver: str
) -> None:
    written = Recipient(channel, address, approver)
    assert Recipient.parse(str(written), [approver]) == written


@given(names)
def test_an_approver_who_is_mailed_is_read_as_he_was_written(approver: str) -> None:
    written = Recipient("email", approver, approver)
    assert Recipient.parse(str(written), ["another", approver]) == written


def test_a_name_cannot_have_another_ones_link_sent_to_it() -> None:
    name = "eve@example.com for cfo@example.com"
    read = Recipient.parse(str(Recipient("email", name, name)), [CFO, name])
    assert (read.address, read.approver) == (name, name)


def test_routes_are_read_from_json() -> None:
    assert read_routes(json.dumps(ROUTES)) == ROUTES
    assert read_routes("{}") == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"a": "email:a@example.com"}',
        '{"a": []}',
        '{"a": [1]}',
        '{"a": ["fax:1"]}',
        '{"a": ["email:"]}',
        '{"a": ["a@example.com"]}',
        '{"a": ["email:a@example.com "]}',
        '{"a": ["email:a@example.com for b@example.com"]}',
        '{"a": ["email:a@example.com\\n"]}',
        '{"a": ["webhook:http://x.example/"]}',
    ],
)
def test_routes_that_cannot_be_read_are_refused_aloud(text: str) -> None:
    with pytest.raises(Fatal, match="the recipients cannot be read"):
        read_routes(text)


def test_a_refusal_says_where() -> None:
    with pytest.raises(Fatal, match=r"at cfo@example\.com\.1$"):
        read_routes('{"cfo@example.com": ["email:a@example.com", "fax:1"]}')


def test_a_group_is_named_as_one() -> None:
    assert is_group(FINANCE)
    assert not is_group(CFO)
