"""A work queue that records."""


class RecordingQueue:
    """A work queue that records the wake-up messages."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, ...]] = []

    def advance(self, run_id: str) -> None:
        self.sent.append(("advance", run_id))

    def resume(self, run_id: str) -> None:
        self.sent.append(("resume", run_id))

    def notify(self, run_id: str, notice_id: str) -> None:
        self.sent.append(("notify", run_id, notice_id))
