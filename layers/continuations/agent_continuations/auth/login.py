"""Sign-in with OpenID Connect: the redirect to the provider, and the callback.

The pages work without a script, and a browser by itself sends no Authorization header. So the ID
token is kept in a cookie, and the authorizer verifies it at each request.
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
# A path from the root and its query, in the characters that RFC 3986 allows. Browsers take `//` and
# `/\` for another host, and drop control characters first.
_LOCAL = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")


def local_path(text: str) -> str:
    """A path of this API to return to after the sign-in.

    Raises:
        Invalid: not a path, or a browser could take it for another site.
    """
    if len(text) > MAX_NEXT_CHARACTERS or not _LOCAL.fullmatch(text):
        raise Invalid("invalid return path", [("next", "must be a path of this site")])
    return text


class CodeFlow:
    """The authorization code flow of OpenID Connect, with PKCE, state and nonce.

    The state of a sign-in is kept in a signed cookie of the browser that started it, so nothing is
    stored, and a callback in another browser is refused.

    Args:
        issuer: the identity provider.
        keys: signing keys, newest first, as for `ApprovalLinks`.
        client_secret: of this client at the provider; empty for a public client.
        redirect_uri: the full address of the callback, as registered with the provider.
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
        """The address to redirect the browser to, and the value of the cookie to set.

        Raises:
            Invalid: `next_path` is not a path of this API.
            Retryable: the provider is not responding.
        """
        attempt = {
            "next": local_path(next_path),
            "state": token_urlsafe(16),
            "nonce": token_urlsafe(16),
            "verifier": token_urlsafe(32),
        }
        url = self._issuer.authorization_url(
            redirect_uri=self._redirect_uri,
            state=attempt["state"],
            nonce=attempt["nonce"],
            verifier=attempt["verifier"],
        )
        return url, str(self._signed.dumps(attempt))

    def finish(self, code: str, state: str, cookie: str) -> tuple[str, str]:
        """The ID token that the provider returns for its code, and the path to return to.

        Raises:
            Forbidden: another browser started the sign-in, it has expired, or the provider refuses
                the code or returned a token of another sign-in.
            Retryable: the provider is not responding.
        """
        try:
            attempt = self._signed.loads(cookie, max_age=SIGN_IN_SECONDS)
        except BadData:
            raise Forbidden("this sign-in has expired or was started in another browser") from None
        if not compare_digest(attempt["state"].encode(), state.encode(errors="replace")):
            raise Forbidden("this sign-in has expired or was started in another browser")
        token = self._issuer.redeem(
            code,
            redirect_uri=self._redirect_uri,
            verifier=attempt["verifier"],
            client_secret=self._client_secret,
        )
        self._issuer.verify(token, nonce=attempt["nonce"])
        return token, attempt["next"]
