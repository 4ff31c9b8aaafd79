"""The OpenID Connect provider of the deployment: its ID tokens, and how it gives them.

OpenID Connect Core 1.0; RFC 7636 for PKCE.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import jwt
import urllib3

from agent_continuations.auth.identity import Identity
from agent_continuations.auth.oidc_metadata import MetadataCache, request
from agent_continuations.errors import Fatal, Forbidden

# Asymmetric only: a key that verifies tokens must not be able to sign them.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
LEEWAY_SECONDS = 30
SCOPE = "openid email profile"

# The addresses that an HTML form accepts (HTML Living Standard, 4.10.5.1.5). They contain no colon,
# so no address looks like a group, and only ASCII, so no two letters have the same lower case, as
# the Kelvin sign and `k` have.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")


class OidcProvider:
    """An OpenID Connect provider, and the client of this deployment.

    Args:
        url: the issuer, spelled as the provider spells it.
        client_id: the client; tokens for any other are refused.
        groups_claim: the claim that lists a person's groups; Cognito's is `cognito:groups`.
        clock: the time in seconds, to measure the age of the metadata.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        *,
        groups_claim: str = "groups",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.url = url
        self.client_id = client_id
        self._groups_claim = groups_claim
        self._metadata = MetadataCache(url, clock)

    def verify(self, token: str, *, nonce: str | None = None) -> Identity:
        """The identity in an ID token.

        Args:
            token: the token as sent.
            nonce: the expected nonce, for the token of a sign-in.

        Raises:
            Forbidden: the token is of another issuer or client, has expired, or lacks a claim.
                The message contains the kind of fault and no part of the token.
            Retryable: the provider is not responding.
            Fatal: the metadata of the provider does not match the configuration.
        """
        try:
            claims = jwt.decode(
                token,
                self._key(jwt.get_unverified_header(token).get("kid")),
                ALGORITHMS,
                audience=self.client_id,
                issuer=self.url,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["iss", "sub", "aud", "exp", "iat"],
                    "enforce_minimum_key_length": True,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Forbidden(f"invalid token: {type(error).__name__}") from None
        # Core, 3.1.3.7: with several audiences, `azp` must name the client.
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.client_id) != self.client_id:
            raise Forbidden("the token was issued to another client")
        if nonce is not None and claims.get("nonce") != nonce:
            raise Forbidden("the token belongs to another sign-in")
        return self._identity(claims, sha256(token.encode()).hexdigest())

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """The address to redirect a browser to for the sign-in."""
        endpoint = self._metadata.current().endpoint("authorization_endpoint")
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    def redeem(self, code: str, *, redirect_uri: str, verifier: str, client_secret: str) -> str:
        """The ID token for a code, not verified yet.

        Raises:
            Forbidden: the provider refuses the code.
            Retryable: the provider is not responding.
            Fatal: the provider rejects the client.
        """
        metadata = self._metadata.current()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        # Discovery, 3: the default authentication method is `basic`.
        auth_methods = metadata.document.get(
            "token_endpoint_auth_methods_supported", ["client_secret_basic"]
        )
        if client_secret and "client_secret_basic" in auth_methods:
            # RFC 6749, 2.3.1: both are encoded as in a form before they are joined.
            pair = f"{quote_plus(self.client_id)}:{quote_plus(client_secret)}"
            headers = urllib3.make_headers(basic_auth=pair)
        else:
            form |= {"client_id": self.client_id}
            form |= {"client_secret": client_secret} if client_secret else {}
        status, answer = request(
            "POST",
            metadata.endpoint("token_endpoint"),
            body=urlencode(form),
            headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
        )
        if status != HTTPStatus.OK:
            error = str(answer.get("error"))
            if error == "invalid_grant":
                raise Forbidden("the sign-in code is invalid or has expired")
            reason = error if _ERROR_CODE.fullmatch(error) else "no reason"
            raise Fatal(f"the identity provider rejects this client: {status}, {reason}")
        return str(answer.get("id_token", ""))

    def _identity(self, claims: Mapping[str, Any], session: str) -> Identity:
        """The identity in the claims.

        An address with `email_verified: false` may belong to another person, and is refused. Some
        providers, such as Entra ID, never send the claim: their directory's addresses are trusted.
        """
        email, verified = claims.get("email"), claims.get("email_verified", True)
        if not isinstance(email, str) or not _ADDRESS.fullmatch(email):
            raise Forbidden("the token has no e-mail address")
        if verified not in (True, "true"):  # Cognito and Apple may write it as text
            raise Forbidden("the e-mail address is not verified")
        groups = claims.get(self._groups_claim, ())
        groups = [groups] if isinstance(groups, str) else groups
        if not isinstance(groups, list | tuple) or not all(
            isinstance(each, str) for each in groups
        ):
            raise Forbidden(f"the claim {self._groups_claim} is not a list of names")
        methods = [f"oidc {self.url} sub={_quoted(claims['sub'])}"]
        references = claims.get("amr")
        if isinstance(references, list):
            methods.append(f"amr={','.join(_quoted(str(each)) for each in references)}")
        return Identity(
            name=email.lower(),
            groups=tuple(f"group:{each}" for each in groups),
            authentication=" ".join(methods),
            session=session,
            expires_at=int(claims["exp"]),
        )

    def _key(self, kid: object) -> jwt.PyJWK:
        """The key that signed a token.

        An unknown id may be that of a new key, so the newest keys are then read.
        """
        for read in (self._metadata.current, self._metadata.newest):
            found = [each for each in read().keys if kid is None or each.key_id == kid]
            if len(found) == 1:
                return found[0]
        raise Forbidden("the token is signed with an unknown key")


def _quoted(text: str) -> str:
    """A name of the provider, quoted so that it contains no space or line break."""
    return quote(text, safe="@:|,.")
