"""In-process work queue."""


class LocalWorkQueue:
    """Queue of the runs to advance, in the order of their wake-ups. It delivers no notices."""

    def __init__(self) -> None:
        self._run_ids: dict[str, None] = {}

    def add(self, run_id: str) -> None:
        self._run_ids[run_id] = None

    def next(self) -> str | None:
        run_id = next(iter(self._run_ids), None)
        if run_id is not None:
            del self._run_ids[run_id]
        return run_id

    def advance(self, run_id: str) -> None:
        self.add(run_id)

    def resume(self, run_id: str) -> None:
        self.add(run_id)

    def notify(self, run_id: str, notice_id: str) -> None: ...
