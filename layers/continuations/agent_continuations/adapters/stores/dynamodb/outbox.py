"""The outbox: notices of a run, until they are delivered. It can be in a table of its own."""

import zlib

from agent_continuations.adapters.stores.dynamodb.items import (
    Item,
    check_form,
    due_shard,
    millis,
    run_partition,
)
from agent_continuations.adapters.stores.dynamodb.table import Table, Write
from agent_continuations.core.notice import Notice


class Outbox:
    """`OutboxStore` in a table; see there."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def notice(self, run_id: str, notice_id: str) -> Notice | None:
        """See `OutboxStore.notice`."""
        item = self._table.get({"pk": run_partition(run_id), "sk": f"N#{notice_id}"})
        return self._read(item) if item and "due" in item else None

    def notices(self, run_id: str) -> list[Notice]:
        """See `OutboxStore.notices`."""
        return [self._read(item) for item in self._table.query(run_partition(run_id), "N#", "N~")]

    def update_notice(self, notice: Notice) -> None:
        """See `OutboxStore.update_notice`."""
        self._table.put(_item(notice, self._table.form))

    def new_write(self, notice: Notice) -> Write:
        """The write of a notice in the transaction of the entry that it tells of.

        That entry must be new; the notice need not be: a run may have been restored to a time
        before it, and the outbox not. Then it is due again.
        """
        return self._table.replace_write(_item(notice, self._table.form))

    def _read(self, item: Item) -> Notice:
        """The notice that an item holds.

        Raises:
            NewerForm: the item was written by newer code.
        """
        check_form(item, self._table.form)
        return Notice.model_validate_json(zlib.decompress(bytes(item["v"])))


def _item(notice: Notice, form: int) -> Item:
    """The item of a notice; without `due` it is in no index."""
    return {
        "pk": run_partition(notice.run_id),
        "sk": f"N#{notice.notice_id}",
        "f": form,
        "due_shard": due_shard(notice.run_id),
        "due": millis(notice.due) if notice.due else None,
        "v": zlib.compress(notice.model_dump_json().encode()),
    }
