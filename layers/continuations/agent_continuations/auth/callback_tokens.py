"""Tokens with which outcomes are reported: of a job by another system, of a tool by its host."""

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


class OutcomeToken(NamedTuple):
    """The attempt of a call whose outcome a token may bring."""

    run_id: str
    path: str
    attempt: int


class OutcomeTokens:
    """Makes and verifies the tokens with which hosts report the outcomes of their tools' attempts.

    The engine gives a token to the host that it has run an attempt. The tool can read it: it ends
    its own call with it, and nothing else. The keys are those of callback addresses, but neither
    kind of token is valid as the other.

    Args:
        keys: newest first: the first signs, all are accepted.

    Raises:
        ValueError: no key, or one that is too short to be safe.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._signer = signer(keys, "outcome")

    def token(self, run_id: str, path: str, attempt: int) -> str:
        """The token of one attempt of a call."""
        return self._signer.sign(encode(f"{run_id} {path} {attempt}".encode())).decode()

    def read(self, token: str) -> OutcomeToken:
        """The attempt of a token.

        Raises:
            NotFound: the signature is not valid, or its key was retired.
        """
        try:
            run_id, path, attempt = verify(self._signer, token).decode().split(" ")
            if is_opaque_id(run_id) and parse_path(path):
                return OutcomeToken(run_id, path, int(attempt))
        except (InvalidSignature, ValueError):
            pass
        raise NotFound("this token is not valid", [("token", "not valid")])
