"""A store in memory that does not answer requests of one kind for a while."""

from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import Any

from agent_continuations import InMemoryStore
from agent_continuations.core.run import JournalEntry, RunHead, Snapshot
from agent_continuations.errors import Retryable
from tests.support.engine_harness import NOW

NO_ANSWER = Retryable("the store does not answer")


class FailingStore(InMemoryStore):
    """A store with an outage, which begins at the first request of one kind.

    The kinds of requests are the names of the methods. An `append` is a `reply` or an `outcome`,
    and a commit with a release is a `release`.

    Attributes:
        clock: the current time.
        answers_again: set at the first request of the kind that is answered after the outage.
        handed_back: for each claim that was handed back, whether it counts as fruitless.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock: Callable[[], datetime] = lambda: NOW
        self.answers_again = Event()
        self.handed_back: list[bool] = []
        self._kind = ""
        self._seconds = 0.0
        self._error: Exception = NO_ANSWER
        self._is_whole = False
        self._began_at: datetime | None = None

    def fail(
        self, kind: str, *, seconds: float, error: Exception = NO_ANSWER, whole: bool = False
    ) -> None:
        """Fail from the next request of this kind on.

        Args:
            kind: the kind of request.
            seconds: how long the outage lasts.
            error: what the requests raise.
            whole: whether requests of every kind fail.
        """
        self._kind, self._seconds, self._error, self._is_whole = kind, seconds, error, whole
        self._began_at = None
        self.answers_again.clear()

    @property
    def is_out(self) -> bool:
        """Whether the outage has begun and lasts."""
        return self._began_at is not None and self.outage_seconds < self._seconds

    @property
    def outage_seconds(self) -> float:
        """How long ago the outage began."""
        assert self._began_at, "nothing has failed"
        return (self.clock() - self._began_at).total_seconds()

    def _request(self, kind: str) -> None:
        if kind == self._kind and self._began_at is None:
            self._began_at = self.clock()
        if self._began_at is None or not (self._is_whole or kind == self._kind):
            return
        if self.is_out:
            raise self._error
        self.answers_again.set()

    def claim(self, run_id: str, **rest: Any) -> RunHead | None:
        self._request("claim")
        return super().claim(run_id, **rest)

    def head(self, run_id: str) -> RunHead | None:
        self._request("head")
        return super().head(run_id)

    def load(self, run_id: str, *, partial: bool = False) -> Snapshot | None:
        self._request("load")
        return super().load(run_id, partial=partial)

    def renew(self, run_id: str, **rest: Any) -> RunHead:
        self._request("renew")
        return super().renew(run_id, **rest)

    def append(self, run_id: str, entry: JournalEntry) -> JournalEntry:
        self._request("reply" if entry.key.endswith("!reply") else "outcome")
        return super().append(run_id, entry)

    def append_external(self, run_id: str, entries: Any, **rest: Any) -> JournalEntry | None:
        self._request("append_external")
        return super().append_external(run_id, entries, **rest)

    def record_intents(self, run_id: str, **rest: Any) -> RunHead:
        self._request("record_intents")
        return super().record_intents(run_id, **rest)

    def commit(self, run_id: str, **rest: Any) -> bool:
        self._request("release" if rest.get("release") else "commit")
        return super().commit(run_id, **rest)

    def hand_back(self, run_id: str, **rest: Any) -> None:
        self._request("hand_back")
        super().hand_back(run_id, **rest)
        self.handed_back.append(rest["counted"])
