"""Receiver of webhooks on loopback, over TLS, with a certificate of a test authority."""

import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple, Self

import trustme

HOST = "hooks.example.com"


class Received(NamedTuple):
    """Received request; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    asked_for: str | None


@dataclass(frozen=True)
class Says:
    """Response of the receiver; with `drips`, it is sent byte by byte with pauses."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    drips: float = 0
    endless: bool = False


class HookServer:
    """Receives while the context is open."""

    def __init__(self, authority: trustme.CA, *names: str) -> None:
        self.says = Says()
        self.received: list[Received] = []
        self._asked_for: str | None = None
        self.closing = threading.Event()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(*(names or (HOST,))).configure_cert(context)
        context.sni_callback = self._named
        self._http = _Http(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._http.context = context
        self.port = self._http.server_port
        self.url = f"https://{HOST}:{self.port}/in?from=agents"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def _named(self, _socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self._asked_for = name

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.received.append(Received(path, headers, body, self._asked_for))


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Returns an SSL context that trusts only this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


class _Http(ThreadingHTTPServer):
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(10)
        with self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that disconnect, even during the handshake."""


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[HookServer]

    def do_POST(self) -> None:
        """Records the request and sends the response that the test has set."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.take(self.path, headers, body)
        says = self.owner.says
        lines = [f"HTTP/1.1 {says.status} Said", *(f"{k}: {v}" for k, v in says.headers.items())]
        answer = ("\r\n".join(lines) + "\r\n\r\n").encode()
        for each in answer if says.drips else b"":
            if self.owner.closing.wait(says.drips):
                return
            self.wfile.write(bytes([each]))
            self.wfile.flush()
        if not says.drips:
            self.wfile.write(answer)
        until = time.monotonic() + 30
        while says.endless and time.monotonic() < until and not self.owner.closing.is_set():
            self.wfile.write(b"x" * 65536)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep test output clean."""
