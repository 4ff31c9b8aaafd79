"""Delivery of notices to each recipient at least once, with retries.

Delivery to a recipient ends without success if the channel refuses permanently, the request
expires, or the attempts are used up after about a day. The notice then lists the recipients and
the failures.
"""

from collections.abc import Mapping
from datetime import timedelta

from agent_continuations.core.base import storable
from agent_continuations.core.notice import Notice
from agent_continuations.errors import Fatal, Retryable
from agent_continuations.notifications.log import log_attempt
from agent_continuations.notifications.routes import Recipient, is_program
from agent_continuations.ports.clock import Clock, utc_now
from agent_continuations.ports.notifier import Notifier
from agent_continuations.ports.store import Store

MAX_PAUSE = timedelta(hours=1)
MAX_ATTEMPTS = 24


class NoticeDispatcher:
    """Delivers stored notices to people and machines.

    Args:
        store: store of runs and notices.
        notifiers: notifiers by channel; `email:a@example.com` goes to `notifiers["email"]`.
        clock: current time.
    """

    def __init__(
        self, store: Store, notifiers: Mapping[str, Notifier], clock: Clock = utc_now
    ) -> None:
        self._store = store
        self._notifiers = notifiers
        self._clock = clock

    def deliver(self, run_id: str, notice_id: str) -> Notice | None:
        """Attempts delivery to the recipients that a notice has not reached yet.

        Returns:
            The updated notice, with its failures in `failure`; None if there was nothing to
            deliver. A notice without a recipient has failed: it reaches nobody.
        """
        notice = self._store.notice(run_id, notice_id)
        if notice is None:
            return None
        head = self._store.head(run_id)
        if head is None or head.status.ended or head.cancelled:
            self._store.update_notice(notice.model_copy(update={"due": None}))
            return None
        failures: dict[str, Exception] = {}
        retryable: list[str] = []
        requested_pause = timedelta()
        for recipient in notice.undelivered:
            try:
                self._deliver(notice, recipient)
            except Exception as error:  # noqa: BLE001 - the other recipients must still be served
                failures[recipient] = error
                if not isinstance(error, Fatal):
                    retryable.append(recipient)
                if isinstance(error, Retryable) and error.after_seconds:
                    seconds = min(error.after_seconds, MAX_PAUSE.total_seconds())
                    requested_pause = max(requested_pause, timedelta(seconds=seconds))
        attempts = notice.attempts + 1
        backoff = timedelta(minutes=2 ** min(attempts - 1, 10))
        next_attempt = self._clock() + min(max(backoff, requested_pause), MAX_PAUSE)
        expired = notice.expires_at is not None and next_attempt >= notice.expires_at
        if attempts >= MAX_ATTEMPTS or expired:
            retryable = []
        delivered = [each for each in notice.undelivered if each not in failures]
        notice = notice.model_copy(
            update={
                "undelivered": tuple(failures),
                "attempts": attempts,
                "failure": "; ".join(f"{to}: {_text(error)}" for to, error in failures.items())
                or _why_nobody(notice),
                "due": next_attempt if retryable else None,
            }
        )
        self._store.update_notice(notice)
        log_attempt(notice, delivered, failures, retryable)
        return notice

    def _deliver(self, notice: Notice, text: str) -> None:
        recipient = Recipient.parse(text, notice.approvers)
        notifier = self._notifiers.get(recipient.channel)
        if notifier is None:
            raise Fatal(f"there is no channel {recipient.channel!r}")
        notifier.deliver(notice, recipient.address, recipient.approver)


def _why_nobody(notice: Notice) -> str | None:
    """Why a notice without a recipient reaches nobody; None if it need not.

    Approvers that are programs, which call the API by themselves, have no address.
    """
    people = [each for each in notice.approvers if not is_program(each)]
    if notice.attempts or notice.undelivered or (notice.approvers and not people):
        return None
    asked = ", ".join(people)
    return f"no address is known of {asked}, or they may not answer" if asked else "nobody is asked"


def _text(error: Exception) -> str:
    return storable(str(error)) or type(error).__name__
