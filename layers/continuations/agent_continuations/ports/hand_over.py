"""The part of a store that hands runs over to another store and takes them back."""

from collections.abc import Sequence
from typing import Protocol

from agent_continuations.core.notice import Notice
from agent_continuations.core.run import RunHead, Snapshot
from agent_continuations.errors import Conflict


class HandOverStore(Protocol):
    """Runs that move between stores; see `local/hand_over.py` for the rules."""

    def hand_over(self, run_id: str, *, epoch: int, number: int) -> RunHead | None:
        """Hand a run over: nothing can change it here until `restore` takes it back.

        A run that has failed or was cancelled can never act again, and a moved one has been handed
        over; these stay as they are.

        Args:
            epoch: the epoch that the caller has read.
            number: the number of the document that continues the run.

        Returns:
            The head afterwards; None if the run is running, has another epoch, or does not exist.
        """

    def restore(self, snapshot: Snapshot, notices: Sequence[Notice]) -> RunHead:
        """Store a run that was handed over, in place of what is stored of it.

        Entries and notices are written first and the head last, so that a run that is stored in
        part is not claimed; repeating it completes it.

        Returns:
            The stored head: the snapshot's, or one that does not yield to it (see
            `RunHead.yields_to`), and then nothing is written.

        Raises:
            Conflict: a journal entry differs from the stored one.
        """


def check_same_entries(stored: Snapshot, restored: Snapshot) -> None:
    """Check that journal entries at the same key are the same.

    They can differ if an execution that had lost its lease stored a late reply of a model after
    the run was handed over.

    Raises:
        Conflict: two entries differ.
    """
    entries = {each.key: each for each in stored.entries}
    for each in restored.entries:
        if entries.get(each.key, each) != each:
            raise Conflict(
                f"the journal entry {each.key} is stored here with another content; "
                "load the document in another store"
            )
