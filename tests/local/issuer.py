"""An OpenID Connect provider on loopback, for tests and local runs.

It needs no password. Like a real provider it checks client, redirect URI and PKCE, and a code
is valid once and for a short time.
"""

import json
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_urlsafe
from threading import Thread
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

CLIENT_ID = "agent-continuations"
CLIENT_SECRET = "not a secret: this provider accepts any identity"
CODE_SECONDS = 60.0
TOKEN_SECONDS = 3600

_LOOPBACK = ("127.0.0.1", "localhost")
_MAKERS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True)
class Key:
    """Key pair with the key id that tokens refer to."""

    kid: str
    algorithm: str
    private: Any

    @classmethod
    def new(cls, algorithm: str = "RS256") -> Self:
        return cls(token_urlsafe(8), algorithm, _MAKERS[algorithm]())

    def published(self) -> dict[str, Any]:
        """Returns the public key as a JWK."""
        maker: Any = get_default_algorithms()[self.algorithm]
        public: dict[str, Any] = maker.to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "use": "sig", "alg": self.algorithm}


@dataclass(frozen=True)
class _Grant:
    """Authorization request that a code belongs to."""

    redirect_uri: str
    challenge: str
    claims: Mapping[str, Any]
    expires_at: float


class IssuerServer:
    """Provider that serves while the context is open.

    Attributes:
        redirect_uris: registered redirect URIs; if empty, any on loopback is accepted.
        auth_methods: client authentication methods of the token endpoint.
        broken: whether every response is a 503.
        published: status and text that are served in place of the configuration, if any are.
        next_person: address and groups of the person who signs in next, without a form.
        reads: number of requests for the keys.
        discoveries: number of requests for the configuration.
        refusals: error code of each refusal by the token endpoint.
    """

    def __init__(self, *, port: int = 0, client_secret: str = CLIENT_SECRET) -> None:
        self.client_id, self.client_secret = CLIENT_ID, client_secret
        self.redirect_uris: set[str] = set()
        self.auth_methods = ["client_secret_basic", "client_secret_post"]
        self.groups_claim = "groups"
        self.broken = False
        self.published: tuple[HTTPStatus, str] | None = None
        self.next_person: tuple[str, str] | None = None
        self.reads = self.discoveries = 0
        self.refusals: list[str] = []
        self.keys = [Key.new()]
        self.codes: dict[str, _Grant] = {}
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        # The polling interval is the maximum delay of shutdown().
        Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def rotate(self, algorithm: str = "RS256") -> Key:
        """Replaces the signing key and the published key by a new one."""
        self.keys = [Key.new(algorithm)]
        return self.keys[0]

    def token(
        self, email: str, groups: Sequence[str] = (), /, *, key: Key | None = None, **claims: Any
    ) -> str:
        """Creates an ID token; claims given as None are omitted."""
        key, now = key or self.keys[0], int(time.time())
        all_claims = {
            "iss": self.url,
            "sub": sha256(email.encode()).hexdigest()[:16],
            "aud": self.client_id,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "email": email,
            "email_verified": True,
            self.groups_claim: list(groups),
            "amr": ["pwd"],
            **claims,
        }
        all_claims = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode(all_claims, key.private, key.algorithm, headers={"kid": key.kid})

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [key.algorithm for key in self.keys],
            "token_endpoint_auth_methods_supported": self.auth_methods,
            "code_challenge_methods_supported": ["S256"],
        }

    def unknown_client(self, asked: Mapping[str, str]) -> str:
        """Returns the error that forbids a redirect (RFC 6749, 4.1.2.1), or an empty text."""
        if asked.get("client_id") != self.client_id:
            return "unknown client"
        redirect_uri = asked.get("redirect_uri", "")
        here = urlsplit(redirect_uri).hostname in _LOOPBACK
        known = redirect_uri in self.redirect_uris if self.redirect_uris else here
        return "" if known else "this redirect URI is not registered"

    def fault(self, asked: Mapping[str, str]) -> str:
        """Returns the error code of an invalid authorization request, or an empty text."""
        if asked.get("response_type") != "code":
            return "unsupported_response_type"
        if "openid" not in asked.get("scope", "").split():
            return "invalid_scope"
        challenge = asked.get("code_challenge", "")
        plain = asked.get("code_challenge_method") != "S256" or len(challenge) != 43
        return "invalid_request" if plain or not asked.get("nonce") else ""

    def grant(self, asked: Mapping[str, str], form: Mapping[str, str]) -> str:
        """Issues the code for a person who has signed in."""
        groups = [each.strip() for each in form.get("groups", "").split(",") if each.strip()]
        claims = {"email": form["email"], self.groups_claim: groups, "nonce": asked["nonce"]}
        code = token_urlsafe(24)
        until = time.monotonic() + CODE_SECONDS
        self.codes[code] = _Grant(asked["redirect_uri"], asked["code_challenge"], claims, until)
        return code

    def redeem(self, form: Mapping[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Returns the response of the token endpoint."""
        if not self._proven(form, authorization):
            self.refusals.append("invalid_client")
            return HTTPStatus.UNAUTHORIZED, {"error": "invalid_client"}
        grant = self.codes.pop(form.get("code", ""), None)  # a failed attempt uses the code up, too
        digest = sha256(form.get("code_verifier", "").encode()).digest()
        verified = urlsafe_b64encode(digest).rstrip(b"=").decode()
        valid = (
            grant is not None
            and time.monotonic() < grant.expires_at
            and form.get("redirect_uri") == grant.redirect_uri
            and verified == grant.challenge
        )
        if form.get("grant_type") != "authorization_code" or not grant or not valid:
            self.refusals.append("invalid_grant")
            return HTTPStatus.BAD_REQUEST, {"error": "invalid_grant"}
        return HTTPStatus.OK, {
            "access_token": token_urlsafe(24),
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "id_token": self.token(grant.claims["email"], **grant.claims),
        }

    def _proven(self, form: Mapping[str, str], authorization: str) -> bool:
        """Whether the client authenticates by exactly one of the methods (RFC 6749, 2.3)."""
        if authorization.startswith("Basic ") and "client_secret_basic" in self.auth_methods:
            pair = b64decode(authorization.removeprefix("Basic ")).decode().split(":")
            given = [unquote_plus(each) for each in pair]
            return given == [self.client_id, self.client_secret] and "client_secret" not in form
        if "client_secret_post" in self.auth_methods or not self.client_secret:
            given = [form.get("client_id", ""), form.get("client_secret", "")]
            return given == [self.client_id, self.client_secret] and not authorization
        return False


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[IssuerServer]

    def do_GET(self) -> None:
        match self._path():
            case "/.well-known/openid-configuration":
                self.owner.discoveries += 1
                if self.owner.published:
                    status, text = self.owner.published
                    self._send(status, "text/html; charset=utf-8", text.encode())
                    return
                self._json(HTTPStatus.OK, self.owner.configuration())
            case "/keys":
                self.owner.reads += 1
                self._json(HTTPStatus.OK, {"keys": [each.published() for each in self.owner.keys]})
            case "/authorize":
                self._authorize(None)
            case _:
                self._json(HTTPStatus.NOT_FOUND, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = _single(body)
        match self._path():
            case "/authorize" if self.headers.get("Sec-Fetch-Site") in (None, "same-origin"):
                self._authorize(form)
            case "/token":
                status, answer = self.owner.redeem(form, self.headers.get("Authorization") or "")
                self._json(status, answer)
            case _:
                self._json(HTTPStatus.NOT_FOUND, {})

    def _path(self) -> str:
        foreign = urlsplit(f"//{self.headers.get('Host')}").hostname not in (
            "127.0.0.1",
            "localhost",
        )
        return "" if foreign else self.path.partition("?")[0]

    def _authorize(self, form: Mapping[str, str] | None) -> None:
        asked = _single(self.path.partition("?")[2])
        unknown = self.owner.unknown_client(asked)
        if unknown:
            self._json(HTTPStatus.BAD_REQUEST, {"error": unknown})
            return
        answer = {"state": asked["state"]} if "state" in asked else {}
        fault = self.owner.fault(asked)
        if fault or (form is not None and "refuse" in form):
            answer["error"] = fault or "access_denied"
        elif form is None and self.owner.next_person:
            email, groups = self.owner.next_person
            self.owner.next_person = None
            answer["code"] = self.owner.grant(asked, {"email": email, "groups": groups})
        elif form is None:
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", _PAGE.encode())
            return
        else:
            answer["code"] = self.owner.grant(asked, form)
        location = f"{asked['redirect_uri']}?{urlencode(answer)}"
        self._send(HTTPStatus.SEE_OTHER, "text/plain", b"", {"Location": location})

    def _json(self, status: int, document: Mapping[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(document).encode())

    def _send(
        self, status: int, kind: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(HTTPStatus.SERVICE_UNAVAILABLE if self.owner.broken else status)
        sent = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        for name, value in {**sent, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing, since paths contain codes."""


def _single(text: str) -> dict[str, str]:
    """Parses the parameters; repeated ones are invalid and omitted (RFC 6749, 3.1)."""
    return {name: values[0] for name, values in parse_qs(text).items() if len(values) == 1}


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Test provider</title>
<style>:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:0 auto;padding:1rem}
input{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.4rem;margin:0 0 1rem}
button{font:inherit;padding:.4rem 1rem}</style></head><body>
<h1>Test sign-in</h1>
<p>This is a test provider on your own machine. It accepts any identity.</p>
<form method="post">
<label>E-mail <input name="email" type="email" required value="security@example.com"></label>
<label>Groups (comma-separated) <input name="groups"></label>
<button>Sign in</button> <button name="refuse" value="yes" formnovalidate>Cancel</button>
</form></body></html>
"""
