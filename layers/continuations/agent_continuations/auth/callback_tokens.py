"""Tokens with which outcomes are reported: of a job by another system, of a tool by its host."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from agent_continuations.auth.signing import InvalidSignature, encode, signer, verify
from agent_continuations.core.ids import is_opaque_id
from agent_continuations.core.path import parse_path
from agent_continuations.errors import NotFound


class CallbackToken(NamedTuple):
    """The call of a callback address."""

    run_id: str
    path: str


class OutcomeToken(NamedTuple):
    """The attempt of a call whose outcome a token may bring."""

    run_id: str
    path: str
    attempt: int


class _Tokens:
    """Tokens that hold the run and the path of a call, and perhaps more.

    Args:
        keys: newest first: the first signs, all are accepted.

    Raises:
        ValueError: no key, or one that is too short to be safe.
    """

    purpose: ClassVar[str]

    def __init__(self, keys: Sequence[str]) -> None:
        self._signer = signer(keys, self.purpose)

    def _signed(self, *words: str) -> str:
        return self._signer.sign(encode(" ".join(words).encode())).decode()

    def _words(self, token: str) -> tuple[str, ...]:
        """The run, the path, and what follows.

        Raises:
            ValueError: the signature is not valid, its key was retired, or it signs no call.
        """
        run_id, path, *more = verify(self._signer, token).decode().split(" ")
        if not is_opaque_id(run_id) or not parse_path(path):
            raise InvalidSignature("the token is of no call")
        return (run_id, path, *more)


class CallbackTokens(_Tokens):
    """Makes and verifies the tokens in callback addresses.

    A token is valid as long as the call has no outcome. Its keys differ from those of approval
    links: tools run where these keys are known, and must not be able to approve anything.
    """

    purpose = "callback"

    def token(self, run_id: str, path: str) -> str:
        """The token of one call; safe in a URL."""
        return self._signed(run_id, path)

    def read(self, token: str) -> CallbackToken:
        """The call of a token.

        Raises:
            NotFound: the signature is not valid, or its key was retired.
        """
        try:
            run_id, path = self._words(token)
        except ValueError:
            raise NotFound("this address is not valid", [("token", "not valid")]) from None
        return CallbackToken(run_id, path)


class OutcomeTokens(_Tokens):
    """Makes and verifies the tokens with which hosts report the outcomes of their tools' attempts.

    The engine gives a token to the host that it has run an attempt. The tool can read it: it ends
    its own call with it, and nothing else. The keys are those of callback addresses, but neither
    kind of token is valid as the other.
    """

    purpose = "outcome"

    def token(self, run_id: str, path: str, attempt: int) -> str:
        """The token of one attempt of a call."""
        return self._signed(run_id, path, str(attempt))

    def read(self, token: str) -> OutcomeToken:
        """The attempt of a token.

        Raises:
            NotFound: the signature is not valid, or its key was retired.
        """
        try:
            run_id, path, attempt = self._words(token)
            return OutcomeToken(run_id, path, int(attempt))
        except ValueError:
            raise NotFound("this token is not valid", [("token", "not valid")]) from None
