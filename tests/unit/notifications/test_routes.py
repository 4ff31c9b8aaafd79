"""Routes from approvers to recipients: configured routes, e-mail, and invalid routes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_continuations.core.approvals.policy import is_group
from agent_continuations.errors import Fatal
from agent_continuations.notifications.routes import (
    NotificationRoutes,
    Recipient,
    read_routes,
)

CFO, FINANCE = "cfo@example.com", "group:finance"
ROUTES = {
    CFO: ["slack:cfo@example.com"],
    FINANCE: ["email:finance-leads@example.com", "slack:C024BE91L"],
}
names = st.text(min_size=1)
addresses = st.text(min_size=1).filter(lambda text: text.split() == [text])


def texts(routes: NotificationRoutes, *approvers: str) -> list[str]:
    return [str(each) for each in routes(approvers)]


def test_approvers_with_a_route_get_it_and_others_get_e_mail() -> None:
    assert texts(NotificationRoutes(ROUTES), CFO, "ada@example.com", FINANCE) == [
        "slack:cfo@example.com",
        "email:ada@example.com",
        "email:finance-leads@example.com for group:finance",
        "slack:C024BE91L for group:finance",
        *(f"inbox:{name}" for name in (CFO, "ada@example.com", FINANCE)),
    ]


def test_a_name_without_address_and_route_has_no_recipient() -> None:
    assert NotificationRoutes({})(["arn:aws:iam::123456789012:role/Bot", "nobody"]) == []


def test_a_group_has_an_inbox() -> None:
    assert texts(NotificationRoutes({}), "group:nobody") == ["inbox:group:nobody"]


def test_machines_receive_every_notice_once() -> None:
    routes = NotificationRoutes(
        {CFO: ["webhook:https://x.example/"]}, ["topic:arn", "webhook:https://x/"]
    )
    assert texts(routes, CFO) == [
        "webhook:https://x.example/ for cfo@example.com",
        "inbox:cfo@example.com",
        "topic:arn",
        "webhook:https://x/",
    ]
    assert texts(NotificationRoutes({}, ["topic:arn"])) == ["topic:arn"]


def test_duplicate_approvers_get_one_notice() -> None:
    assert texts(NotificationRoutes({}), "ada@example.com", "ada@example.com") == [
        "email:ada@example.com",
        "inbox:ada@example.com",
    ]


@pytest.mark.parametrize("route", ["email:ada@example.com", "topic:arn:aws:sns:::t", "email:"])
def test_a_machine_is_its_own_approver(route: str) -> None:
    channel, _, address = route.partition(":")
    assert Recipient.parse(route) == Recipient(channel, address, address)
    assert str(Recipient.parse(route)) == route


@given(st.lists(names, max_size=4), st.dictionaries(names, st.lists(addresses, min_size=1)))
def test_each_recipient_has_an_approver_who_was_named_and_an_address_of_theirs(
    approvers: list[str], routed: dict[str, list[str]]
) -> None:
    routes = {name: [f"slack:{each}" for each in of_name] for name, of_name in routed.items()}
    for channel, address, approver in NotificationRoutes(routes)(approvers):
        assert approver in approvers
        own = {("slack", each) for each in routed.get(approver, [])} or {("email", approver)}
        assert (channel, address) in own | {("inbox", approver)}


def test_a_name_cannot_obtain_the_link_of_another_approver() -> None:
    name = "eve@example.com for cfo@example.com"
    email, _ = NotificationRoutes({})([name])
    assert (email.address, email.approver) == (name, name)


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
    for name in (FINANCE, FINANCE.upper(), "Group:légal", "group:"):
        assert is_group(name)
    for name in (CFO, "groupe:a", "group", " group:a", "gro\u0131p:a", "\uff47roup:a", ""):
        assert not is_group(name)
