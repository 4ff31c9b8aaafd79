"""MiniStack, an AWS emulator without Docker, as a child process on loopback."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
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
# MiniStack treats this key as the administrator's; functions get keys of their own roles.
ADMINISTRATOR = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def client(service: str, url: str, **config: Any) -> Any:
    """Creates a client of a server on loopback, with an administrator's key.

    Args:
        service: boto3's name of the service.
        url: URL of the server.
        config: options of botocore's client configuration.
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
    """One emulator; a graceful stop saves its state in `home`, and the next start loads it.

    Args:
        home: folder of the state.
        environment: more variables for the emulator and its functions.
    """

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self._environment = environment or {}
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)  # the state contains secrets in clear text
        self.port = self._port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def throwaway(cls) -> Iterator[str]:
        """Runs an empty emulator while the context is open; yields its URL."""
        with tempfile.TemporaryDirectory(prefix="ministack-") as home:
            stack = cls(Path(home))
            stack.start()
            try:
                yield stack.url
            finally:
                stack.stop()

    @property
    def pid(self) -> int:
        """Process id of the emulator; its child processes are the functions' workers."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Starts the emulator and waits until it responds.

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
            **self._environment,
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
            # In its own session, Ctrl-C reaches only this process, which then stops the emulator.
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

    def stop(self, *, save: bool = True) -> None:
        """Stops the emulator gracefully, which saves its state; or at once."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM if save else signal.SIGKILL)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # The emulator leads a session; busy workers in it survive a graceful stop.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process = None
        self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self.home / "pid"

    def _end_leftover(self) -> None:
        """Stops the emulator of a killed run: it occupies the port and has state to save."""
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
        """Returns the port of the first start, a random one, since queue URLs contain it."""
        kept = self.home / "port"
        if not kept.exists():
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                kept.write_text(str(probe.getsockname()[1]))
        return int(kept.read_text())


def isolate_from_aws() -> None:
    """Removes AWS credentials from this process, and proxies for loopback."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "").split(",")
        os.environ[name] = ",".join(filter(None, {*known, "127.0.0.1", "localhost"}))


def _host_environment() -> dict[str, str]:
    """Returns the environment that the functions inherit: variables that a user's tools may need.

    Variables of this project are excluded. A function that depends on an inherited variable would
    fail when deployed; the functions' tests check the variables that the template must set.
    """
    excluded = ("AWS_", "MAKE", "MFLAGS", "OPENAI_", "POWERTOOLS_", "PYTHON", "UV", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(excluded)}
