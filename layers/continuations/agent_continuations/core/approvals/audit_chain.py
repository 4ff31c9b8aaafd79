"""The audit trail of a run: who was asked, who answered, how they were known, and what they saw.

Each entry holds the digest of the one before it, so that whoever keeps the last digest can tell
whether any entry was changed, removed or put elsewhere. Entries follow from the run's events; the
chain is kept in the head, and moves in the same transaction as the event that it takes in.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from agent_continuations.core.base import FrozenModel
from agent_continuations.core.ids import canonical_json

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Link(FrozenModel):
    """An entry's place in its run's trail. `previous` is the digest of the entry before it."""

    number: int
    previous: str


class ChainHead(FrozenModel):
    """The end of a trail: how many entries there are, and the digest of the last."""

    number: int = 0
    digest: str = ""


class AuditedEvent(FrozenModel):
    """Base of the events that the audit trail holds. Those of the first form have no link."""

    path: str
    link: Link | None = None


Trailed = TypeVar("Trailed", bound=AuditedEvent)


def append(chain: ChainHead, event: Trailed) -> tuple[ChainHead, Trailed]:
    """The trail with one more entry, and the event with its place in it."""
    linked = event.model_copy(update={"link": Link(number=chain.number + 1, previous=chain.digest)})
    return ChainHead(number=chain.number + 1, digest=digest(audit_entry(linked))), linked


def audit_entry(event: AuditedEvent) -> dict[str, Any]:
    """What the trail says of an event.

    What is None is left out, and so a field that comes with later code changes no earlier entry.
    """
    if event.link is None:
        raise ValueError("an event without a place in the trail")
    told = event.model_dump(mode="json", exclude={"link"}, exclude_none=True)
    return {"number": event.link.number, "previous": event.link.previous, **told}


def digest(entry: Mapping[str, Any]) -> str:
    """SHA-256 over an entry's canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(dict(entry)).encode()).hexdigest()


def faults(
    entries: Sequence[Mapping[str, Any]], chain: ChainHead, expected: str | None = None
) -> list[str]:
    """What is wrong with a trail, in words; empty if it is whole.

    Args:
        entries: all of them, in order.
        chain: the trail's end, as it was exported.
        expected: a digest that was kept elsewhere, which must be that of one of the entries.
    """
    found: list[str] = []
    before, digests = "", []
    for number, each in enumerate(entries, 1):
        if each.get("number") != number:
            found.append(f"entry {number} says that it is number {each.get('number')}")
        if each.get("previous") != before:
            found.append(f"entry {number} does not follow from the one before it")
        before = digest(each)
        digests.append(before)
    if chain.number != len(entries) or chain.digest != before:
        found.append(f"the trail ends with entry {len(entries)}, but not as its end says")
    if expected is not None and expected not in digests:
        found.append(f"no entry has the digest {expected}")
    return found


def is_digest(text: str) -> bool:
    """Whether a text could be the digest of an entry."""
    return bool(_DIGEST.fullmatch(text))
