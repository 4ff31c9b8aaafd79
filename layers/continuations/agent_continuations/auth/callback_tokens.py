"""Callback tokens: other systems report the outcome of a job with them."""

from collections.abc import Sequence
from typing import NamedTuple

from agent_continuations.auth.signing import InvalidSignature, encode, signer, verify
from agent_continuations.core.ids import is_opaque_id
from agent_continuations.core.path import parse_path
from agent_continuations.errors import NotFound


class CallbackToken(NamedTuple):
    """The call of a callback address."""

    run_id: str
    path: str


class CallbackTokens:
    """Makes and verifies the tokens in callback addresses.

    A token is valid as long as the call has no outcome. Its keys differ from those of approval
    links: tools run where these keys are known, and must not be able to approve anything.

    Args:
        keys: newest first: the first signs, all are accepted.

    Raises:
        ValueError: no key, or one that is too short to be safe.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._signer = signer(keys, "callback")

    def token(self, run_id: str, path: str) -> str:
        """The token of one call; safe in a URL."""
        return self._signer.sign(encode(f"{run_id} {path}".encode())).decode()

    def read(self, token: str) -> CallbackToken:
        """The call of a token.

        Raises:
            NotFound: the signature is not valid, or its key was retired.
        """
        try:
            run_id, _, path = verify(self._signer, token).decode().partition(" ")
            known = is_opaque_id(run_id) and bool(parse_path(path))
        except (InvalidSignature, ValueError):
            known = False
        if not known:
            raise NotFound("this address is not valid", [("token", "not valid")])
        return CallbackToken(run_id, path)
