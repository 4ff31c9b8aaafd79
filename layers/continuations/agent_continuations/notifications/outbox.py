"""Delivery of notices to each recipient at least once, with retries.

A notice names approvers. Their recipients are computed here at each attempt, by the routes of the
deployment: nothing that a notice says about addresses is believed, so that whoever writes a false
one cannot have an approver's link sent to somebody else. A route that was corrected counts from the
next attempt on.

Delivery to a recipient ends without success if the channel refuses permanently, the request
expires, or the attempts are used up after about a day. The notice then lists the recipients and
the failures.
"""

from collections.abc import Callable, Mapping, Sequence
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
        routes: maps approvers to their recipients, such as `NotificationRoutes`.
        clock: current time.
    """

    def __init__(
        self,
        store: Store,
        notifiers: Mapping[str, Notifier],
        routes: Callable[[Sequence[str]], Sequence[Recipient]],
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._notifiers = notifiers
        self._routes = routes
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
        recipients, failures = self._recipients(notice)
        delivered: list[str] = []
        for recipient in recipients:
            try:
                self._deliver(notice, recipient)
                delivered.append(str(recipient))
            except Exception as error:  # noqa: BLE001 - the other recipients must still be served
                failures[str(recipient)] = error
        retryable = [to for to, error in failures.items() if not isinstance(error, Fatal)]
        attempts = notice.attempts + 1
        backoff = timedelta(minutes=2 ** min(attempts - 1, 10))
        pause = max([backoff, *map(_requested_pause, failures.values())])
        next_attempt = self._clock() + min(pause, MAX_PAUSE)
        expired = notice.expires_at is not None and next_attempt >= notice.expires_at
        if attempts >= MAX_ATTEMPTS or expired:
            retryable = []
        reached = (*notice.delivered, *delivered)
        notice = notice.model_copy(
            update={
                "delivered": reached,
                "undelivered": tuple(failures),
                "attempts": attempts,
                "failure": _failure(notice, failures, reached=bool(reached)),
                "due": next_attempt if retryable else None,
            }
        )
        self._store.update_notice(notice)
        log_attempt(notice, delivered, failures, retryable)
        return notice

    def _recipients(self, notice: Notice) -> tuple[list[Recipient], dict[str, Exception]]:
        """The recipients of the next attempt, and the stored ones that are recipients no more."""
        if notice.answerers is not None:
            routed = self._routes(notice.answerers)
            return [each for each in routed if str(each) not in notice.delivered], {}
        # A notice of an earlier form does not say who may answer, but lists its recipients.
        routed = [
            each for each in self._routes(notice.approvers) if str(each) in notice.undelivered
        ]
        unknown = set(notice.undelivered) - set(map(str, routed))
        return routed, {each: Fatal("not an address of an approver") for each in sorted(unknown)}

    def _deliver(self, notice: Notice, recipient: Recipient) -> None:
        notifier = self._notifiers.get(recipient.channel)
        if notifier is None:
            raise Fatal(f"there is no channel {recipient.channel!r}")
        notifier.deliver(notice, recipient.address, recipient.approver)


def _failure(notice: Notice, failures: Mapping[str, Exception], *, reached: bool) -> str | None:
    """Why the notice has not come, or cannot come, to its end; None if nothing failed."""
    texts = [f"{to}: {_text(error)}" for to, error in failures.items()]
    nobody = None if failures or reached else _why_nobody(notice)
    texts += [each for each in (nobody, notice.obstacle) if each]
    return "; ".join(texts) or None


def _why_nobody(notice: Notice) -> str | None:
    """Why a notice without a recipient reaches nobody; None if it need not.

    Approvers that are programs, which call the API by themselves, have no address.
    """
    people = [each for each in notice.approvers if not is_program(each)]
    if notice.approvers and not people:
        return None
    asked = ", ".join(people)
    return f"no address is known of {asked}, or they may not answer" if asked else "nobody is asked"


def _requested_pause(error: Exception) -> timedelta:
    """The pause that a channel has requested, at most an hour."""
    seconds = error.after_seconds if isinstance(error, Retryable) else None
    return timedelta(seconds=min(seconds or 0, MAX_PAUSE.total_seconds()))


def _text(error: Exception) -> str:
    return storable(str(error)) or type(error).__name__
