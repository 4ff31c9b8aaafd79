"""Delivers notices: at least once, each recipient by himself; failures are kept, and tried again.

It is given up where trying is useless: the channel refuses for good, the time to decide is over,
or a day has passed. The notice then says whom it did not reach, and why.
"""

from collections.abc import Mapping
from datetime import timedelta

from agent_continuations.core.notice import Notice
from agent_continuations.errors import Fatal, Retryable
from agent_continuations.notifications.routes import Recipient
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.notifier import Notifier
from agent_continuations.ports.store import Store

MAX_PAUSE = timedelta(hours=1)
MAX_ATTEMPTS = 24


class NoticeDispatcher:
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
        head = self._store.head(run_id)
        if head is None or head.status.terminal or head.cancelled:
            self._store.update_notice(notice.model_copy(update={"due": None}))
            return None
        failures: dict[str, str] = {}
        left: list[str] = []
        asked_for = timedelta()
        for recipient in notice.undelivered:
            try:
                self._deliver(notice, recipient)
            except Exception as error:  # noqa: BLE001 - one recipient must not cost the others theirs
                failures[recipient] = str(error) or type(error).__name__
                if not isinstance(error, Fatal):
                    left.append(recipient)
                if isinstance(error, Retryable) and error.after_seconds:
                    seconds = min(error.after_seconds, MAX_PAUSE.total_seconds())
                    asked_for = max(asked_for, timedelta(seconds=seconds))
        attempts = notice.attempts + 1
        pause = min(max(timedelta(minutes=2 ** min(attempts - 1, 10)), asked_for), MAX_PAUSE)
        again = self._clock() + pause
        if attempts >= MAX_ATTEMPTS or (notice.expires_at and again >= notice.expires_at):
            left = []
        notice = notice.model_copy(
            update={
                "undelivered": tuple(failures),
                "attempts": attempts,
                "failure": "; ".join(f"{who}: {why}" for who, why in failures.items()) or None,
                "due": again if left else None,
            }
        )
        self._store.update_notice(notice)
        return notice

    def _deliver(self, notice: Notice, text: str) -> None:
        recipient = Recipient.parse(text, notice.approvers)
        notifier = self._notifiers.get(recipient.channel)
        if notifier is None:
            raise Fatal(f"there is no channel {recipient.channel!r}")
        notifier.deliver(notice, recipient.address, recipient.approver)
