"""The audit trail of a run, as a hash chain over its approval events.

Each entry holds the digest of the one before it, so the last digest proves that no entry was
changed, removed or moved. Entries follow from the run's events. The end of the chain is kept in
the run's head, and moves in the same transaction as the event that is appended.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from agent_continuations.core.base import FrozenModel
from agent_continuations.core.ids import canonical_json

_NOT_IN_THE_TRAIL: dict[str, Any] = {
    "link": True,
    "decision": {"raw": True},
    "request": {"raw": True},
}


class Link(FrozenModel):
    """The link of an entry in its trail. `previous` is the digest of the entry before it."""

    number: int
    previous: str


class ChainHead(FrozenModel):
    """The end of a trail: the number of its entries, and the digest of the last one."""

    number: int = 0
    digest: str = ""


class AuditedEvent(FrozenModel):
    """Base of the events of the audit trail. Events of stored form 1 have no link."""

    path: str
    link: Link | None = None


EventT = TypeVar("EventT", bound=AuditedEvent)


def append(chain: ChainHead, event: EventT) -> tuple[ChainHead, EventT]:
    """The end of the trail after one more event, and the event with its link."""
    linked = event.model_copy(update={"link": Link(number=chain.number + 1, previous=chain.digest)})
    return ChainHead(number=chain.number + 1, digest=digest(audit_entry(linked))), linked


def audit_entry(event: AuditedEvent) -> dict[str, Any]:
    """The trail's entry for an event, as it is hashed and exported.

    Fields that are None are left out, so a field that is added later changes no earlier entry. The
    text of edited arguments is left out, because it may hold secrets; its digest is an entry's.
    """
    if event.link is None:
        raise ValueError("an event without a place in the trail")
    fields = event.model_dump(mode="json", exclude=_NOT_IN_THE_TRAIL, exclude_none=True)
    return {"number": event.link.number, "previous": event.link.previous, **fields}


def digest(entry: Mapping[str, Any]) -> str:
    """SHA-256 over an entry's canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(dict(entry)).encode()).hexdigest()


def faults(
    entries: Sequence[Mapping[str, Any]], chain: ChainHead, expected: str | None = None
) -> list[str]:
    """The faults of an exported trail, as text; empty if the chain is intact.

    Args:
        entries: all of them, in order.
        chain: the trail's end, as it was exported.
        expected: a digest that was kept elsewhere; one of the entries must have it.
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
