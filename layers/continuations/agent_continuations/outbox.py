"""Delivers notices: at least once, each recipient by himself, failures kept and tried again."""

from collections.abc import Mapping
from datetime import timedelta

from agent_continuations.errors import Fatal
from agent_continuations.ports import Clock, Notice, Notifier, Store, utc_now

LONGEST_PAUSE = timedelta(hours=1)


class Outbox:
    """Sends what the table holds for people and machines.

    Args:
        notifiers: by channel: a recipient `email:a@example.com` goes to `notifiers["email"]`.
    """

    def __init__(
        self, store: Store, notifiers: Mapping[str, Notifier], clock: Clock = utc_now
    ) -> None:
        self._store = store
        self._notifiers = notifiers
        self._clock = clock

    def deliver(self, run_id: str, notice_id: str) -> Notice | None:
        """Try to reach everybody whom a notice has not reached.

        Returns:
            The notice as it stands then: `failure` tells what went wrong; None if it was done.
        """
        notice = self._store.notice(run_id, notice_id)
        if notice is None:
            return None
        failures: dict[str, str] = {}
        for recipient in notice.undelivered:
            try:
                self._deliver(notice, recipient)
            except Exception as error:  # noqa: BLE001 - one recipient must not cost the others theirs
                failures[recipient] = str(error) or type(error).__name__
        left = tuple(each for each in notice.undelivered if each in failures)
        attempts = notice.attempts + 1
        pause = min(timedelta(minutes=2 ** min(attempts - 1, 10)), LONGEST_PAUSE)
        notice = notice.model_copy(
            update={
                "undelivered": left,
                "attempts": attempts,
                "failure": "; ".join(f"{who}: {why}" for who, why in failures.items()) or None,
                "due": self._clock() + pause if left else None,
            }
        )
        self._store.noticed(notice)
        return notice

    def _deliver(self, notice: Notice, recipient: str) -> None:
        channel, _, address = recipient.partition(":")
        notifier = self._notifiers.get(channel)
        if notifier is None:
            raise Fatal(f"there is no channel {channel!r}")
        notifier.deliver(notice, address)
