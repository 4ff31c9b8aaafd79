"""Wake-up messages by SQS."""

import json
from logging import getLogger
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

_log = getLogger(__name__)


class SqsWorkQueue:
    """Sends wake-up messages to SQS. A failure is only logged: the sweeper finds the run later.

    Args:
        sqs: a boto3 client.
        advance_queue: the URL of the queue for new runs.
        resume_queue: the URL of the queue for runs that wait no longer.
        notify_queue: the URL of the queue for notices.
    """

    def __init__(
        self, *, sqs: "SQSClient", advance_queue: str, resume_queue: str, notify_queue: str
    ) -> None:
        self._sqs = sqs
        self._advance_queue = advance_queue
        self._resume_queue = resume_queue
        self._notify_queue = notify_queue

    def advance(self, run_id: str) -> None:
        self._send(self._advance_queue, {"run_id": run_id})

    def resume(self, run_id: str) -> None:
        self._send(self._resume_queue, {"run_id": run_id})

    def notify(self, run_id: str, notice_id: str) -> None:
        self._send(self._notify_queue, {"run_id": run_id, "notice_id": notice_id})

    def _send(self, queue: str, message: dict[str, str]) -> None:
        try:
            self._sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(message))
        except (ClientError, BotoCoreError):
            # The sweeper will find the run, or the notice.
            _log.warning("wake-up message lost", extra=message, exc_info=True)
