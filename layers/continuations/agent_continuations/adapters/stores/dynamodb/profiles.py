"""Request profiles: one partition `P#<digest>` each, with the profile as compressed JSON."""

import zlib
from contextlib import suppress

from agent_continuations.adapters.stores.dynamodb.blobs import Blobs
from agent_continuations.adapters.stores.dynamodb.client import ConditionFailed
from agent_continuations.adapters.stores.dynamodb.items import Item, check_form
from agent_continuations.adapters.stores.dynamodb.table import Table
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.errors import CorruptValue

# The folder of large profiles, which the roles of the functions may use like those of runs. An
# underscore is in no run's id.
FOLDER = "_profiles"


class Profiles:
    """`ProfileStore` in the table, with large profiles in the bucket; see there."""

    def __init__(self, table: Table, blobs: Blobs) -> None:
        self._table = table
        self._blobs = blobs
        self._stored: set[str] = set()  # digests that this process has stored

    def save_profile(self, profile: RequestProfile) -> None:
        """See `ProfileStore.save_profile`."""
        digest = profile.digest
        if digest in self._stored:
            return
        value = zlib.compress(profile.document, 6)
        with suppress(ConditionFailed):  # its key is its digest, so the same profile is stored
            self._table.put_new(
                {**_key(digest), "f": self._table.form, **self._blobs.store(FOLDER, value)}
            )
        self._stored.add(digest)

    def profile(self, digest: str) -> RequestProfile | None:
        """See `ProfileStore.profile`.

        Raises:
            CorruptValue: the value was changed, is missing or cannot be parsed.
            NewerForm: it was written by newer code.
        """
        item = self._table.get(_key(digest))
        if item is None:
            return None
        check_form(item, self._table.form)
        try:
            return RequestProfile.read(zlib.decompress(self._blobs.load(item)))
        except (ValueError, zlib.error) as error:
            raise CorruptValue(f"the profile {digest} is not readable") from error


def _key(digest: str) -> Item:
    return {"pk": f"P#{digest}", "sk": "#P"}
