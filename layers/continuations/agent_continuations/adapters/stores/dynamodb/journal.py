"""The journal: entries of a run, each written once, as compressed JSON."""

import zlib
from uuid import uuid4

from pydantic import TypeAdapter

from agent_continuations.adapters.stores.dynamodb.blobs import Blobs
from agent_continuations.adapters.stores.dynamodb.client import ConditionFailed
from agent_continuations.adapters.stores.dynamodb.items import (
    Item,
    check_form,
    run_partition,
)
from agent_continuations.adapters.stores.dynamodb.table import Table
from agent_continuations.core.events import Event
from agent_continuations.core.run import JournalEntry
from agent_continuations.errors import CorruptValue

_EVENTS: TypeAdapter[tuple[Event, ...]] = TypeAdapter(tuple[Event, ...])


class Journal:
    """Journal entries in the table, and their large values in a bucket."""

    def __init__(self, table: Table, blobs: Blobs) -> None:
        self._table = table
        self._blobs = blobs

    def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
        """See `RunStore.append`."""
        write_id = uuid4().hex
        try:
            self._table.put_new(self.item(run_id, entry, write_id))
        except ConditionFailed as failed:
            # The client repeats a request whose response was lost, and then finds its own item.
            return entry if failed.item["w"] == write_id else self.read(failed.item)
        return entry

    def item(self, run_id: str, entry: JournalEntry, write_id: str) -> Item:
        """The item of an entry; a large value is uploaded first.

        Args:
            write_id: distinguishes this write from another one at the same key.
        """
        value = zlib.compress(_EVENTS.dump_json(entry.events), 6)
        key = {"pk": run_partition(run_id), "sk": f"J#{entry.key}"}
        return {**key, "f": self._table.form, "w": write_id, **self._blobs.store(run_id, value)}

    def read(self, item: Item) -> JournalEntry:
        """The entry that an item holds.

        Raises:
            CorruptValue: the value was changed, is missing or cannot be parsed.
            NewerForm: it was written by newer code.
        """
        check_form(item, self._table.form)
        try:
            events = _EVENTS.validate_json(zlib.decompress(self._blobs.load(item)))
        except (ValueError, zlib.error) as error:
            raise CorruptValue(f"the journal entry {item['sk']} is not readable") from error
        return JournalEntry(item["sk"].removeprefix("J#"), events)
