"""Signed tokens, which are not stored."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256

from itsdangerous import BadSignature, Signer


class InvalidSignature(ValueError):
    """The signature of a token is not valid."""


def signer(keys: Sequence[str], purpose: str) -> Signer:
    """The signer for one purpose.

    Args:
        keys: newest first: the first signs, all are accepted.
        purpose: the purpose; signatures for other purposes are not valid.

    Raises:
        ValueError: no key, or one that is too short to be safe.
    """
    if not keys or any(len(key) < 32 for key in keys):
        raise ValueError("signing keys must have at least 32 characters")
    oldest_first = list(reversed(keys))
    return Signer(
        oldest_first,
        salt=f"agent-continuations.{purpose}",
        key_derivation="hmac",
        digest_method=sha256,
    )


def verify(signer: Signer, token: str) -> bytes:
    """The payload of a token. Its base64 must be canonical, so that each token has one spelling.

    Raises:
        InvalidSignature: the signature is not valid, or its key was retired.
    """
    signed, _, signature = token.rpartition(".")
    try:
        if not (canonical(signed) and canonical(signature)):
            raise InvalidSignature("the base64 is not canonical")
        signer.unsign(token)
    except (BadSignature, ValueError):
        raise InvalidSignature("the signature is not valid") from None
    return urlsafe_b64decode(_padded(signed))


def canonical(text: str) -> bool:
    """Whether base64 is in the form that `encode` writes."""
    try:
        return encode(urlsafe_b64decode(_padded(text))) == text.encode()
    except ValueError:
        return False


def _padded(text: str) -> bytes:
    return text.encode() + b"=" * (-len(text) % 4)


def encode(raw: bytes) -> bytes:
    """Bytes as URL-safe base64, without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=")
