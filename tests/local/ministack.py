"""MiniStack, an AWS emulator without Docker, as a child process on loopback."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.local.template import ROOT

PROGRAM = ROOT / ".cache" / "ministack" / "bin" / "ministack"
START_SECONDS = 60.0
STOP_SECONDS = 60.0
REGION = "us-east-1"
# Any key is an administrator's as long as it is this one; functions get keys of their own roles.
ADMINISTRATOR = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def client(service: str, url: str, **config: Any) -> Any:
    """A client of a server on loopback, with an administrator's key.

    Args:
        service: its name, as boto3 knows it.
        url: the server's address.
        config: of botocore's client.
    """
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ADMINISTRATOR["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ADMINISTRATOR["AWS_SECRET_ACCESS_KEY"],
        config=Config(**config),
    )


class MiniStack:
    """One emulator, its state kept in `home` from a graceful stop to the next start."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)  # the state holds the secrets in clear
        self.port = self._port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def throwaway(cls) -> Iterator[str]:
        """An empty emulator for as long as the block lasts; gives its URL."""
        with tempfile.TemporaryDirectory(prefix="ministack-") as home:
            stack = cls(Path(home))
            stack.start()
            try:
                yield stack.url
            finally:
                stack.stop()

    @property
    def pid(self) -> int:
        """The emulator's process, whose children are the functions' workers."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it answers.

        Raises:
            RuntimeError: it is not installed, or ends at once; the message holds its log's end.
        """
        if not PROGRAM.exists():
            raise RuntimeError(f"{PROGRAM} is missing: run `make tools`")
        self._end_leftover()
        scratch = self.home / "tmp"
        scratch.mkdir(exist_ok=True)
        log = self.home / "ministack.log"
        environment = {
            **_host_environment(),
            **ADMINISTRATOR,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "AUTH": "true",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.home / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.home / "s3"),
            "TMPDIR": str(scratch),
        }
        with log.open("wb") as output:
            # A session of its own, so that Ctrl-C reaches us first and it is stopped in order.
            self._process = subprocess.Popen(
                [str(PROGRAM)],
                env=environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._pid_file.write_text(str(self._process.pid))
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-3000:]
                self.stop()
                raise RuntimeError(f"MiniStack did not start:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop in order, which saves the state."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # It leads a session, and leaves behind those workers that are in the middle of something.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None
        self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self.home / "pid"

    def _end_leftover(self) -> None:
        """End the emulator of a run that was killed: it holds our port, and state to be saved."""
        if not self._pid_file.exists():
            return
        pid = int(self._pid_file.read_text())
        for _ in range(int(STOP_SECONDS * 10)):
            command = subprocess.run(
                ["ps", "-o", "command=", "-p", str(pid)],
                capture_output=True,
                text=True,
                check=False,
            ).stdout
            if str(PROGRAM) not in command:
                break
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.1)
        self._pid_file.unlink()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def _port(self) -> int:
        """The same port at every start, because queue URLs hold it; a random one at first."""
        kept = self.home / "port"
        if not kept.exists():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                kept.write_text(str(probe.getsockname()[1]))
        return int(kept.read_text())


def keep_to_ourselves() -> None:
    """Make this process one that knows no AWS account and goes to loopback without a proxy."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "").split(",")
        os.environ[name] = ",".join(filter(None, {*known, "127.0.0.1", "localhost"}))


def _host_environment() -> dict[str, str]:
    """What the functions inherit: what a user's tools may want, and nothing that is about us.

    A function that works only by such an inheritance would fail when deployed; what the template
    must set is checked by the tests of the functions.
    """
    ours = ("AWS_", "MAKE", "MFLAGS", "OPENAI_", "POWERTOOLS_", "PYTHON", "UV", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
