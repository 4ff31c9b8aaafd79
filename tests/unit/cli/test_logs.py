"""`logs` prints lines of the local stack's file, or of a log group."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto import mock_aws

from agent_continuations.cli import log_sources
from agent_continuations.cli.app import cli
from agent_continuations.cli.log_sources import LogGroup, file_lines, run_pattern
from tests.support.cli_agents import ESC

GROUP = "agent-continuations-logs"
ADA, BOB = "aaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbb"


def line(message: str, run_id: str | None = None, at: datetime | None = None) -> str:
    fields = {"level": "INFO", "message": message}
    if run_id:
        fields["run_id"] = run_id
    if at:
        fields["timestamp"] = at.isoformat()
    return json.dumps(fields)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a local stack."""
    monkeypatch.chdir(tmp_path)
    for name in ("AGENT_CONTINUATIONS_LOG_GROUP", "AGENT_CONTINUATIONS_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    found = tmp_path / ".run" / "log.jsonl"
    found.parent.mkdir()
    return found


def logs(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["logs", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


# -- the file of the local stack -------------------------------------------------------------------


def test_the_lines_of_the_local_stack_are_printed(file: Path) -> None:
    measured = json.dumps({"_aws": {"Timestamp": 1}, "RunsStarted": [1.0]})
    file.write_text(f"{line('one', ADA)}\nplain {ESC}[2J\n\n{measured}\n{line('two')}\nno end")
    assert logs().stdout.splitlines() == [
        f"INFO one {ADA}",
        "plain \\u{1b}[2J",
        "INFO two",
        "no end",
    ]


def test_the_lines_of_one_run_are_selected(file: Path) -> None:
    file.write_text("\n".join([line("one", ADA), line("two", BOB), line("x"), f"of {ADA}.", ""]))
    assert logs(ADA).stdout.splitlines() == [f"INFO one {ADA}", f"of {ADA}."]
    assert logs(BOB[:3]).stdout.splitlines() == [f"INFO two {BOB}"]
    assert logs("ccc").stdout == ""


@pytest.mark.parametrize("run", ["", 'a" || "', "a*", "a b", "\u00e9"])
def test_only_an_id_selects_a_run(file: Path, run: str) -> None:
    file.write_text(line("one", ADA))
    assert "RUN must be" in logs(run, code=2).stderr


def test_the_last_lines_are_selected_by_time(file: Path) -> None:
    now = datetime.now(UTC)
    old, new = line("old", at=now - timedelta(hours=3)), line("new", at=now)
    file.write_text(f"before\n{old}\nafter old\n{new}\nafter new\n")
    found = [each.split()[-1] for each in logs("--since", "2h").stdout.splitlines()]
    assert found == ["new", "new"]
    assert len(logs("--since", "4h").stdout.splitlines()) == 4
    for wrong in ("2", "h", "1w", "-1h", "1.5h"):
        assert "such as 30m" in logs("--since", wrong, code=2).stderr


def test_with_json_each_line_is_an_object(file: Path) -> None:
    file.write_text(f"{line('one', ADA)}\nplain\u2028\n{{}}\n")
    printed = [json.loads(each) for each in logs("--json").stdout.split("\n") if each]
    assert printed == [
        {"level": "INFO", "message": "one", "run_id": ADA},
        {"message": "plain\u2028"},
        {},
    ]


def test_a_missing_file_is_explained(file: Path) -> None:
    assert "make run" in logs(code=2).stderr
    file.mkdir()
    assert "Is a directory" in logs(code=2).stderr


def test_bytes_that_are_not_utf_8_are_printed(file: Path) -> None:
    file.write_bytes(b"caf\xe9\n")
    assert logs().stdout == "caf\ufffd\n"


class Follower:
    """Follows a file in a thread, as `logs --follow` does."""

    def __init__(self, path: Path) -> None:
        self.lines: list[str] = []
        self._source = file_lines(path, follow=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for each in self._source:
            self.lines.append(each)
            if each == "stop":
                return

    def waits_for(self, *lines: str) -> None:
        until = time.monotonic() + 20
        while self.lines != [*lines] and time.monotonic() < until:
            time.sleep(0.01)
        assert self.lines == [*lines]

    def stop(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()


def test_a_file_is_followed_from_before_it_exists(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_sources, "FILE_POLL_SECONDS", 0.01)
    follower = Follower(file)
    with file.open("a") as log:
        log.write("one\ntw")
        log.flush()
        follower.waits_for("one")
        log.write("o\n")
        log.flush()
        follower.waits_for("one", "two")
    file.write_text("new\n")  # a new start begins the file anew, shorter than it was
    follower.waits_for("one", "two", "new")
    file.unlink()
    file.with_suffix(".next").write_text("another\nfile\nstop\n")
    file.with_suffix(".next").rename(file)
    follower.waits_for("one", "two", "new", "another", "file", "stop")
    follower.stop()


def test_follow_prints_at_once_and_ends_with_ctrl_c(file: Path) -> None:
    file.write_text("one\n")
    path = os.pathsep.join(item for item in sys.path if item)
    with subprocess.Popen(
        [sys.executable, "-m", "agent_continuations.cli", "logs", "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "one\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


# -- CloudWatch Logs -------------------------------------------------------------------------------


@pytest.fixture
def group(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A log group, and its client; writes with `put`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with mock_aws():
        client = boto3.client("logs", region_name="eu-west-1")
        client.create_log_group(logGroupName=GROUP)
        client.create_log_stream(logGroupName=GROUP, logStreamName="s")
        yield client


def put(client: Any, *messages: str, ago: float = 0) -> None:
    at = int((time.time() - ago) * 1000)
    events = [{"timestamp": at, "message": f"{each}\n"} for each in messages]
    client.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)


def test_the_lines_of_a_group_are_printed(group: Any) -> None:
    put(group, line("long ago"), ago=2 * 3600)
    put(group, line("one", ADA), line("two", BOB), "START")
    assert logs("--group", GROUP).stdout.splitlines() == [
        f"INFO one {ADA}",
        f"INFO two {BOB}",
        "START",
    ]
    assert "long ago" in logs("--group", GROUP, "--since", "3h").stdout


def test_the_group_is_taken_from_the_environment(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_CONTINUATIONS_LOG_GROUP", GROUP)
    put(group, line("one", ADA), line("two", BOB))
    assert logs(ADA).stdout == f"INFO one {ADA}\n"


def test_a_run_is_selected_by_cloudwatch_logs(group: Any) -> None:
    assert run_pattern("abc") == '{ $.run_id = "abc*" }'
    assert run_pattern(ADA) == f'{{ $.run_id = "{ADA}" }}'
    asked: list[Any] = []
    source = LogGroup(GROUP, profile=None, region="eu-west-1")
    source._client.meta.events.register(
        "provide-client-params.cloudwatch-logs.FilterLogEvents",
        lambda params, **_: asked.append(params),
    )
    since = datetime(2026, 11, 27, tzinfo=UTC)
    assert list(source.lines(run="abc", since=since, follow=False)) == []
    [params] = asked
    assert params == {
        "logGroupName": GROUP,
        "startTime": int(since.timestamp() * 1000),
        "filterPattern": '{ $.run_id = "abc*" }',
    }


def test_a_group_is_followed_and_each_line_printed_once(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = iter([[line("late")], [], [line("last")]])

    def pause(_seconds: float) -> None:
        for each in next(pauses):
            put(group, each, ago=5)

    monkeypatch.setattr(log_sources, "time", SimpleNamespace(sleep=pause))
    put(group, line("first"))
    source = LogGroup(GROUP, profile=None, region="eu-west-1")
    since = datetime.now(UTC) - timedelta(minutes=10)
    found: list[str] = []
    with suppress(RuntimeError):  # the pauses end
        found.extend(source.lines(run="", since=since, follow=True))
    assert [json.loads(each)["message"] for each in found] == ["first", "late", "last"]


def test_problems_of_aws_are_explained_in_one_line(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = logs("--group", "nosuch", code=1).stderr
    assert missing.startswith("agent-continuations: CloudWatch Logs: ")
    assert missing.count("\n") == 1
    assert (
        "nosuch" in CliRunner().invoke(cli, ["--profile", "nosuch", "logs", "--group", "x"]).stderr
    )
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    assert "region" in logs("--group", GROUP, code=2).stderr
