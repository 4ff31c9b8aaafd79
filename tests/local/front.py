"""The front door of a local run: the API on one address, and the inbox.

On AWS, callers sign their requests and a mail provider delivers. Here this door signs for whoever
stands before it, so it listens on loopback only and turns away what another web site's page sends.
"""

import html
import json
import re
import time
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.local.ministack import REGION

MAX_BODY_BYTES = 10 * 1024 * 1024  # API Gateway's own limit
_HOP_BY_HOP = {"connection", "host", "keep-alive", "transfer-encoding", "content-length", "te"}
_OURS = {"date", "server"}
_LINK = re.compile(r"https?://\S+/approvals/[\w./-]+")


class Inbox:
    """The mails that were sent, newest first; kept in a file, because the emulator forgets them."""

    def __init__(self, source_url: str, file: Path) -> None:
        self._source_url = f"{source_url}/_ministack/ses/messages"
        self._file = file
        self._lock = Lock()

    def mails(self) -> list[dict[str, Any]]:
        """All mails so far."""
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


class Front:
    """The door: `/inbox` shows the mails, and all else goes to the deployed API."""

    def __init__(self, port: int) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.api_url = ""
        self.inbox: Inbox | None = None
        self._thread: Thread | None = None
        self.pool = urllib3.PoolManager(maxsize=32, retries=False, timeout=60)
        self._credentials = Credentials("test", "test")

    def open(self, api_url: str, inbox: Inbox) -> None:
        """Begin to let requests through."""
        self.api_url, self.inbox = api_url, inbox
        self._thread = Thread(target=self.server.serve_forever, daemon=True, name="front")
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        if self._thread:
            self.server.shutdown()
            self._thread.join()
        self.server.server_close()

    def forward(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse:
        """Send a request on to the API, signed; but not one that brings a token of its own."""
        request = AWSRequest(
            method=method, url=self.api_url + path, data=body, headers=dict(headers)
        )
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            SigV4Auth(self._credentials, "execute-api", REGION).add_auth(request)
        return self.pool.request(
            method, self.api_url + path, body=body, headers=dict(request.headers), redirect=False
        )


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
            elif self.path.split("?")[0] in ("/", "/inbox", "/inbox.json"):
                self._local_page()
            else:
                self._forward(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = handle_any

        def _foreign(self) -> tuple[HTTPStatus, str] | None:
            """Another site's page in the user's browser may not act through this door."""
            host = (self.headers.get("Host") or "").rpartition(":")[0]
            if host not in ("127.0.0.1", "localhost"):
                return HTTPStatus.MISDIRECTED_REQUEST, "this is 127.0.0.1"
            origin = self.headers.get("Origin")
            same = (f"http://{self.headers.get('Host')}", "null", None)
            foreign = origin not in same or self.headers.get("Sec-Fetch-Site") == "cross-site"
            if foreign and self.command not in ("GET", "HEAD"):
                return HTTPStatus.FORBIDDEN, "another site's page may not act here"
            return None

        def _forward(self, body: bytes) -> None:
            sent = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in _HOP_BY_HOP
            }
            try:
                answer = front.forward(self.command, self.path, sent, body)
            except urllib3.exceptions.HTTPError as error:
                self._problem(HTTPStatus.BAD_GATEWAY, f"the API does not answer: {error}")
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

        def _local_page(self) -> None:
            assert front.inbox
            mails = front.inbox.mails()
            if self.path.startswith("/inbox.json"):
                body = json.dumps({"items": mails}).encode()
                self._answer(HTTPStatus.OK, body, [("Content-Type", "application/json")])
            else:
                policy = "default-src 'none'; style-src 'unsafe-inline'"
                headers = [
                    ("Content-Type", "text/html; charset=utf-8"),
                    ("Content-Security-Policy", policy),
                ]
                self._answer(HTTPStatus.OK, _inbox_page(mails).encode(), headers)

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
            """Say nothing: paths hold tokens."""

    return Handler


_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:0 auto;padding:1rem}
article{border:1px solid #8886;border-radius:12px;padding:1rem;margin:0 0 1rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0}
small{opacity:.7}
"""


def _inbox_page(mails: list[dict[str, Any]]) -> str:
    articles = "".join(_article(mail) for mail in mails) or "<p>No mail yet.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="refresh" content="5">'
        f"<title>Inbox</title><style>{_STYLE}</style></head><body><h1>Inbox</h1>"
        f"<p><small>All mails sent by the system, newest first.</small></p>{articles}"
        "</body></html>"
    )


def _article(mail: Mapping[str, Any]) -> str:
    text = html.escape(mail["text"])
    for link in mail["links"]:
        escaped = html.escape(link)
        text = text.replace(escaped, f'<a href="{escaped}">{escaped}</a>')
    sent = time.strftime("%H:%M:%S", time.localtime(mail["at"]))
    to = html.escape(", ".join(mail["to"]))
    subject = html.escape(mail["subject"])
    head = f"<h2>{subject}</h2><p><small>to {to}, {sent}</small></p>"
    return f"<article>{head}<pre>{text}</pre></article>"
