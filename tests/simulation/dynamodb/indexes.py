"""The sparse indexes of the tables, which hold keys only and lag behind them."""

from bisect import insort
from collections import defaultdict
from collections.abc import Collection

from tests.simulation.aws import Requests
from tests.simulation.dynamodb.values import Item, Key, Refused

INDEXES = {"due": ("due_shard", "due"), "runs": ("list_shard", "list_key")}
KEY_TYPES = {
    "pk": "S",
    "sk": "S",
    "due_shard": "S",
    "due": "N",
    "list_shard": "S",
    "list_key": "S",
}
_INDEX_KEYS = KEY_TYPES.keys() - {"pk", "sk"}


def check_index_keys(item: Item) -> None:
    """Check the attributes of an item that are keys of an index.

    Raises:
        Refused: one has another type than the index, or is empty.
    """
    for name in _INDEX_KEYS & item.keys():
        content = item[name].get(KEY_TYPES[name])
        if content is None or content == "":
            raise Refused(f"{name} must be of type {KEY_TYPES[name]}, and not empty")


class LaggingIndexes:
    """What queries of a table's indexes see.

    Args:
        requests: decides when a write becomes visible.
        names: the indexes of the table.
    """

    def __init__(self, requests: Requests, names: Collection[str]) -> None:
        self._requests = requests
        self._lagging: list[tuple[float, int, Key, Item]] = []
        self._visible_at: dict[Key, float] = {}
        self._number = 0
        self._shards: dict[str, dict[str, dict[Key, Item]]] = {
            name: defaultdict(dict) for name in names
        }
        self._shard_of: dict[tuple[str, Key], str] = {}

    def write(self, key: Key, item: Item) -> None:
        """An item was written; it becomes visible later."""
        # The visible versions of one item never go back in time.
        at = max(self._requests.index_visible_at(), self._visible_at.get(key, 0.0))
        self._visible_at[key] = at
        self._number += 1
        projected = {name: item[name] for name in KEY_TYPES if name in item}
        insort(self._lagging, (at, self._number, key, projected), key=lambda each: each[:2])

    def items(self, name: str, shard: str) -> list[Item]:
        """The visible items of one partition of an index.

        Raises:
            Refused: the table has no such index.
        """
        if name not in self._shards:
            raise Refused(f"the table has no index {name}")
        self._catch_up()
        return list(self._shards[name].get(shard, {}).values())

    def _catch_up(self) -> None:
        now = self._requests.now()
        seen = 0
        for at, _, key, item in self._lagging:
            if at > now:
                break
            seen += 1
            for name in self._shards:
                self._show(name, key, item)
        del self._lagging[:seen]

    def _show(self, name: str, key: Key, item: Item) -> None:
        hidden = self._shard_of.pop((name, key), None)
        if hidden is not None:
            del self._shards[name][hidden][key]
        shard, sort = INDEXES[name]
        if shard in item and sort in item:
            shown = {each: item[each] for each in ("pk", "sk", shard, sort)}
            self._shard_of[name, key] = item[shard]["S"]
            self._shards[name][item[shard]["S"]][key] = shown
