"""SQS batches: messages are handled one by one, and only those that failed are redelivered."""

import json
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, TypedDict

from aws_lambda_powertools import Logger

from agent_continuations.handlers.durations import milliseconds_since

_IDS = ("run_id", "notice_id")


class BatchItem(TypedDict):
    """A message to redeliver."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """A partial batch response: the messages to redeliver."""

    batchItemFailures: list[BatchItem]


def process_batch(
    event: Mapping[str, Any], work: Callable[[dict[str, Any]], str], logger: Logger
) -> BatchResponse:
    """Do `work` for the wake-up message in each record of an SQS event; log its outcome and time.

    Args:
        event: the event.
        work: handles a message, and returns a word for the log that says what came of it.
        logger: the function's.

    Returns:
        The messages whose work raised, for Lambda's ReportBatchItemFailures.
    """

    def handle(record: Mapping[str, Any], about: dict[str, Any]) -> str:
        message = json.loads(record["body"])
        about |= {name: message[name] for name in _IDS if name in message}
        return work(message)

    return process_records(event, handle, logger)


def process_records(
    event: Mapping[str, Any],
    work: Callable[[Mapping[str, Any], dict[str, Any]], str],
    logger: Logger,
) -> BatchResponse:
    """Do `work` for each record of an SQS event; log its outcome and time.

    Powertools has this, too, but imports the models of every AWS event: 70 ms of a cold start.

    Args:
        event: the event.
        work: handles a record, adds the fields of its log line to the dict, and returns a word that
            says what came of it.
        logger: the function's.

    Returns:
        The records whose work raised, for Lambda's ReportBatchItemFailures.
    """
    failed: list[BatchItem] = []
    for record in event["Records"]:
        started, about = perf_counter(), {"message_id": record["messageId"]}
        try:
            outcome = work(record, about)
        except Exception:
            extra = {**about, "duration_ms": milliseconds_since(started)}
            logger.exception("message failed", extra=extra)
            failed.append({"itemIdentifier": record["messageId"]})
        else:
            extra = {**about, "outcome": outcome, "duration_ms": milliseconds_since(started)}
            logger.info("message processed", extra=extra)
    return {"batchItemFailures": failed}
