"""Approval links: capability tokens for one approver and one request, signed and not stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from struct import Struct
from struct import error as StructError  # noqa: N812 - the name `error` is too general

from agent_continuations.auth.signing import InvalidSignature, canonical, encode, signer, verify
from agent_continuations.core.ids import decode_id, opaque_id
from agent_continuations.errors import NotFound

_PAYLOAD = Struct(">15s10s8sI8s")
_EARLIER_PAYLOAD = Struct(">15s10s8sI")  # links that were sent before do not say what was asked


@dataclass(frozen=True, slots=True)
class ApprovalToken:
    """A token's capability: to answer one request of one run, as one approver.

    Attributes:
        asked: the start of the hash of what the message with the link asked about; None in links of
            an earlier form.
    """

    run_id: str
    request_id: str
    approver_tag: bytes
    expires_at: datetime
    asked: bytes | None = None

    def holder(self, approvers: Sequence[str]) -> str | None:
        """The approver that the token was made for, if they are among these."""
        return next((each for each in approvers if _tag(each) == self.approver_tag), None)

    def asks_about(self, arguments_hash: str) -> bool:
        """Whether the message with the link asked about this; True if that is not known."""
        return self.asked in (None, _start(arguments_hash))


class ApprovalLinks:
    """Makes and verifies tokens.

    Args:
        keys: newest first: the first signs, all are accepted. To rotate, put a new one in front,
            and drop the last when its tokens have expired.

    Raises:
        ValueError: no key, or one that is too short to be safe.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._links = signer(keys, "approval-link")
        self._nonces = signer(keys, "page-nonce")

    def token(
        self,
        run_id: str,
        request_id: str,
        approver: str,
        expires_at: datetime,
        arguments_hash: str,
    ) -> str:
        """The token of one approver for one request; 104 characters, safe in a URL.

        Args:
            arguments_hash: the hash of what the message with the link asks about, in hex.
        """
        payload = _PAYLOAD.pack(
            decode_id(run_id),
            decode_id(request_id),
            _tag(approver),
            int(expires_at.timestamp()),
            _start(arguments_hash),
        )
        return self._links.sign(encode(payload)).decode()

    def read(self, token: str) -> ApprovalToken:
        """The capability of a token, expired or not, so that a page can report the expiry.

        Raises:
            NotFound: the signature is not valid, or its key was retired.
        """
        try:
            payload = verify(self._links, token)
            form = _EARLIER_PAYLOAD if len(payload) == _EARLIER_PAYLOAD.size else _PAYLOAD
            run, request, tag, expires, *asked = form.unpack(payload)
        except (InvalidSignature, StructError):
            raise NotFound("this link is not valid", [("token", "not valid")]) from None
        return ApprovalToken(
            run_id=opaque_id(run),
            request_id=opaque_id(request),
            approver_tag=tag,
            expires_at=datetime.fromtimestamp(expires, UTC),
            asked=asked[0] if asked else None,
        )

    def nonce(self, token: str) -> str:
        """The CSRF nonce of the page for `token`."""
        return self._nonces.get_signature(token).decode()

    def accepts(self, token: str, nonce: str) -> bool:
        """Whether `nonce` is a nonce of the page for `token`."""
        spelled = token.isascii() and canonical(nonce)
        return spelled and self._nonces.verify_signature(token, nonce)


def _tag(approver: str) -> bytes:
    return sha256(approver.encode()).digest()[:8]


def _start(arguments_hash: str) -> bytes:
    return bytes.fromhex(arguments_hash)[:8]
