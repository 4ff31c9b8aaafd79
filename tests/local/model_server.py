"""A small, strict OpenAI-compatible Chat Completions server on loopback, for tests and demos."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Literal, Self

from tests.local.model_rules import Json, Refused, check_request

__all__ = ["Call", "Fault", "Json", "ModelServer", "Reply", "error_body"]
MAX_BODY = 64 * 2**20
_ERRORS: dict[int, tuple[str, str, str | None]] = {  # status: message, type, code
    400: ("Invalid request.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request.", "server_error", None),
    503: ("The engine is overloaded, please try again later.", "server_error", None),
}


@dataclass(frozen=True)
class Call:
    """A tool call; `arguments` given as a string is sent verbatim, so it may be malformed."""

    name: str
    arguments: str | Json
    id: str | None = None


@dataclass(frozen=True)
class Reply:
    """Reply of the model."""

    content: str | None = None
    tool_calls: tuple[Call, ...] = ()
    finish_reason: str | None = None
    refusal: str | None = None
    usage: tuple[int, int] | None = None


@dataclass(frozen=True)
class Fault:
    """Fault to simulate; a delay alone ends in 504, no field in 500, a cut alone cuts a 200."""

    status: int | None = None
    retry_after: str | None = None
    cut: Literal["", "before", "middle"] = ""
    delay_seconds: float = 0.0
    body: bytes | None = None


def error_body(
    status: int, what: str = "", param: str | None = None, code: str | None = None
) -> bytes:
    """Return the error document of a status; `what` replaces the service's usual message."""
    known = _ERRORS.get(status) or _ERRORS[500 if status >= 500 else 400]
    error = {"message": what or known[0], "type": known[1], "param": param}
    return json.dumps({"error": {**error, "code": code or known[2]}}).encode()


def _completion(body: Json, reply: Reply) -> bytes:
    """Return the chat.completion object which carries the reply."""
    message: Json = {"role": "assistant", "content": reply.content, "refusal": reply.refusal}
    texts = [reply.content or reply.refusal or ""]
    for call in reply.tool_calls:
        given = call.arguments
        texts.append(given if isinstance(given, str) else json.dumps(given))
        function = {"name": call.name, "arguments": texts[-1]}
        made = {"id": call.id or f"call_{uuid.uuid4().hex[:24]}", "type": "function"}
        message.setdefault("tool_calls", []).append({**made, "function": function})
    asked, said = (len(text.split()) for text in (json.dumps(body["messages"]), " ".join(texts)))
    asked, said = reply.usage or (asked, said)
    finish = reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")
    choice: Json = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    usage = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    head: Json = {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion"}
    head |= {"created": int(time.time()), "model": body["model"]}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


class ModelServer:
    """Serve `respond` on loopback while the context is open; calls come from several threads."""

    def __init__(
        self, respond: Callable[[Json], Reply | Fault], *, port: int = 0, api_key: str | None = None
    ) -> None:
        self.respond, self.api_key = respond, api_key
        # Both lists only grow, by append, which is atomic.
        self.requests: list[Json] = []
        self.refusals: list[str] = []
        self.closing = threading.Event()
        self._http = _Http(("127.0.0.1", port), type("Handler", (_Handler,), {"owner": self}))
        self.base_url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Self:
        # The polling interval is the maximum delay of shutdown().
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self.closing.set()
        for connection in list(self._http.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Http(ThreadingHTTPServer):
    """HTTP server that tracks its connections, to end the kept-alive ones when it closes."""

    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.connections: set[Any] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # clients may leave at any time
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection; its requests are answered in turn."""

    owner: ClassVar[ModelServer]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each kept-alive answer waits for a delayed ACK

    def do_POST(self) -> None:
        """Read the request to its end, so that the connection can be kept, and answer it."""
        size = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not size.isdecimal():
            return self.send_error(411, "A Content-Length is required.")
        if int(size) > MAX_BODY:
            self.send_error(413, f"The body is larger than {MAX_BODY} bytes.")
            while self.rfile.read(2**16):  # closing on unread data would reset the answer away
                pass
            return None
        raw = self.rfile.read(int(size))
        key, call = self.owner.api_key, f"{self.command} {self.path.partition('?')[0]}"
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            self._send(401, self._error(401))
        elif call == "GET /v1/models":
            model = {"id": "test-model", "object": "model", "created": 0, "owned_by": "test"}
            self._send(200, json.dumps({"object": "list", "data": [model]}).encode())
        elif call != "POST /v1/chat/completions":
            self._send(404, self._error(404, f"Invalid URL ({call})"))
        elif len(raw) == int(size):  # else the client has gone
            self._complete(raw)
        return None

    do_GET = do_POST

    def _complete(self, raw: bytes) -> None:
        try:
            body = json.loads(raw, parse_constant=int)  # int("NaN") raises, as JSON has no NaN
            check_request(body)
        except Refused as refused:
            return self._send(400, self._error(400, *refused.args))
        except (ValueError, RecursionError):
            what = "We could not parse the JSON body of your request."
            return self._send(400, self._error(400, what))
        self.owner.requests.append(json.loads(raw))  # a copy respond cannot change
        try:
            result = self.owner.respond(body)
        except Exception as error:  # noqa: BLE001 - a test's own mistake must not hang its client
            traceback.print_exc()
            return self._send(500, self._error(500, f"respond raised {error!r}"))
        if isinstance(result, Reply):
            return self._send(200, _completion(body, result))
        self.owner.closing.wait(result.delay_seconds)
        self.close_connection = bool(result.cut)
        if result.cut == "before":
            return None
        status, data = result.status, result.body
        if status is None and data is None and not result.cut:
            status = 504 if result.delay_seconds else 500
        if data is None:
            data = self._error(status) if status else _completion(body, Reply("This is cut off."))
        return self._send(status or 200, data, result.retry_after, result.cut == "middle")

    def _error(
        self, status: int, what: str = "", param: str | None = None, code: str | None = None
    ) -> bytes:
        if status == 400:
            self.owner.refusals.append(what or _ERRORS[400][0])
        return error_body(status, what, param, code)

    def _send(
        self, status: int, data: bytes, retry_after: str | None = None, cut: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data) + cut))
        self.send_header("X-Request-Id", f"req_{uuid.uuid4().hex}")
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.close_connection = True
        self._send(code, self._error(code, message or explain or ""))

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing; the server's lists contain the requests."""
