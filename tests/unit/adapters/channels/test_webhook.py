"""Webhooks: signed, only to public addresses, and to exactly the address that was checked."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from ssl import create_default_context
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from agent_continuations.adapters.channels.webhook import notifier as webhook
from agent_continuations.adapters.channels.webhook.addresses import Address, is_public, resolve
from agent_continuations.adapters.channels.webhook.notifier import WebhookNotifier
from agent_continuations.errors import Fatal, Retryable
from tests.local.hook_server import HOST, HookServer, Says, trusting
from tests.support.notices import example_notice

KEY, OLDER, STRANGE = (f"whsec_{b64encode(each * 32).decode()}" for each in (b"k", b"o", b"s"))
HOME = ip_address("127.0.0.1")
AUTHORITY = trustme.CA()
NEAR = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.100",
    "192.0.0.171",
    "192.0.0.255",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "239.255.255.255",
    "2620:4f:8000::1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:93.184.216.34",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.fixture
def server() -> Iterator[HookServer]:
    with HookServer(AUTHORITY) as made:
        yield made


class Names:
    """A resolver that returns one answer after another, and then repeats the last."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int) -> list[Address]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ip_address(each) for each in found]


def notifier(server: HookServer, **more: Any) -> WebhookNotifier:
    """A notifier that accepts loopback as public, which tests need."""
    given: dict[str, Any] = {
        "ports": (server.port,),
        "resolve": Names(["127.0.0.1"]),
        "allows": lambda address: address.is_loopback or is_public(address),
        "tls": trusting(AUTHORITY),
    }
    return WebhookNotifier(lambda: [KEY], **{**given, **more})


def post(made: WebhookNotifier, url: str, **more: Any) -> None:
    made.deliver(example_notice(**more), url, "nobody")


# -- requests --------------------------------------------------------------------------------------


def test_the_reference_library_accepts_what_is_sent(server: HookServer) -> None:
    post(notifier(server), server.url)
    [received] = server.received
    told = Webhook(KEY).verify(received.body, dict(received.headers))
    assert told["type"] == "approval.requested"
    assert told["data"]["request_id"] == "abcdefgh23456723"
    assert received.headers["webhook-id"] == "abcdefgh23456723"
    assert received.headers["content-type"] == "application/json"
    assert received.path == "/in?from=agents"
    with pytest.raises(WebhookVerificationError):
        Webhook(STRANGE).verify(received.body, dict(received.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(received.body + b" ", dict(received.headers))


def test_during_a_rotation_each_key_signs(server: HookServer) -> None:
    made = WebhookNotifier(
        lambda: [KEY, OLDER.removeprefix("whsec_")],
        ports=(server.port,),
        resolve=Names(["127.0.0.1"]),
        allows=lambda _address: True,
        tls=trusting(AUTHORITY),
    )
    post(made, server.url)
    [received] = server.received
    assert len(received.headers["webhook-signature"].split(" ")) == 2
    for key in (KEY, OLDER):
        Webhook(key).verify(received.body, dict(received.headers))


@pytest.mark.parametrize("keys", [[], ["whsec_c2hvcnQ="], ["whsec_not base64"], ["whsec_"]])
def test_nothing_is_sent_without_a_valid_key(server: HookServer, keys: list[str]) -> None:
    made = WebhookNotifier(
        lambda: keys,
        ports=(server.port,),
        resolve=Names(["127.0.0.1"]),
        allows=lambda _address: True,
        tls=trusting(AUTHORITY),
    )
    with pytest.raises(ValueError):  # noqa: PT011 - base64's own words, or ours
        post(made, server.url)
    assert server.received == []


def test_the_webhook_sends_no_private_details(server: HookServer) -> None:
    post(notifier(server), server.url, arguments={"iban": "SECRET-1"}, goal="SECRET-2")
    [received] = server.received
    assert b"SECRET" not in received.body
    told = json.loads(received.body)["data"]
    assert told["tool"] == "pay"
    assert told["approvers"] == ["ada@example.com"]
    private = {"arguments", "goal", "link", "answerers", "delivered", "undelivered"}
    assert not private & set(told)


def test_the_request_has_the_name_of_the_server(server: HookServer) -> None:
    post(notifier(server), server.url)
    [received] = server.received
    assert received.asked_for == HOST
    assert received.headers["host"] == f"{HOST}:{server.port}"


# -- responses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_status_is_a_delivery(server: HookServer, status: int) -> None:
    server.says = Says(status)
    post(notifier(server), server.url)
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 451])
def test_a_refusal_is_final(server: HookServer, status: int) -> None:
    server.says = Says(status)
    with pytest.raises(Fatal, match=str(status)):
        post(notifier(server), server.url)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 599])
def test_a_transient_error_is_retried(server: HookServer, status: int) -> None:
    server.says = Says(status)
    with pytest.raises(Retryable, match=str(status)):
        post(notifier(server), server.url)


@pytest.mark.parametrize(
    "text, seconds",
    [("120", 120.0), ("0", 0.0), ("soon", None), ("-5", None), ("9" * 400, 86400.0)],
)
def test_retry_after_in_seconds_is_respected(
    server: HookServer, text: str, seconds: float | None
) -> None:
    server.says = Says(429, {"Retry-After": text})
    with pytest.raises(Retryable) as caught:
        post(notifier(server), server.url)
    assert caught.value.after_seconds == seconds


def test_retry_after_as_a_date_is_respected(server: HookServer) -> None:
    now = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    until = format_datetime(now + timedelta(seconds=90), usegmt=True)
    server.says = Says(503, {"Retry-After": until})
    with pytest.raises(Retryable) as caught:
        post(notifier(server, clock=lambda: now), server.url)
    assert caught.value.after_seconds == 90.0


def test_an_endless_response_is_not_read(server: HookServer) -> None:
    server.says = Says(200, endless=True)
    post(notifier(server), server.url)


def test_a_slow_response_times_out(server: HookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "WHOLE_SECONDS", 0.4)
    server.says = Says(200, {"X": "y" * 1000}, drips=0.05)
    begun = datetime.now(UTC)
    with pytest.raises(Retryable):
        post(notifier(server), server.url)
    assert datetime.now(UTC) - begun < timedelta(seconds=3)


def test_a_silent_server_times_out(server: HookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "READ_SECONDS", 0.2)
    server.says = Says(200, drips=5)
    with pytest.raises(Retryable):
        post(notifier(server), server.url)


# -- a webhook target on a private address ------------------------------------------------------


@pytest.mark.parametrize("address", NEAR)
def test_a_private_address_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"]
)
def test_an_internet_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses())
def test_a_public_address_is_one_for_python_too(address: Any) -> None:
    assert not is_public(address) or (address.is_global and not address.is_multicast)


@given(st.ip_addresses(v=4))
def test_a_private_address_within_ipv6_is_not_public(address: Any) -> None:
    for inside in ("::ffff:", "64:ff9b::", "::"):
        assert not is_public(ip_address(f"{inside}{address}"))
    assert not is_public(ip_address((0x2002 << 112) | (int(address) << 80)))


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "169.254.169.254",
        "2852039166",
        "0xa9.254.0251.0376",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]",
    ],
)
def test_a_webhook_target_on_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(Fatal, match="not public"):
        post(WebhookNotifier(lambda: [KEY]), f"https://{host}/")


@pytest.mark.parametrize("address", NEAR)
def test_a_name_with_one_private_address_among_public_ones_is_refused(
    server: HookServer, address: str
) -> None:
    made = notifier(server, resolve=Names(["93.184.216.34", address]), allows=is_public)
    with pytest.raises(Fatal, match="not public"):
        post(made, server.url)


def test_the_connection_uses_the_address_that_was_checked(server: HookServer) -> None:
    """DNS rebinding: a later change of the name has no effect."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    post(notifier(server, resolve=names), server.url)
    assert names.asked == [HOST]
    assert len(server.received) == 1


def test_a_name_that_moved_to_a_private_address_is_refused(server: HookServer) -> None:
    made = notifier(server, resolve=Names(["127.0.0.1"], ["10.0.0.1"]))
    post(made, server.url)
    with pytest.raises(Fatal, match="not public"):
        post(made, server.url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_private_address_is_not_followed(server: HookServer, status: int) -> None:
    with HookServer(AUTHORITY, "127.0.0.1", HOST) as inner:
        for place in (f"https://127.0.0.1:{inner.port}/", inner.url, "/elsewhere"):
            server.says = Says(status, {"Location": place})
            with pytest.raises(Fatal, match="redirects are not followed"):
                post(notifier(server), server.url)
        assert inner.received == []
    assert {each.path for each in server.received} == {"/in?from=agents"}


def test_the_next_address_is_tried_if_the_first_is_unreachable(server: HookServer) -> None:
    post(notifier(server, resolve=Names(["127.0.0.2", "127.0.0.1"])), server.url)
    assert len(server.received) == 1


def test_no_proxy_of_the_environment_is_used(
    server: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    post(notifier(server), server.url)
    assert len(server.received) == 1


# -- certificates and hosts ------------------------------------------------------------------------


def test_a_certificate_for_another_name_is_not_trusted() -> None:
    with HookServer(AUTHORITY, "other.example.com") as server:
        with pytest.raises(Retryable, match="certificate"):
            post(notifier(server), server.url)
        assert server.received == []


def test_a_certificate_of_an_unknown_authority_is_not_trusted(server: HookServer) -> None:
    with pytest.raises(Retryable, match="certificate"):
        post(notifier(server, tls=create_default_context()), server.url)
    with pytest.raises(Retryable, match="certificate"):
        post(notifier(server, tls=None), server.url)
    assert server.received == []


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "//hooks.example.com/",
        "hooks.example.com",
        "https://",
        "https:///path",
        "https://hooks.example.com:8443/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:x/",
        "https://user@hooks.example.com/",
        "https://user:word@hooks.example.com/",
        "https://hooks.example.com@evil.example/",
        "https://evil.example\\@hooks.example.com/",
        "https://hooks.example.com/\r\nX-Evil: 1",
        "https://hooks.example.com/a b",
        "https://hooks.example.com\t/",
        "https://hööks.example.com/",
        "https://[::1/",
        "",
    ],
)
def test_an_address_that_is_not_plain_https_is_refused(url: str) -> None:
    names = Names(["93.184.216.34"])
    with pytest.raises(Fatal):
        post(WebhookNotifier(lambda: [KEY], resolve=names), url)
    assert names.asked == []


def test_only_allowed_hosts_receive_webhooks_if_there_is_a_list(server: HookServer) -> None:
    post(notifier(server, hosts=["Hooks.Example.com"]), server.url)
    for host in ("evil.example", f"{HOST}.evil.example", f"evil{HOST}"):
        with pytest.raises(Fatal, match="not among the hosts"):
            post(notifier(server, hosts=[HOST]), server.url.replace(HOST, host))
    assert len(server.received) == 1


def test_an_unreachable_server_is_retried(server: HookServer) -> None:
    with HookServer(AUTHORITY) as gone:
        url, made = gone.url, notifier(gone)
    with pytest.raises(Retryable, match="cannot be reached"):
        post(made, url)


def test_a_name_without_an_address_is_retried() -> None:
    with pytest.raises(Retryable, match="cannot be resolved"):
        resolve("no-such-host.invalid", 443)
    with pytest.raises(Retryable, match="no address"):
        post(WebhookNotifier(lambda: [KEY], resolve=lambda _host, _port: []), f"https://{HOST}/")
