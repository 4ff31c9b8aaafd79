"""Wake-up messages and inbound messages by SQS."""

import json
from logging import getLogger
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from agent_continuations.errors import Retryable
from agent_continuations.ports.inbound_queue import InboundMessage, message_text

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


class SqsInboundQueue:
    """Sends inbound messages to SQS.

    Args:
        sqs: a boto3 client.
        url: the queue's URL.
    """

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, message: InboundMessage) -> None:
        """See `InboundQueue.send`."""
        self.send_text(message_text(message))

    def send_text(self, text: str) -> None:
        """Send the text of a message that was in a queue before.

        Raises:
            Retryable: SQS does not answer; the message may have been sent.
        """
        try:
            self._sqs.send_message(QueueUrl=self._url, MessageBody=text)
        except (ClientError, BotoCoreError) as error:
            raise Retryable(f"the queue does not answer: {error}") from error
