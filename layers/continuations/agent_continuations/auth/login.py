"""People who sign in: who they are, their cookies, and the way to their provider and back.

The pages work without a script, and a browser by itself sends no Authorization header. So the ID
token is kept in a cookie, and the authorizer before the API verifies it at each request.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from itsdangerous import BadData, URLSafeTimedSerializer

from agent_continuations.errors import Forbidden, Invalid

if TYPE_CHECKING:
    from agent_continuations.auth.oidc import OidcProvider

SIGN_IN_SECONDS = 600


MAX_NEXT_CHARACTERS = 1000


# A path from the root and its query, in the letters that RFC 3986 gives them. A browser reads
# `//` and `/\` as another host, and leaves control characters out before it looks.
_LOCAL = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")


def local_path(text: str) -> str:
    """A path of this API, to go on to after signing in.

    Raises:
        Invalid: it is none, or it could lead a browser elsewhere.
    """
    if len(text) > MAX_NEXT_CHARACTERS or not _LOCAL.fullmatch(text):
        raise Invalid("invalid return path", [("next", "must be a path of this site")])
    return text


class CodeFlow:
    """To the provider and back: OpenID Connect's code flow with PKCE, state and nonce.

    What must be remembered on the way travels in a signed cookie of the browser that began, so
    that nothing is stored, and an answer that is carried to another browser is refused there.

    Args:
        issuer: the identity provider.
        keys: signing keys, newest first, as for `Capabilities`.
        client_secret: of our client there; empty for a public client.
        redirect_uri: the callback's whole address, as it is registered with the provider.
    """

    def __init__(
        self, issuer: "OidcProvider", keys: Sequence[str], *, client_secret: str, redirect_uri: str
    ) -> None:
        self._issuer = issuer
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._signed = URLSafeTimedSerializer(
            list(reversed(keys)),
            salt="agent-continuations.sign-in",
            signer_kwargs={"key_derivation": "hmac", "digest_method": sha256},
        )

    def begin(self, next_path: str) -> tuple[str, str]:
        """Where to send the browser, and the cookie's value that it must bring back.

        Raises:
            Invalid: `next_path` is no path of this API.
            Retryable: the provider does not answer.
        """
        way = {
            "next": local_path(next_path),
            "state": token_urlsafe(16),
            "nonce": token_urlsafe(16),
            "verifier": token_urlsafe(32),
        }
        url = self._issuer.authorization_url(
            redirect_uri=self._redirect_uri,
            state=way["state"],
            nonce=way["nonce"],
            verifier=way["verifier"],
        )
        return url, str(self._signed.dumps(way))

    def finish(self, code: str, state: str, cookie: str) -> tuple[str, str]:
        """The ID token that the provider gives for its code, and the path to go on to.

        Raises:
            Forbidden: this browser did not begin it, began it too long ago, or the provider
                refuses the code or gave a token for something else.
            Retryable: the provider does not answer.
        """
        try:
            way = self._signed.loads(cookie, max_age=SIGN_IN_SECONDS)
        except BadData:
            raise Forbidden("this sign-in has expired or was started in another browser") from None
        if not compare_digest(way["state"].encode(), state.encode(errors="replace")):
            raise Forbidden("this sign-in has expired or was started in another browser")
        token = self._issuer.redeem(
            code,
            redirect_uri=self._redirect_uri,
            verifier=way["verifier"],
            client_secret=self._client_secret,
        )
        self._issuer.verify(token, nonce=way["nonce"])
        return token, way["next"]
