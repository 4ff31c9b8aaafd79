"""Links that let one approver decide one request: signed, expiring, short, and nowhere stored."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from struct import Struct
from struct import error as StructError  # noqa: N812 - its name says too little

from itsdangerous import BadSignature, Signer

from agent_continuations.core.identity import opaque_id, raw_id
from agent_continuations.errors import NotFound

_PAYLOAD = Struct(">15s10s8sI")


@dataclass(frozen=True, slots=True)
class Capability:
    """What a token lets its bearer do: answer one request of one run, as one approver."""

    run_id: str
    request_id: str
    approver_tag: bytes
    expires_at: datetime

    def holder(self, approvers: Sequence[str]) -> str | None:
        """The approver that the token was made for, if he is among these."""
        return next((each for each in approvers if _tag(each) == self.approver_tag), None)


class Capabilities:
    """Makes tokens and checks them.

    Args:
        keys: newest first: the first signs, all of them are accepted. To rotate, put a new one in
            front, and drop the last when its tokens have expired.

    Raises:
        ValueError: no key, or one that is too short to be safe.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys or any(len(key) < 32 for key in keys):
            raise ValueError("signing keys must have at least 32 characters")
        oldest_first = list(reversed(keys))
        self._links = _signer(oldest_first, "approval-link")
        self._nonces = _signer(oldest_first, "page-nonce")

    def token(self, run_id: str, request_id: str, approver: str, expires_at: datetime) -> str:
        """The token of one approver for one request; 94 characters, safe in a URL."""
        payload = _PAYLOAD.pack(
            raw_id(run_id), raw_id(request_id), _tag(approver), int(expires_at.timestamp())
        )
        return self._links.sign(_encode(payload)).decode()

    def read(self, token: str) -> Capability:
        """What a token stands for, expired or not: the page of an old link can say so.

        Raises:
            NotFound: it was not made here, or with a key that was retired.
        """
        try:
            payload = _decode(self._links, token)
            run, request, tag, expires = _PAYLOAD.unpack(payload)
        except (BadSignature, ValueError, StructError):
            raise NotFound("this link is not valid", [("token", "not valid")]) from None
        return Capability(
            run_id=opaque_id(run),
            request_id=opaque_id(request),
            approver_tag=tag,
            expires_at=datetime.fromtimestamp(expires, UTC),
        )

    def nonce(self, token: str) -> str:
        """What the page for `token` carries in its form, to show that a POST came from it."""
        return self._nonces.get_signature(token).decode()

    def accepts(self, token: str, nonce: str) -> bool:
        """Whether `nonce` stood on the page for `token`."""
        spelled = token.isascii() and _canonical(nonce)
        return spelled and self._nonces.verify_signature(token, nonce)


def _signer(keys: list[str], purpose: str) -> Signer:
    return Signer(
        keys, salt=f"agent-continuations.{purpose}", key_derivation="hmac", digest_method=sha256
    )


def _decode(signer: Signer, token: str) -> bytes:
    """What was signed. A token has one spelling: base64 that merely means the same is refused."""
    signed, _, signature = token.rpartition(".")
    if not (_canonical(signed) and _canonical(signature)):
        raise BadSignature("not as it was written")
    signer.unsign(token)
    return urlsafe_b64decode(_padded(signed))


def _canonical(text: str) -> bool:
    try:
        return _encode(urlsafe_b64decode(_padded(text))) == text.encode()
    except ValueError:
        return False


def _padded(text: str) -> bytes:
    return text.encode() + b"=" * (-len(text) % 4)


def _encode(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def _tag(approver: str) -> bytes:
    return sha256(approver.encode()).digest()[:8]
