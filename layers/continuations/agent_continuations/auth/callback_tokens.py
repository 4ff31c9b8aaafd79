"""Addresses at which the outcome of what a call has started elsewhere can be told."""

from collections.abc import Sequence
from typing import NamedTuple

from agent_continuations.auth.signing import InvalidSignature, encode, signer, verify
from agent_continuations.core.ids import is_opaque_id
from agent_continuations.core.path import parse_path
from agent_continuations.errors import NotFound


class CallbackToken(NamedTuple):
    """The call that an address stands for."""

    run_id: str
    path: str


class CallbackTokens:
    """Makes the tokens in such addresses and checks them.

    A token holds as long as the call has no outcome. Its keys are others than those of approvers'
    links: tools run where these are known, and must not be able to approve anything.

    Args:
        keys: newest first: the first signs, all of them are accepted.

    Raises:
        ValueError: no key, or one that is too short to be safe.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._signer = signer(keys, "callback")

    def token(self, run_id: str, path: str) -> str:
        """The token of one call; safe in a URL."""
        return self._signer.sign(encode(f"{run_id} {path}".encode())).decode()

    def read(self, token: str) -> CallbackToken:
        """The call that a token stands for.

        Raises:
            NotFound: it was not made here, or with a key that was retired.
        """
        try:
            run_id, _, path = verify(self._signer, token).decode().partition(" ")
            known = is_opaque_id(run_id) and bool(parse_path(path))
        except (InvalidSignature, ValueError):
            known = False
        if not known:
            raise NotFound("this address is not valid", [("token", "not valid")])
        return CallbackToken(run_id, path)
