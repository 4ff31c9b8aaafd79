"""Slack on loopback: the methods of its Web API that are used here, with their validation, and the
signed requests that it sends when a user clicks.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.local.slack_rules import (
    TEAM,
    Json,
    Message,
    Refused,
    check_message,
    check_view,
    member,
)

__all__ = ["OTHER_TEAM", "TEAM", "Fault", "Message", "Sent", "SlackServer"]
OTHER_TEAM = "T0AWAY"
TRIGGER_SECONDS = 3.0


@dataclass(frozen=True)
class Fault:
    """Fault of the next requests: an error of Slack, or of a proxy in front of it."""

    error: str = "internal_error"
    status: int = 200
    retry_after: str | None = None
    body: bytes | None = None


class Sent(NamedTuple):
    """A request as Slack sends it."""

    body: str
    headers: dict[str, str]


@dataclass
class SlackServer:
    """Slack server that serves while the context is open; tests read and change its state."""

    token: str = "xoxb-test-token"
    signing_secret: str = "8f742231b10e8888abcd99yyyzzz85a5"
    users: dict[str, Json] = field(default_factory=dict)
    channels: set[str] = field(default_factory=set)
    messages: list[Message] = field(default_factory=list)
    views: list[Json] = field(default_factory=list)
    refusals: list[tuple[str, ...]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    fault: Fault | None = None
    _triggers: dict[str, float] = field(default_factory=dict)
    _count: int = 0

    def __enter__(self) -> Self:
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self})
        )
        self._http.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._http.server_port}/api/"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    # -- what people do ----------------------------------------------------------------------------

    def join(self, user_id: str, email: str | None, **more: Any) -> str:
        """Adds a member to the workspace."""
        self.users[user_id] = member(user_id, email, **more)
        return user_id

    def click(self, message: Message, action_id: str, user_id: str, **more: Any) -> Sent:
        """Returns the request that Slack sends when a user clicks a button."""
        button = message.button(action_id)
        container = {"type": "message", "message_ts": message.ts, "channel_id": message.channel}
        action = {**button, "block_id": "b1", "action_ts": message.ts}
        payload = {
            "type": "block_actions",
            "user": self._actor(user_id),
            "api_app_id": "A0APP",
            "container": container,
            "trigger_id": self.trigger(),
            "team": {"id": self.users[user_id]["team_id"], "domain": "home"},
            "channel": {"id": message.channel, "name": "directmessage"},
            "message": {"type": "message", "ts": message.ts, "blocks": message.blocks},
            "response_url": "https://hooks.slack.com/actions/T/1/x",
            "actions": [action],
        }
        return self.sent({**payload, **more})

    def submit(self, user_id: str, reason: str | None, view: Json | None = None) -> Sent:
        """Returns the request that Slack sends when a user submits the last dialog."""
        view = view or self.views[-1]
        [block] = [each for each in view["blocks"] if each["type"] == "input"]
        typed = {"type": "plain_text_input", "value": reason}
        values = {block["block_id"]: {block["element"]["action_id"]: typed}}
        told = {
            "id": "V1",
            "type": "modal",
            "callback_id": view["callback_id"],
            "private_metadata": view["private_metadata"],
            "state": {"values": values},
        }
        return self.sent(
            {"type": "view_submission", "user": self._actor(user_id), "view": told,
             "team": {"id": TEAM}, "api_app_id": "A0APP"}
        )  # fmt: skip

    def sent(self, payload: Json | str, *, age: float = 0, secret: str | None = None) -> Sent:
        """A request that Slack signed `age` seconds ago (api.slack.com: verifying requests)."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        body, moment = urlencode({"payload": text}), str(int(time.time() - age))
        key = (secret or self.signing_secret).encode()
        signed = hmac.new(key, f"v0:{moment}:{body}".encode(), hashlib.sha256).hexdigest()
        return Sent(
            body, {"X-Slack-Request-Timestamp": moment, "X-Slack-Signature": f"v0={signed}"}
        )

    def trigger(self, age: float = 0) -> str:
        """A new trigger_id: good once, and for three seconds."""
        self._count += 1
        made = f"{self._count}.trigger"
        self._triggers[made] = time.monotonic() - age
        return made

    def _actor(self, user_id: str) -> Json:
        return {"id": user_id, "name": user_id.lower(), "team_id": self.users[user_id]["team_id"]}

    # -- the Web API -------------------------------------------------------------------------------

    def call(self, method: str, given: Json) -> Json:
        """Returns the response of a method; the caller sets the envelope's `ok`."""
        found: Callable[[Json], Json] | None = _METHODS.get(method)
        if found is None:
            raise Refused("unknown_method", method)
        return found.__get__(self)(given)  # type: ignore[no-any-return]

    def _auth_test(self, given: Json) -> Json:
        del given
        return {"team_id": TEAM, "team": "Home", "user_id": "U0BOT", "bot_id": "B0BOT"}

    def _users_info(self, given: Json) -> Json:
        if given.get("user") not in self.users:
            raise Refused("user_not_found")
        return {"user": self.users[given["user"]]}

    def _lookup(self, given: Json) -> Json:
        for user in self.users.values():
            email = user["profile"].get("email")
            if email and email.lower() == given.get("email", "").lower() and not user["deleted"]:
                return {"user": user}
        raise Refused("users_not_found")

    def _post(self, given: Json) -> Json:
        return self._written(given, None)

    def _post_ephemeral(self, given: Json) -> Json:
        if given.get("user") not in self.users:
            raise Refused("user_not_in_channel")
        return self._written(given, given["user"])

    def _written(self, given: Json, only_for: str | None) -> Json:
        channel = given.get("channel", "")
        if channel in self.users:  # a message to a user goes to their direct channel
            channel = f"D{channel[1:]}"
            self.channels.add(channel)
        if channel not in self.channels:
            raise Refused("channel_not_found")
        self._check(given)
        self._count += 1
        message = Message(
            channel,
            f"{int(time.time())}.{self._count:06}",
            given["text"],
            given["blocks"],
            given.get("metadata"),
            only_for,
            {name: given[name] for name in _OPTIONS if name in given},
        )
        self.messages.append(message)
        self.links += [each["url"] for each in message.buttons() if "url" in each]
        return {"channel": channel, "ts": message.ts, "message_ts": message.ts}

    def _update(self, given: Json) -> Json:
        found = [each for each in self.messages if each.ts == given.get("ts")]
        if not found or found[0].channel != given.get("channel"):
            raise Refused("message_not_found")
        self._check(given)
        found[0].text, found[0].blocks = given["text"], given["blocks"]
        return {"channel": found[0].channel, "ts": found[0].ts}

    def _check(self, given: Json) -> None:
        if not given.get("text"):
            raise Refused("no_text")
        if len(given["text"]) > 40_000:
            raise Refused("msg_too_long")
        check_message(given["blocks"])
        metadata = given.get("metadata")
        if metadata is not None and set(metadata) != {"event_type", "event_payload"}:
            raise Refused("invalid_metadata_format")

    def _open(self, given: Json) -> Json:
        trigger = given.get("trigger_id", "")
        if trigger not in self._triggers:
            raise Refused("invalid_trigger_id")
        made = self._triggers[trigger]
        self._triggers[trigger] = float("inf")
        if made == float("inf"):
            raise Refused("exchanged_trigger_id")
        if time.monotonic() - made > TRIGGER_SECONDS:
            raise Refused("expired_trigger_id")
        check_view(given.get("view"))
        self.views.append(given["view"])
        return {"view": {"id": f"V{len(self.views)}"}}


_OPTIONS = ("mrkdwn", "parse", "link_names", "unfurl_links", "unfurl_media")
_METHODS: dict[str, Any] = {
    "auth.test": SlackServer._auth_test,
    "users.info": SlackServer._users_info,
    "users.lookupByEmail": SlackServer._lookup,
    "chat.postMessage": SlackServer._post,
    "chat.postEphemeral": SlackServer._post_ephemeral,
    "chat.update": SlackServer._update,
    "views.open": SlackServer._open,
}


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[SlackServer]

    def do_POST(self) -> None:
        """Read a call with a form or JSON as its body, and answer it in Slack's envelope."""
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        parts, fault = urlsplit(self.path), self.owner.fault
        if fault is not None:
            answer = {"ok": False, "error": fault.error}
            self._send(fault.status, fault.body or json.dumps(answer).encode(), fault.retry_after)
            return
        try:
            self._check_token()
            given = {**dict(parse_qsl(parts.query)), **self._given(raw)}
            answer = {"ok": True, **self.owner.call(parts.path.removeprefix("/api/"), given)}
        except Refused as refused:
            self.owner.refusals.append(refused.args)
            answer = {"ok": False, "error": refused.args[0]}
        self._send(200, json.dumps(answer).encode())

    do_GET = do_POST

    def _check_token(self) -> None:
        token = self.headers.get("Authorization", "")
        if not token.startswith("Bearer "):
            raise Refused("not_authed")
        if token != f"Bearer {self.owner.token}":
            raise Refused("invalid_auth")

    def _given(self, raw: str) -> Json:
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        try:
            if kind == "application/json":
                given: Json = json.loads(raw)
                return given
        except ValueError:
            raise Refused("invalid_json") from None
        given = dict(parse_qsl(raw))
        return {
            name: json.loads(value) if name in ("blocks", "view", "metadata") else value
            for name, value in given.items()
        }

    def _send(self, status: int, data: bytes, retry_after: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing; the server's lists contain the requests."""
