"""Routes from approvers to recipients: configured routes, e-mail, and invalid routes."""

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


def test_approvers_with_a_route_get_it_and_others_get_e_mail() -> None:
    assert NotificationRoutes(ROUTES)([CFO, "ada@example.com", FINANCE]) == [
        "slack:cfo@example.com",
        "email:ada@example.com",
        "email:finance-leads@example.com for group:finance",
        "slack:C024BE91L for group:finance",
        *(f"inbox:{name}" for name in (CFO, "ada@example.com", FINANCE)),
    ]


def test_a_name_without_address_and_route_has_no_recipient() -> None:
    assert NotificationRoutes({})(["arn:aws:iam::123456789012:role/Bot", "nobody"]) == []


def test_a_group_has_an_inbox() -> None:
    assert NotificationRoutes({})(["group:nobody"]) == ["inbox:group:nobody"]


def test_machines_receive_every_notice_once() -> None:
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


def test_duplicate_approvers_get_one_notice() -> None:
    assert NotificationRoutes({})(["ada@example.com", "ada@example.com"]) == [
        "email:ada@example.com",
        "inbox:ada@example.com",
    ]


@pytest.mark.parametrize("text", ["email:ada@example.com", "topic:arn:aws:sns:::t", "email:"])
def test_a_stored_recipient_without_an_approver_is_its_own_approver(text: str) -> None:
    channel, _, address = text.partition(":")
    assert Recipient.parse(text, []) == Recipient(channel, address, address)
    assert str(Recipient.parse(text, [])) == text


@given(st.sampled_from(["email", "slack"]), addresses, names)
def test_a_routed_recipient_is_parsed_as_it_was_stored(
    channel: str, address: str, approver: str
) -> None:
    written = Recipient(channel, address, approver)
    assert Recipient.parse(str(written), [approver]) == written


@given(names)
def test_an_e_mailed_approver_is_parsed_as_they_were_stored(approver: str) -> None:
    written = Recipient("email", approver, approver)
    assert Recipient.parse(str(written), ["another", approver]) == written


def test_a_name_cannot_obtain_the_link_of_another_approver() -> None:
    name = "eve@example.com for cfo@example.com"
    read = Recipient.parse(str(Recipient("email", name, name)), [CFO, name])
    assert (read.address, read.approver) == (name, name)


def test_routes_are_parsed_from_json() -> None:
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
def test_invalid_routes_raise_an_error(text: str) -> None:
    with pytest.raises(Fatal, match="the recipients cannot be read"):
        read_routes(text)


def test_the_error_names_the_invalid_route() -> None:
    with pytest.raises(Fatal, match=r"at cfo@example\.com\.1$"):
        read_routes('{"cfo@example.com": ["email:a@example.com", "fax:1"]}')


def test_a_group_is_recognized_by_its_name() -> None:
    assert is_group(FINANCE)
    assert not is_group(CFO)
