"""Sources of log lines: the file of the local stack, and CloudWatch Logs."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BufferedReader
from pathlib import Path
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's name
    HTTPClientError,
)

from agent_continuations.cli.exit_codes import InvalidUsage, Refused, ServiceUnavailable
from agent_continuations.cli.selection import RUN_ID_CHARACTERS

FILE_POLL_SECONDS = 0.5
GROUP_POLL_SECONDS = 3.0
# CloudWatch Logs may show a line later than others that were written after it.
LATENESS = timedelta(seconds=60)
_THROTTLING = ("ThrottlingException", "Throttling", "ServiceUnavailableException")


def file_lines(path: Path, *, follow: bool) -> Iterator[str]:
    """Reads the lines of a log file.

    Args:
        path: the file.
        follow: whether to wait for further lines, also of a file that does not exist yet or is
            begun anew.

    Raises:
        InvalidUsage: the file cannot be read.
    """
    while True:
        try:
            with path.open("rb") as file:
                yield from _lines_until_replaced(file, path) if follow else _lines(file)
        except FileNotFoundError:
            if not follow:
                hint = "start the local stack with make run, or give --group"
                raise InvalidUsage(f"{path} does not exist; {hint}") from None
            time.sleep(FILE_POLL_SECONDS)
        except OSError as error:
            raise InvalidUsage(f"{path}: {error.strerror}") from None
        if not follow:
            return


def _lines(file: BufferedReader) -> Iterator[str]:
    for line in file:
        yield _decoded(line)


def _lines_until_replaced(file: BufferedReader, path: Path) -> Iterator[str]:
    """Follows an open file until the path leads to another one, or the file is begun anew."""
    begun = b""
    while True:
        replaced = _is_replaced(file, path)
        for part in file:
            begun += part
            if begun.endswith(b"\n"):
                yield _decoded(begun)
                begun = b""
        if replaced:
            return
        time.sleep(FILE_POLL_SECONDS)


def _is_replaced(file: BufferedReader, path: Path) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return now.st_ino != os.fstat(file.fileno()).st_ino or now.st_size < file.tell()


def _decoded(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")


class LogGroup:
    """A log group of CloudWatch Logs.

    Args:
        name: name of the group.
        profile: AWS profile; the default profile if None.
        region: AWS region; that of the profile if None.

    Raises:
        InvalidUsage: the profile does not exist, or there is no region.
    """

    def __init__(self, name: str, *, profile: str | None, region: str | None) -> None:
        import boto3  # slow to import, and no other command needs it

        self._name = name
        with _explained():
            session = boto3.Session(profile_name=profile, region_name=region)
            self._client: Any = session.client("logs")

    def lines(self, *, run: str, since: datetime, follow: bool) -> Iterator[str]:
        """Reads the lines of the group, oldest first.

        Args:
            run: a run id or a prefix of one; empty for all lines.
            since: time of the first line.
            follow: whether to wait for further lines.

        Raises:
            InvalidUsage: there are no AWS credentials.
            Refused: CloudWatch Logs refuses the request.
            ServiceUnavailable: CloudWatch Logs is unreachable or overloaded.
        """
        printed: dict[str, int] = {}
        while True:
            asked_at = datetime.now(UTC)
            for event in self._events(run, since):
                if event["eventId"] not in printed:
                    printed[event["eventId"]] = event["timestamp"]
                    yield event["message"].rstrip("\r\n")
            if not follow:
                return
            since = max(since, asked_at - LATENESS)
            first = _milliseconds(since)
            printed = {event: at for event, at in printed.items() if at >= first}
            time.sleep(GROUP_POLL_SECONDS)

    def _events(self, run: str, since: datetime) -> Iterator[Any]:
        query: dict[str, Any] = {"logGroupName": self._name, "startTime": _milliseconds(since)}
        if run:
            query["filterPattern"] = run_pattern(run)
        with _explained():
            for page in self._client.get_paginator("filter_log_events").paginate(**query):
                yield from page["events"]


def run_pattern(run: str) -> str:
    """Returns CloudWatch Logs' filter pattern for the lines of a run.

    Args:
        run: a run id or a prefix of one: letters and digits.
    """
    return f'{{ $.run_id = "{run}{"" if len(run) >= RUN_ID_CHARACTERS else "*"}" }}'


def _milliseconds(at: datetime) -> int:
    return max(0, int(at.timestamp() * 1000))


@contextmanager
def _explained() -> Iterator[None]:
    """Turns the errors of boto3 into this client's."""
    try:
        yield
    except ClientError as error:
        about = error.response.get("Error", {})
        message = f"CloudWatch Logs: {about.get('Message') or about.get('Code')}"
        if about.get("Code") in _THROTTLING:
            raise ServiceUnavailable(message) from None
        raise Refused(message) from None
    except (ConnectionError, HTTPClientError) as error:
        raise ServiceUnavailable(str(error)) from None
    except BotoCoreError as error:
        raise InvalidUsage(str(error)) from None
