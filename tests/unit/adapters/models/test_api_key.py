"""The key of the model service: which request is sent with which key, over a real socket."""

import logging
from collections.abc import Iterator

import pytest

from agent_continuations.adapters.models.openai import OpenAIModel
from agent_continuations.errors import ModelRefused, ModelUnavailable
from agent_continuations.ports.model import ModelRequest
from tests.local.model_server import Fault, ModelServer, Reply, error_body
from tests.support.log_lines import log_lines

REQUEST = ModelRequest(agent="a", path="", model=None, messages=[{"role": "user", "content": "hi"}])
OLD, NEW = "sk-the-old-key-of-the-service", "sk-the-new-key-of-the-service"


class RotatingKey:
    """A key that reads `now` where it must, and keeps what it has read until then."""

    def __init__(self, now: str) -> None:
        self.kept = self.now = now
        self.renewals = 0
        self.outage: ModelUnavailable | None = None

    def value(self) -> str:
        return self.kept

    def renewed(self) -> str:
        self.renewals += 1
        if self.outage:
            raise self.outage
        self.kept = self.now
        return self.kept


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(lambda _: Reply("hello"), api_key=OLD) as running:
        yield running


def no_pause(seconds: float) -> None:
    raise AssertionError(f"a pause of {seconds} s")


def model(server: ModelServer, key: str | RotatingKey) -> OpenAIModel:
    return OpenAIModel(api_key=key, model="m", base_url=server.base_url, pause=no_pause)


def test_a_key_is_read_for_every_request(server: ModelServer) -> None:
    key = RotatingKey(OLD)
    asked = model(server, key)
    assert asked.reply(REQUEST).content == "hello"
    server.api_key = key.kept = NEW
    assert asked.reply(REQUEST).content == "hello"
    assert key.renewals == 0


def test_a_request_whose_key_was_replaced_is_repeated_at_once_with_the_new_one(
    server: ModelServer,
) -> None:
    key = RotatingKey(OLD)
    server.api_key = key.now = NEW
    assert model(server, key).reply(REQUEST).content == "hello"
    assert key.renewals == 1


def test_a_key_that_is_refused_and_still_the_current_one_is_not_sent_again(
    server: ModelServer,
) -> None:
    key = RotatingKey(OLD)
    server.api_key = NEW
    with pytest.raises(ModelRefused, match="401"):
        model(server, key).reply(REQUEST)
    assert key.renewals == 1


def test_a_new_key_that_is_refused_as_well_is_tried_once(server: ModelServer) -> None:
    key = RotatingKey(OLD)
    server.api_key, key.now = "another", NEW
    with pytest.raises(ModelRefused, match="401"):
        model(server, key).reply(REQUEST)
    assert key.renewals == 1


def test_another_refusal_does_not_read_the_key_again(server: ModelServer) -> None:
    key = RotatingKey(OLD)
    server.respond = lambda _: Fault(403)
    with pytest.raises(ModelRefused, match="403"):
        model(server, key).reply(REQUEST)
    assert key.renewals == 0


def test_a_refused_key_that_cannot_be_read_again_makes_the_model_unavailable(
    server: ModelServer,
) -> None:
    key = RotatingKey(OLD)
    key.outage = ModelUnavailable("the key cannot be read")
    server.api_key = NEW
    with pytest.raises(ModelUnavailable, match="the key cannot be read"):
        model(server, key).reply(REQUEST)


def test_a_key_as_text_is_sent_with_each_request(server: ModelServer) -> None:
    assert model(server, OLD).reply(REQUEST).content == "hello"
    with pytest.raises(ModelRefused, match="401"):
        model(server, NEW).reply(REQUEST)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_key_that_the_service_quotes_is_in_no_error_and_no_traceback(
    server: ModelServer, status: int
) -> None:
    body = error_body(status, f"Incorrect API key provided: {OLD}.")
    server.respond = lambda _: Fault(status, body=body)
    with log_lines(10) as lines:
        try:
            model(server, OLD).reply(REQUEST)
        except ModelRefused as error:
            logging.getLogger("agent_continuations").warning("failed", exc_info=error)
    text = lines.texts(30)
    assert f"answered {status}" in text and "Incorrect API key provided: ***" in text
    assert OLD not in text


@pytest.mark.parametrize("key", [f"{OLD}\n", f"{OLD}€", f"\t{OLD}", f"{OLD}\x7f"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_quoted(
    server: ModelServer, key: str
) -> None:
    with pytest.raises(ModelRefused, match="character") as caught:
        model(server, key).reply(REQUEST)
    assert OLD not in str(caught.value)
    assert caught.value.__context__ is None
