"""The model's key in Secrets Manager, as a warm container reads it over a real socket."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest

from agent_continuations.bootstrap import aws, engine
from agent_continuations.errors import ModelRefused, ModelUnavailable
from agent_continuations.ports.model import ModelRequest
from tests.local.model_server import ModelServer, Reply

REQUEST = ModelRequest(agent="a", path="", model=None, messages=[{"role": "user", "content": "hi"}])


class SecretsManager:
    """The secret of the model's key, and how often it was read.

    Attributes:
        text: the secret's value; None for a binary one.
        failure: an error's status and code in place of the value.
    """

    def __init__(self) -> None:
        self.text: str | None = json.dumps({"api_key": "old-key-of-the-model"})
        self.failure: tuple[int, str] | None = None
        self.reads = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, body = owner.answer()
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self) -> tuple[int, dict[str, Any]]:
        self.reads += 1
        if self.failure:
            status, code = self.failure
            return status, {"__type": code, "Message": "no"}
        return 200, {"Name": "model"} | ({"SecretString": self.text} if self.text else {})

    def keep(self, key: Any) -> None:
        self.text = json.dumps({"api_key": key})


def clear() -> None:
    for cached in (aws.client, aws.recent_secret, engine.model, engine.runner):
        cached.cache_clear()


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManager]:
    manager = SecretsManager()
    Thread(target=manager.http.serve_forever, args=(0.02,), daemon=True).start()
    environment = {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": manager.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MODEL_SECRET": "model",
        "MODEL": "standard",
        "TABLE": "table",
        "OUTBOX_TABLE": "outbox",
        "BUCKET": "bucket",
        "TOOL_HOSTS": json.dumps(
            {name: {"arn": "a", "timeout": 1} for name in ("tools", "payments")}
        ),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # The pauses between the client's own tries.
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
    clear()
    yield manager
    clear()
    manager.http.shutdown()
    manager.http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    with ModelServer(lambda _: Reply("hello"), api_key="old-key-of-the-model") as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        yield running


def ask() -> str | None:
    return engine.model().reply(REQUEST).content


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1_000_000_020.0)
    monkeypatch.setattr(aws, "time", lambda: clock.now)
    return clock


def test_the_key_is_read_at_most_once_a_minute(
    secrets: SecretsManager, server: ModelServer, clock: SimpleNamespace
) -> None:
    assert [ask(), ask(), ask()] == ["hello"] * 3
    assert secrets.reads == 1
    clock.now += 60
    assert ask() == "hello"
    assert secrets.reads == 2


def test_a_warm_container_uses_a_rotated_key_within_a_minute(
    secrets: SecretsManager, server: ModelServer, clock: SimpleNamespace
) -> None:
    ask()
    secrets.keep("new-key-of-the-model")  # the service still accepts the old one
    ask()
    clock.now += 60
    server.api_key = "new-key-of-the-model"
    assert ask() == "hello"
    assert secrets.reads == 2


def test_a_revoked_key_is_read_again_at_once(
    secrets: SecretsManager, server: ModelServer, clock: SimpleNamespace
) -> None:
    ask()
    secrets.keep("new-key-of-the-model")
    server.api_key = "new-key-of-the-model"
    assert [ask(), ask()] == ["hello", "hello"]
    assert secrets.reads == 2


def test_a_wrong_key_is_refused(
    secrets: SecretsManager, server: ModelServer, clock: SimpleNamespace
) -> None:
    secrets.keep("some-other-key-altogether")
    with pytest.raises(ModelRefused, match="401") as caught:
        ask()
    assert secrets.reads == 2
    assert "some-other-key-altogether" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "AccessDeniedException"),
        (400, "ThrottlingException"),
        (400, "ResourceNotFoundException"),
        (500, "InternalServiceError"),
    ],
)
def test_a_secret_that_cannot_be_read_makes_the_model_unavailable(
    secrets: SecretsManager, server: ModelServer, status: int, code: str
) -> None:
    secrets.failure = (status, code)
    with pytest.raises(ModelUnavailable, match=f"key cannot be read: {code}"):
        ask()
    assert server.requests == []
    secrets.failure = None
    assert ask() == "hello"


def test_an_unreachable_secrets_manager_makes_the_model_unavailable(
    secrets: SecretsManager, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailable, match="key cannot be read: EndpointConnectionError"):
        ask()


@pytest.mark.parametrize(
    "text", [None, "sk-written-without-json", "{", "[]", '"sk-text"', "{}", '{"api_key": 5}']
)
def test_a_secret_of_another_form_is_refused_without_being_quoted(
    secrets: SecretsManager, server: ModelServer, text: str | None
) -> None:
    secrets.text = text
    with pytest.raises(ModelRefused, match="the secret of the model") as caught:
        ask()
    assert "sk-" not in str(caught.value)
    secrets.keep("old-key-of-the-model")
    aws.recent_secret.cache_clear()
    assert ask() == "hello"


@pytest.mark.parametrize("key", ["", None, "  "])
def test_a_service_without_keys_needs_none(
    secrets: SecretsManager, server: ModelServer, key: str | None
) -> None:
    server.api_key = None
    secrets.keep(key)
    assert ask() == "hello"


def test_white_space_around_a_key_is_no_part_of_it(
    secrets: SecretsManager, server: ModelServer
) -> None:
    secrets.keep(" old-key-of-the-model\n")
    assert ask() == "hello"


def test_a_runner_is_made_without_reading_a_secret(
    secrets: SecretsManager, server: ModelServer
) -> None:
    secrets.failure = (400, "AccessDeniedException")
    engine.runner()
    assert secrets.reads == 0
