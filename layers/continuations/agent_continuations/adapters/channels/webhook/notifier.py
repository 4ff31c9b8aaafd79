"""Webhooks, for programs: ids and facts, signed as specified by standardwebhooks.com.

Protection against SSRF: although the addresses come from the deployer's table, a webhook must not
reach hosts that only this system can reach. So the name is resolved here, all its addresses must be
public, and the connection uses one of them without resolving again (no DNS rebinding).
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from hashlib import sha256
from hmac import digest
from http.client import HTTPConnection, HTTPException
from socket import SHUT_RDWR, create_connection, socket
from ssl import SSLContext, create_default_context
from threading import Timer
from typing import NamedTuple
from urllib.parse import urlsplit

from agent_continuations.adapters.channels.webhook.addresses import Address, is_public, resolve
from agent_continuations.adapters.retry_after import retry_after_seconds
from agent_continuations.core.notice import Notice
from agent_continuations.errors import Fatal, Retryable
from agent_continuations.ports.clock import Clock, utc_now

CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
# The limits above apply to each packet; this one applies to a server that sends single bytes.
WHOLE_SECONDS = 10.0
MIN_KEY_BYTES = 24
_TRIED_ADDRESSES = 3
_TRANSIENT_STATUSES = {408, 409, 425, 429}


class _Target(NamedTuple):
    host: str
    port: int
    authority: str
    path: str


class WebhookNotifier:
    """Posts notices to HTTPS addresses.

    Args:
        keys: returns the signing keys, `whsec_<base64>`, newest first. Each of them signs, so that
            a receiver can change keys at any time.
        hosts: the allowed hosts; empty for any public one.
        ports: the allowed ports.
        resolve: from a name and a port to addresses.
        allows: whether an address may be reached.
        tls: to verify certificates with; None for the authorities of the system.
    """

    def __init__(
        self,
        keys: Callable[[], Sequence[str]],
        *,
        hosts: Collection[str] = (),
        ports: Collection[int] = (443,),
        resolve: Callable[[str, int], Sequence[Address]] = resolve,
        allows: Callable[[Address], bool] = is_public,
        tls: SSLContext | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._keys = keys
        self._hosts = {each.lower() for each in hosts}
        self._ports = ports
        self._resolve = resolve
        self._allows = allows
        self._given_tls = tls
        self._clock = clock

    def deliver(self, notice: Notice, address: str, approver: str) -> None:
        """Post one message. Its id is that of the notice, on every attempt.

        Raises:
            Retryable: the receiver cannot be reached, or cannot accept the message now.
            Fatal: the receiver refuses the message, or the address is not allowed.
        """
        del approver
        target = self._target(address)
        payload = {
            "type": f"{notice.kind}.requested",
            "timestamp": notice.created_at.isoformat(),
            "data": notice.facts(),
        }
        body = json.dumps(payload, separators=(",", ":")).encode()
        headers = {
            "Host": target.authority,
            "Content-Type": "application/json",
            "User-Agent": "agent-continuations",
            **self._signed(notice.notice_id, body),
        }
        try:
            status, after = self._post(target, body, headers)
        except (HTTPException, OSError) as error:
            raise Retryable(f"{target.host} cannot be reached: {error}") from error
        self._raise_for_status(status, after)

    def _post(
        self, target: _Target, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str | None]:
        """The response's status and Retry-After; its body is not read."""
        with (
            self._connected(target) as plain,
            _deadline(WHOLE_SECONDS, plain),
            self._tls.wrap_socket(plain, server_hostname=target.host) as secure,
        ):
            connection = HTTPConnection(target.host, target.port)
            connection.sock = secure
            connection.request("POST", target.path, body, dict(headers))
            with closing(connection.getresponse()) as answer:
                return answer.status, answer.getheader("Retry-After")

    def _connected(self, target: _Target) -> socket:
        """A connection to an address of the host, after all its addresses were checked."""
        addresses = list(dict.fromkeys(self._resolve(target.host, target.port)))
        if not all(self._allows(each) for each in addresses):
            raise Fatal(f"{target.host} has an address that is not public")
        failure = OSError("no address found")
        for address in addresses[:_TRIED_ADDRESSES]:
            try:
                connected = create_connection((str(address), target.port), CONNECT_SECONDS)
            except OSError as error:
                failure = error
            else:
                connected.settimeout(READ_SECONDS)
                return connected
        raise failure

    def _target(self, address: str) -> _Target:
        if not address.isascii() or not address.isprintable() or {" ", "\\"} & set(address):
            raise Fatal("the address has characters that no URL has")
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", 443 if parts.port is None else parts.port
        except ValueError as error:
            raise Fatal(f"the address is no URL: {error}") from None
        if parts.scheme != "https" or not host:
            raise Fatal("only https:// addresses are posted to")
        if "@" in parts.netloc:
            raise Fatal("the address carries a name or a password")
        if port not in self._ports:
            raise Fatal(f"port {port} is not one that is posted to")
        if self._hosts and host not in self._hosts:
            raise Fatal(f"{host} is not among the hosts that are allowed")
        query = f"?{parts.query}" if parts.query else ""
        return _Target(host.rstrip("."), port, parts.netloc, (parts.path or "/") + query)

    def _signed(self, notice_id: str, body: bytes) -> dict[str, str]:
        moment = int(self._clock().timestamp())
        content = f"{notice_id}.{moment}.".encode() + body
        keys = [b64decode(each.removeprefix("whsec_"), validate=True) for each in self._keys()]
        if not keys or any(len(key) < MIN_KEY_BYTES for key in keys):
            raise ValueError(f"signing keys must have at least {MIN_KEY_BYTES} bytes")
        signatures = [b64encode(digest(key, content, sha256)).decode() for key in keys]
        return {
            "webhook-id": notice_id,
            "webhook-timestamp": str(moment),
            "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
        }

    @cached_property
    def _tls(self) -> SSLContext:
        return self._given_tls or create_default_context()

    def _raise_for_status(self, status: int, after: str | None) -> None:
        if 200 <= status < 300:
            return
        if status >= 500 or status in _TRANSIENT_STATUSES:
            raise Retryable(f"it answers {status}", retry_after_seconds(after, self._clock()))
        if 300 <= status < 400:
            raise Fatal(f"it answers {status}, and redirects are not followed")
        raise Fatal(f"it answers {status}")


@contextmanager
def _deadline(seconds: float, connected: socket) -> Iterator[None]:
    """Shut down a connection, in any state, if the block takes longer than so many seconds."""
    with connected.dup() as own:
        timer = Timer(seconds, _shut_down, [own])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _shut_down(connected: socket) -> None:
    with suppress(OSError):
        connected.shutdown(SHUT_RDWR)
