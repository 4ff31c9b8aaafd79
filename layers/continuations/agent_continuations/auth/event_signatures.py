"""Signatures of events: only the function that receives events from the bus can send them on."""

from collections.abc import Sequence

from agent_continuations.auth.signing import signer
from agent_continuations.core.ids import canonical_json
from agent_continuations.ports.inbound_queue import EventMessage


class EventSignatures:
    """Signs and verifies messages with events.

    Args:
        keys: newest first: the first signs, all are accepted.

    Raises:
        ValueError: no key, or one that is too short to be safe.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._signer = signer(keys, "event")

    def signed(self, message: EventMessage) -> EventMessage:
        """The message with its signature."""
        signature = self._signer.get_signature(_content(message)).decode()
        return message.model_copy(update={"signature": signature})

    def valid(self, message: EventMessage) -> bool:
        """Whether the signature is one of this message."""
        try:
            return self._signer.verify_signature(_content(message), message.signature)
        except ValueError:  # a number or a character that no signed message has
            return False


def _content(message: EventMessage) -> bytes:
    parts = (
        *(message.run_id, message.name, message.payload, message.correlation),
        *(message.key, message.at.isoformat()),
    )
    return canonical_json(parts).encode()
