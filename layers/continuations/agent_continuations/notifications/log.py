"""Log lines about notices: one for each recipient, with its channel and without its address."""

import re
from collections.abc import Collection, Mapping, Sequence
from logging import INFO, WARNING, getLogger

from agent_continuations.core.notice import Notice
from agent_continuations.errors import ContinuationError

MAX_REASON_CHARACTERS = 1000
_ADDRESS = re.compile(r"""https?://\S+|[^\s<>"'(,;:]+@[^\s<>"'),;:]*""")

_log = getLogger(__name__)


def log_attempt(
    notice: Notice,
    delivered: Sequence[str],
    failures: Mapping[str, Exception],
    retryable: Collection[str],
) -> None:
    """Write the lines of one attempt to deliver a notice.

    Args:
        notice: the notice after the attempt.
        delivered: the recipients that were reached now.
        failures: by recipient, why it was not reached.
        retryable: the recipients that will be tried again.
    """
    about = {
        "run_id": notice.run_id,
        "agent": next(reversed(notice.agents), None),
        "path": notice.path,
        "notice_id": notice.notice_id,
        "request_id": notice.request_id,
        "attempt": notice.attempts,
    }
    for recipient in delivered:
        _log.info("notice delivered", extra={**about, "channel": _channel(recipient)})
    for recipient, error in failures.items():
        failure = {"reason": _reason(error), "retry": recipient in retryable}
        # A channel raises errors of ours; of any other the traceback is needed.
        unexpected = None if isinstance(error, ContinuationError) else error
        extra = {**about, "channel": _channel(recipient), **failure}
        _log.warning("notice not delivered", extra=extra, exc_info=unexpected)
    if notice.attempts == 1 and not (delivered or failures):
        level = WARNING if notice.failure else INFO  # programs have no address
        _log.log(level, "notice not delivered", extra={**about, "reason": "no address"})


def _reason(error: Exception) -> str:
    """An error's text without e-mail addresses and links."""
    text = _ADDRESS.sub("[address]", str(error)[:MAX_REASON_CHARACTERS])
    return text or type(error).__name__


def _channel(recipient: str) -> str:
    return recipient.partition(":")[0]
