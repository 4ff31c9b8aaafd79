"""Any server that speaks OpenAI's Chat Completions, by the `openai` client.

The client's own retries are off. A short wait is slept here; a long one is raised to the caller,
which suspends the run with a timer instead of paying for a sleeping process.
"""

from collections.abc import Callable, Mapping
from functools import partial
from random import uniform
from time import sleep
from typing import Any, Protocol, cast
from weakref import finalize

from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    OpenAI,
)
from pydantic import BaseModel, ValidationError

from agent_continuations.adapters.retry_after import retry_after_seconds
from agent_continuations.core.replies import Reply, ToolRequest, Usage
from agent_continuations.errors import ModelRefused, ModelUnavailable
from agent_continuations.ports.clock import utc_now
from agent_continuations.ports.model import ModelRequest

TRIES = 3
LONGEST_SLEEP_SECONDS = 5.0
MAX_NAME_CHARACTERS = 200
REQUEST_TIMEOUT_SECONDS = 300.0
_PASSING = {408, 409, 425, 429}
_KEY_REFUSED = 401
_SHORTEST_SECRET = 8  # a shorter key is a word such as "none", and no secret
# Settings for the HTTP request instead of its body: the names in `create`, and those in `post`.
_OPTIONS = {
    "extra_headers": "headers",
    "extra_query": "params",
    "extra_body": "extra_json",
    "timeout": "timeout",
}


class ApiKey(Protocol):
    """The key of a model service, which may be replaced while the process runs."""

    def value(self) -> str:
        """The key for the next request.

        Raises:
            ModelUnavailable: the key cannot be read now.
            ModelRefused: there is no key where it should be.
        """

    def renewed(self) -> str:
        """The key as it is at this moment, because the service has refused `value`.

        Raises:
            ModelUnavailable, ModelRefused: as `value`.
        """


class OpenAIModel:
    """A model behind Chat Completions.

    Args:
        api_key: sent with each request. An `ApiKey` is read for every request, and again if the
            service refuses it: with another key, the request is repeated.
        base_url: as in the `openai` client.
        model: the default model, for agents that name none.
        timeout_seconds: for one request.
        pause: sleeps; tests replace it.
    """

    def __init__(
        self,
        *,
        api_key: str | ApiKey,
        model: str,
        base_url: str | None = None,
        timeout_seconds: float = REQUEST_TIMEOUT_SECONDS,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._api_key = _FixedKey(api_key) if isinstance(api_key, str) else api_key
        # The client insists on a key. Each request is sent with its own.
        self._client = OpenAI(
            api_key="none", base_url=base_url, max_retries=0, timeout=timeout_seconds
        )
        # Connections close with the object, so that no caller must close it.
        finalize(self, self._client.close)
        self._model = model
        self._pause = pause

    def reply(self, request: ModelRequest) -> Reply:
        """Request one reply. Transient faults are retried as long as the waits are short.

        Raises:
            ModelUnavailable: the service asks for a longer wait, or did not recover; or the key
                cannot be read.
            ModelRefused: the service refuses the request permanently.
        """
        parameters: dict[str, Any] = {
            **request.settings,
            "model": request.model or self._model,
            "messages": list(request.messages),
        }
        if request.tools:
            parameters["tools"] = list(request.tools)
        if request.output is not None:
            schema = {"name": request.agent, "schema": dict(request.output)}
            parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
        key = self._api_key.value()
        try:
            return self._ask_patiently(key, parameters)
        except _KeyRefused:
            renewed = self._api_key.renewed()
            if renewed == key:
                raise
        return self._ask_patiently(renewed, parameters)

    def _ask_patiently(self, key: str, parameters: Mapping[str, Any]) -> Reply:
        for tries in range(1, TRIES + 1):
            try:
                return self._ask(key, parameters)
            except ModelUnavailable as error:
                wait = error.after_seconds
                seconds = uniform(0.1, 0.5 * 2**tries) if wait is None else wait
                if tries == TRIES or seconds > LONGEST_SLEEP_SECONDS:
                    raise
                self._pause(seconds)
        raise AssertionError("unreachable")

    def _ask(self, key: str, parameters: Mapping[str, Any]) -> Reply:
        if not (key.isascii() and key.isprintable()):
            # The client's own error would quote it.
            raise ModelRefused("the key of the model service has a character that no key can have")
        body = {name: value for name, value in parameters.items() if name not in _OPTIONS}
        options = {_OPTIONS[name]: parameters[name] for name in _OPTIONS if name in parameters}
        options["security"] = {"bearer_auth": True}  # no other key from the environment
        try:
            # Not by `chat.completions.create`: it checks every message of every request against
            # its types, which takes most of a turn's time and leaves these requests unchanged.
            answer = self._client.with_options(api_key=key).post(
                "/chat/completions", cast_to=str, body=body, options=cast(Any, options)
            )
            return _reply(answer)
        except APITimeoutError as error:
            # Too long for a sleep, so that the caller suspends the run: the request has already
            # used up the time of this process.
            wait = LONGEST_SLEEP_SECONDS + 1
            raise ModelUnavailable("the model service did not answer in time", wait) from error
        except APIConnectionError as error:
            raise ModelUnavailable(f"the model service cannot be reached: {error}") from error
        except APIStatusError as error:
            status = error.status_code
            if status in _PASSING or status >= 500:
                after = retry_after_seconds(error.response.headers.get("retry-after"), utc_now())
                raise ModelUnavailable(f"the model service answered {status}", after) from error
            refused = _KeyRefused if status == _KEY_REFUSED else ModelRefused
            text = f"the model service answered {status}: {error.message}"
            # Without its cause, because a service may quote the key, and causes are logged.
            raise refused(_without_key(text, key)) from None
        except APIError as error:
            raise ModelUnavailable(f"the model service failed: {error}") from error


class _KeyRefused(ModelRefused):
    """The service does not accept the key."""


class _FixedKey:
    """A key that stays the same."""

    def __init__(self, key: str) -> None:
        self._key = key

    def value(self) -> str:
        return self._key

    renewed = value


def _without_key(text: str, key: str) -> str:
    return text.replace(key, "***") if len(key) >= _SHORTEST_SECRET else text


class _Function(BaseModel):
    name: str
    arguments: str | None = None


class _ToolCall(BaseModel):
    function: _Function


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(BaseModel):
    """The fields that are read of a completion. The client does not validate responses."""

    choices: list[_Choice]
    usage: _Usage | None = None
    model: Any = None  # an invalid name does not make the reply invalid


def _reply(body: str) -> Reply:
    try:
        completion = _Completion.model_validate_json(body)
        choice = completion.choices[0]
    except (ValidationError, IndexError) as error:
        # A truncated response or a proxy's error page: the request is valid and can be retried.
        raise ModelUnavailable(f"the model service sent no completion: {body[:200]!r}") from error
    used = completion.usage or _Usage()
    usage = Usage(input_tokens=used.prompt_tokens or 0, output_tokens=used.completion_tokens or 0)
    named = completion.model[:MAX_NAME_CHARACTERS] if isinstance(completion.model, str) else None
    content = choice.message.content or choice.message.refusal
    make_reply = partial(Reply, content=content, usage=usage, model=named)
    requests = tuple(
        ToolRequest(name=call.function.name, arguments=call.function.arguments or "")
        for call in choice.message.tool_calls or ()
    )
    reason = choice.finish_reason
    if reason == "content_filter":
        return make_reply(fault="content_filter")
    if reason == "length":
        # A call that was cut off may still parse, with fewer arguments than the model meant.
        return make_reply(fault="length")
    if requests:
        return make_reply(requests=requests)
    fault = None if content and content.strip() else "empty"
    return make_reply(fault=fault)
