"""Front server of a local run: the API on one address, the start page, and the sent e-mails.

On AWS, callers sign their requests and an e-mail provider delivers. Here this server signs all
requests, so it listens on loopback only and refuses requests that other web sites' pages send.
"""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Lock, Thread
from typing import Any, TypeAlias

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.local.ministack import REGION

WRITE_SECONDS = 5.0
MAX_BODY_BYTES = 10 * 1024 * 1024  # API Gateway's own limit
_HOP_BY_HOP = {"connection", "host", "keep-alive", "transfer-encoding", "content-length", "te"}
_OURS = {"date", "server"}
_READS = ("GET", "HEAD", "OPTIONS")
_LINK = re.compile(r"https?://\S+/approvals/[\w./-]+")


Headers: TypeAlias = list[tuple[str, str]]
# A page of this server: the method, the path with its query, and the body; None if it has none.
LocalPage: TypeAlias = Callable[[str, str, bytes], tuple[HTTPStatus, Headers, bytes] | None]


class Inbox:
    """Sent e-mails, newest first; kept in a file, since the emulator does not persist them."""

    def __init__(self, source_url: str, file: Path) -> None:
        self._source_url = f"{source_url}/_ministack/ses/messages"
        self._file = file
        self._lock = Lock()

    def mails(self) -> list[dict[str, Any]]:
        """Returns all e-mails, newest first."""
        with self._lock:
            known: dict[str, dict[str, Any]] = {}
            if self._file.exists():
                known = {mail["id"]: mail for mail in json.loads(self._file.read_text())}
            with urllib.request.urlopen(self._source_url, timeout=10) as answer:
                accounts = json.load(answer)["messages"]
            fresh = [_mail(each) for account in accounts.values() for each in account]
            known |= {mail["id"]: mail for mail in fresh}
            mails = sorted(known.values(), key=lambda mail: mail["at"], reverse=True)
            self._file.write_text(json.dumps(mails))
            return mails


def _mail(message: Mapping[str, Any]) -> dict[str, Any]:
    text = message.get("BodyText") or ""
    return {
        "id": message["MessageId"],
        "at": message["Timestamp"],
        "to": message["To"],
        "subject": message["Subject"],
        "text": text,
        "html": message.get("BodyHtml") or "",
        "links": _LINK.findall(text),
    }


class _Gate:
    """Holds requests back as long as the functions change."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._closed = False
        self._writing = 0
        self._changes = 0

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Lets no new request pass; begins once the requests that change something have ended."""
        with self._condition:
            self._closed = True
            self._condition.wait_for(lambda: not self._writing, timeout=WRITE_SECONDS)
        try:
            yield
        finally:
            with self._condition:
                self._closed = False
                self._changes += 1
                self._condition.notify_all()

    @contextmanager
    def passed(self, *, writes: bool) -> Iterator[int]:
        """Passes one request; yields a number for `changed_since`."""
        with self._condition:
            self._condition.wait_for(lambda: not self._closed)
            self._writing += writes
            changes = self._changes
        try:
            yield changes
        finally:
            with self._condition:
                self._writing -= writes
                self._condition.notify_all()

    def changed_since(self, changes: int) -> bool:
        """Whether the functions have changed since, or change now."""
        with self._condition:
            return self._closed or self._changes != changes


class Front:
    """HTTP server: pages of its own, see `open`; other requests go to the deployed API."""

    def __init__(self, port: int) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.api_url = ""
        self.page: LocalPage = lambda _method, _path, _body: None
        self._gate = _Gate()
        self._thread: Thread | None = None
        self.pool = urllib3.PoolManager(maxsize=32, retries=False, timeout=60)
        self._credentials = Credentials("test", "test")

    def open(self, api_url: str, page: LocalPage) -> None:
        """Starts forwarding requests to the API, but for those that `page` answers."""
        self.api_url, self.page = api_url, page
        self._thread = Thread(target=self.server.serve_forever, daemon=True, name="front")
        self._thread.start()

    def close(self) -> None:
        """Stops the server."""
        if self._thread:
            self.server.shutdown()
            self._thread.join()
        self.server.server_close()

    def held(self) -> AbstractContextManager[None]:
        """Holds requests back, as long as the functions change."""
        return self._gate.closed()

    def forward(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse:
        """Forwards a request to the API, signed unless it has a token of its own."""
        request = AWSRequest(
            method=method, url=self.api_url + path, data=body, headers=dict(headers)
        )
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            SigV4Auth(self._credentials, "execute-api", REGION).add_auth(request)
        while True:
            with self._gate.passed(writes=method not in _READS) as changes:
                response = self.pool.request(
                    method,
                    self.api_url + path,
                    body=body,
                    headers=dict(request.headers),
                    redirect=False,
                )
            # A change of a function ends its process, in the middle of a long poll, too.
            lost = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR and method in _READS
            if not lost or not self._gate.changed_since(changes):
                return response


def _handler(front: Front) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            refusal = self._foreign()
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_BODY_BYTES:
                self.close_connection = True
                refusal = refusal or (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "over 10 MB")
            body = b"" if refusal and self.close_connection else self.rfile.read(length)
            if refusal:
                self._problem(*refusal)
            elif not self._own_page(body):
                self._forward(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = handle_any

        def _foreign(self) -> tuple[HTTPStatus, str] | None:
            """Refuses requests that another site's page sends from the user's browser."""
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            if host not in ("127.0.0.1", "localhost"):
                return HTTPStatus.MISDIRECTED_REQUEST, "this is 127.0.0.1"
            origin = self.headers.get("Origin")
            same = (f"http://{self.headers.get('Host')}", "null", None)
            foreign = origin not in same or self.headers.get("Sec-Fetch-Site") == "cross-site"
            if foreign and self.command not in ("GET", "HEAD"):
                return HTTPStatus.FORBIDDEN, "another site's page may not act here"
            return None

        def _own_page(self, body: bytes) -> bool:
            """Answers with a page of this server; returns False if the request is for the API."""
            try:
                page = front.page(self.command, self.path, body)
            except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
                self._problem(HTTPStatus.BAD_GATEWAY, f"the system does not respond: {error}")
                return True
            if page:
                status, headers, content = page
                self._answer(status, content, headers)
            return page is not None

        def _forward(self, body: bytes) -> None:
            sent = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in _HOP_BY_HOP
            }
            try:
                answer = front.forward(self.command, self.path, sent, body)
            except urllib3.exceptions.HTTPError as error:
                self._problem(HTTPStatus.BAD_GATEWAY, f"the API is unreachable: {error}")
                return
            if (
                answer.status == HTTPStatus.FORBIDDEN
                and b"Missing Authentication Token" in answer.data
            ):
                # Requests are signed here, so it can only be the route.
                self._problem(HTTPStatus.NOT_FOUND, "there is no such route")
                return
            # Pairs, because an answer may set several cookies.
            headers = [
                (name, value)
                for name, value in answer.headers.items()
                if name.lower() not in _HOP_BY_HOP | _OURS
            ]
            self._answer(HTTPStatus(answer.status), answer.data, headers)

        def _problem(self, status: HTTPStatus, detail: str) -> None:
            document = {
                "type": "about:blank",
                "title": status.phrase,
                "status": status.value,
                "detail": detail,
            }
            headers = [("Content-Type", "application/problem+json")]
            self._answer(status, json.dumps(document).encode(), headers)

        def _answer(self, status: HTTPStatus, body: bytes, headers: list[tuple[str, str]]) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if status is not HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing, since paths contain tokens."""

    return Handler
