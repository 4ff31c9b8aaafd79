"""The model server, asked by the real openai client over the socket."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_type_hints

import openai
import pytest
from openai.types.chat import completion_create_params as params

from tests.local import model_rules
from tests.local.model_server import Call, Fault, Json, ModelServer, Reply

USER: Any = {"role": "user", "content": "hi"}


def tool(name: str = "add", **function: Any) -> Json:
    return {"type": "function", "function": {"name": name, **function}}


def call(call_id: str = "c1", name: Any = "add", arguments: Any = "{}") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def asks(*calls: Json, **more: Any) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def answer(call_id: str = "c1", content: Any = "3") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def client(server: ModelServer, **options: Any) -> openai.OpenAI:
    defaults: Json = {"api_key": "key", "max_retries": 0, "timeout": 5}
    return openai.OpenAI(base_url=server.base_url, **{**defaults, **options})


def models(server: ModelServer) -> Any:
    with client(server) as c:
        return c.models.list()


def chat(server: ModelServer, **options: Any) -> Any:
    with client(server, **options) as c:
        return c.chat.completions.create(model="m", messages=[USER])


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(lambda _: Reply("hello there")) as running:
        yield running


def test_happy_path_over_one_kept_connection(server: ModelServer) -> None:
    with client(server) as c:
        for _ in range(3):
            got = c.chat.completions.create(
                model="m", messages=[{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
            )
        assert len(server._http.connections) == 1
        assert [m.id for m in c.models.list()] == ["test-model"]
    assert got.choices[0].message.content == "hello there"
    assert (got.choices[0].finish_reason, got.object, got.model) == ("stop", "chat.completion", "m")
    assert got.usage and got.usage.completion_tokens == 2 and got._request_id
    assert len(server.requests) == 3 and server.refusals == []


def test_kept_alive_answers_are_fast(server: ModelServer) -> None:
    with client(server) as c:
        chat_create = c.chat.completions.create
        chat_create(model="m", messages=[USER])
        start = time.perf_counter()
        for _ in range(20):
            chat_create(model="m", messages=[USER])
    assert time.perf_counter() - start < 0.6  # a delayed ACK would cost 40 ms each


def test_tool_call_round_trip() -> None:
    replies = iter(
        [
            Reply(tool_calls=(Call("add", {"a": 1}), Call("add", "{bad"), Call("add", "{}", "x"))),
            Reply("done", usage=(7, 8)),
        ]
    )
    strict = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    tools: Any = [tool(parameters={**strict, "additionalProperties": False}, strict=True)]
    with ModelServer(lambda _: next(replies)) as server, client(server) as c:
        first = c.chat.completions.create(
            model="m", messages=[USER], tools=tools, tool_choice="auto", parallel_tool_calls=True
        )
        assert first.choices[0].finish_reason == "tool_calls"
        message = first.choices[0].message
        calls: Any = message.tool_calls
        assert [k.function.arguments for k in calls] == ['{"a": 1}', "{bad", "{}"]
        assert len({k.id for k in calls}) == 3 and calls[2].id == "x"
        history: Any = [USER, message, *(answer(k.id) for k in reversed(calls))]
        second = c.chat.completions.create(model="m", messages=history, tools=tools)
        assert second.usage and second.usage.total_tokens == 15
        assert server.refusals == []
        assert [m["role"] for m in server.requests[1]["messages"]] == [
            "user", "assistant", "tool", "tool", "tool",
        ]  # fmt: skip


OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = {**OBJECT, "additionalProperties": False}
DEEP = {"type": "object", "properties": {"a": OBJECT}, "required": ["a"]}
PATTERN = "string does not match pattern"
UNANSWERED = "must be followed by tool messages responding to each 'tool_call_id'. The following"
REFUSED: list[tuple[Json, str, str]] = [
    ({"model": None}, "model", "Invalid type for 'model'"),
    ({"model": 3}, "model", "got an integer instead"),
    ({"messages": []}, "messages", "empty array"),
    ({"messages": "hi"}, "messages", "expected an array, but got a string"),
    ({"messages": ["hi"]}, "messages[0]", "expected an object"),
    ({"messages": [USER, {"content": "x"}]}, "messages[1].role", "Missing required parameter"),
    ({"messages": [{**USER, "role": "function"}]}, "messages[0].role", "Supported values are"),
    ({"messages": [{**USER, "role": 1}]}, "messages[0].role", "expected a string"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "Missing required parameter"),
    ({"messages": [{**USER, "content": 1}]}, "messages[0].content", "got an integer"),
    ({"messages": [{**USER, "content": True}]}, "messages[0].content", "got a boolean"),
    ({"messages": [{**USER, "content": None}]}, "messages[0].content", "got null"),
    ({"messages": [{**USER, "content": {}}]}, "messages[0].content", "got an object"),
    ({"messages": [{**USER, "content": []}]}, "messages[0].content", "empty array"),
    ({"messages": [{**USER, "content": ["x"]}]}, "messages[0].content[0]", "got a string"),
    (
        {"messages": [{**USER, "content": [{"type": "nope"}]}]},
        "messages[0].content[0].type",
        "Supported values are",
    ),
    (
        {"messages": [{**USER, "content": [{"type": "text", "text": 1}]}]},
        "messages[0].content[0].text",
        "got an integer",
    ),
    (
        {"messages": [{**USER, "content": "x" * 10_485_761}]},
        "messages[0].content",
        "string too long. Expected a string with maximum length 10485760, but got a string with",
    ),
    ({"messages": [{**USER, "id": "7"}]}, "messages[0].id", "Unknown parameter"),
    ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content", "got null"),
    ({"messages": [{"role": "assistant"}]}, "messages[0].content", "got null"),
    ({"messages": [asks()]}, "messages[0].tool_calls", "empty array"),
    ({"messages": [{**asks(), "tool_calls": None}]}, "messages[0].tool_calls", "got null"),
    (
        {"messages": [USER, asks(call(arguments={}))]},
        "messages[1].tool_calls[0].function.arguments",
        "expected a string, but got an object",
    ),
    ({"messages": [asks(call(name="a b"))]}, "messages[0].tool_calls[0].function.name", PATTERN),
    ({"messages": [asks(call(name="x" * 65))]}, "messages[0].tool_calls[0].function.name", PATTERN),
    ({"messages": [asks(call(name="add\n"))]}, "messages[0].tool_calls[0].function.name", PATTERN),
    ({"messages": [asks(call("x" * 41))]}, "messages[0].tool_calls[0].id", PATTERN),
    ({"messages": [asks(call(), call()), answer()]}, "messages[0].tool_calls", "Duplicate"),
    ({"messages": [USER, asks(call())]}, "messages[1].role", UNANSWERED),
    ({"messages": [asks(call()), USER, answer()]}, "messages[1].role", UNANSWERED),
    (
        {"messages": [asks(call(), call("c2")), answer(), USER]},
        "messages[2].role",
        "did not have response messages: c2",
    ),
    (
        {"messages": [asks(call()), answer(), answer()]},
        "messages[2].tool_call_id",
        "Duplicate value for 'tool_call_id' of 'c1'",
    ),
    ({"messages": [USER, answer()]}, "messages[1].role", "must be a response to a preceeding"),
    ({"messages": [asks(call()), answer("c9")]}, "messages[1].role", "must be a response"),
    ({"messages": [asks(call()), answer(), USER, answer()]}, "messages[3].role", "must be a resp"),
    ({"messages": [asks(call()), answer(content=None)]}, "messages[1].content", "got null"),
    ({"messages": [asks(call()), answer(content=3)]}, "messages[1].content", "got an integer"),
    ({"bogus": 1}, "bogus", "Unrecognized request argument supplied: bogus"),
    ({"temperature": "hot"}, "temperature", "got a string"),
    ({"max_tokens": 1.5}, "max_tokens", "got a decimal number"),
    ({"stream": True}, "stream", "unsupported"),
    ({"n": 2}, "n", "unsupported"),
    ({"tools": []}, "tools", "empty array"),
    ({"tools": [tool(f"t{i}") for i in range(129)]}, "tools", "at most 128, got 129"),
    ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type", "Supported values"),
    ({"tools": [{"type": "function", "name": "x"}]}, "tools[0].function", "Missing required"),
    ({"tools": [tool("a.b")]}, "tools[0].function.name", PATTERN),
    ({"tools": [tool(), tool()]}, "tools[1].function.name", "Duplicate function name 'add'"),
    ({"tools": [tool(extra=1)]}, "tools[0].function.extra", "Unknown parameter"),
    ({"tools": [tool(parameters=[])]}, "tools[0].function.parameters", "expected an object"),
    ({"tools": [tool(parameters={})]}, "tools[0].function.parameters", "must be of 'type"),
    (
        {"tools": [tool(parameters={**OBJECT, "required": 1})]},
        "tools[0].function.parameters",
        "wrong type",
    ),
    (
        {"tools": [tool(parameters={"type": "object", "properties": {"a": 1}})]},
        "tools[0].function.parameters",
        "not an object or a boolean",
    ),
    (
        {"tools": [tool(parameters=OBJECT, strict=True)]},
        "tools[0].function.parameters",
        "'additionalProperties' is required to be supplied and to be false",
    ),
    (
        {"tools": [tool(parameters=CLOSED, strict=True)]},
        "tools[0].function.parameters",
        "Missing 'a'",
    ),
    (
        {"tools": [tool(parameters={**DEEP, "additionalProperties": False}, strict=True)]},
        "tools[0].function.parameters",
        "In context=('properties', 'a'), 'additionalProperties'",
    ),
    ({"tools": [tool(strict="yes")]}, "tools[0].function.strict", "got a string"),
    ({"tool_choice": "auto"}, "tool_choice", "only allowed when 'tools'"),
    ({"parallel_tool_calls": True}, "parallel_tool_calls", "only allowed when 'tools'"),
    ({"tools": [tool()], "parallel_tool_calls": 1}, "parallel_tool_calls", "a boolean"),
    ({"tools": [tool()], "tool_choice": "any"}, "tool_choice", "Supported values"),
    ({"tools": [tool()], "tool_choice": {"type": "x"}}, "tool_choice.type", "Supported values"),
    ({"tools": [tool()], "tool_choice": tool("b")}, "tool_choice.function.name", "not found"),
    ({"response_format": "json"}, "response_format", "expected an object"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "Supported values"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "Missing"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
        "response_format.json_schema.name",
        PATTERN,
    ),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": OBJECT, "strict": True},
            }
        },
        "response_format.json_schema.schema",
        "additionalProperties",
    ),
]


@pytest.mark.parametrize("change, where, said", REFUSED, ids=lambda v: str(v)[:60])
def test_refuses(server: ModelServer, change: Json, where: str, said: str) -> None:
    with client(server) as c, pytest.raises(openai.BadRequestError) as caught:
        # extra_body overrides what the typed arguments would not let through
        c.chat.completions.create(model="m", messages=[USER], extra_body=change)
    error = caught.value
    assert said in str(error) and where in str(error)
    assert (error.param, error.type) == (where, "invalid_request_error")
    assert server.requests == [] and len(server.refusals) == 1 and said in server.refusals[0]


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [tool("t" * 64), *(tool(f"t{i}") for i in range(127))]},
        {"tools": [tool()], "tool_choice": tool(), "parallel_tool_calls": False},
        {"tools": [tool()], "tool_choice": "required"},
        {"response_format": {"type": "json_object"}, "temperature": 1, "stop": ["a"], "seed": None},
        {"messages": [{**USER, "content": "x" * 10_485_760}]},
        {
            "messages": [{"role": "developer", "content": "x"}, {**USER, "name": "Bo"}],
            "stream": False,
        },
        {"messages": [asks(call()), answer(), asks(call()), answer(), USER]},
        {"messages": [asks(call(), refusal=None, annotations=[], audio=None), answer()]},
    ],
    ids=lambda v: str(v)[:60],
)
def test_accepts(server: ModelServer, change: Json) -> None:
    with client(server) as c:
        c.chat.completions.create(model="m", messages=[USER], extra_body=change)
    assert len(server.requests) == 1 and server.refusals == []


def test_knows_the_fields_of_the_client() -> None:
    known = {key.removesuffix("?") for key in model_rules.REQUEST}
    assert known == set(get_type_hints(params.CompletionCreateParamsStreaming))


@pytest.mark.parametrize(
    "status, error",
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_status(status: int, error: type[openai.APIStatusError]) -> None:
    with ModelServer(lambda _: Fault(status, retry_after="7")) as server:
        with pytest.raises(error) as caught:
            chat(server)
        assert caught.value.status_code == status and caught.value.type
        assert caught.value.response.headers["retry-after"] == "7"
        assert caught.value.request_id and len(server.requests) == 1


def test_retry_after_is_obeyed_by_the_client() -> None:
    replies: Iterator[Reply | Fault] = iter([Fault(429, retry_after="1"), Reply("ok")])
    with ModelServer(lambda _: next(replies)) as server:
        start = time.perf_counter()
        assert chat(server, max_retries=1).choices[0].message.content == "ok"
        assert 1 <= time.perf_counter() - start < 2 and len(server.requests) == 2


@pytest.mark.parametrize("cut", ["before", "middle"])
def test_cut(cut: Any) -> None:
    replies: Iterator[Reply | Fault] = iter([Reply("ok"), Fault(cut=cut), Reply("ok")])
    with ModelServer(lambda _: next(replies)) as server, client(server) as c:
        c.chat.completions.create(model="m", messages=[USER])
        with pytest.raises(openai.APIConnectionError) as caught:
            c.chat.completions.create(model="m", messages=[USER])
        assert not isinstance(caught.value, openai.APITimeoutError)
        c.chat.completions.create(model="m", messages=[USER])
        assert len(server.requests) == 3


def test_delay_outlasts_the_client() -> None:
    with ModelServer(lambda _: Fault(delay_seconds=30)) as server:
        with pytest.raises(openai.APITimeoutError):
            chat(server, timeout=0.3)
        start = time.perf_counter()
    assert time.perf_counter() - start < 1  # closing ends the wait


def test_delay_alone_ends_in_504() -> None:
    with ModelServer(lambda _: Fault(delay_seconds=0.1)) as server:
        with pytest.raises(openai.InternalServerError) as caught:
            chat(server)
        assert caught.value.status_code == 504


def test_raw_bodies() -> None:
    replies = iter([Fault(body=b"<html>"), Fault(body=b""), Fault(body=b'{"choices": []}')])
    with ModelServer(lambda _: next(replies)) as server:
        for _ in range(2):
            with pytest.raises(json.JSONDecodeError):  # the client does not wrap this one
                chat(server)
        assert chat(server).choices == []


def test_refusal_and_finish_reason() -> None:
    with ModelServer(lambda _: Reply(refusal="no", finish_reason="length")) as server:
        choice = chat(server).choices[0]
        assert (choice.message.refusal, choice.message.content) == ("no", None)
        assert choice.finish_reason == "length"


def test_api_key() -> None:
    with ModelServer(lambda _: Reply("ok"), api_key="secret") as server:
        for ask in (chat, models):
            with pytest.raises(openai.AuthenticationError) as caught:
                ask(server)
            assert caught.value.code == "invalid_api_key" and server.requests == []
        assert chat(server, api_key="secret").choices


def test_a_failing_respond_is_a_500(capsys: pytest.CaptureFixture[str]) -> None:
    fails = pytest.raises(openai.InternalServerError, match="respond raised StopIteration")
    with ModelServer(lambda _: next(iter(()))) as server, fails:
        chat(server)
    assert "StopIteration" in capsys.readouterr().err


def test_requests_are_kept_as_they_came() -> None:
    def respond(body: Json) -> Reply:
        body["messages"].clear()
        return Reply("ok")

    with ModelServer(respond) as server:
        chat(server)
        assert server.requests[0]["messages"] == [USER]


def raw(server: ModelServer, method: str, path: str, body: bytes = b"") -> tuple[int, Json]:
    port = server._http.server_port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body)
    response = connection.getresponse()
    result = response.status, json.loads(response.read())
    connection.close()
    return result


def test_what_no_client_sends(server: ModelServer) -> None:
    url = "/v1/chat/completions"
    for body in (b"", b"{", b"\xff", b'{"model": NaN}', b"[" * 100_000):
        status, answer_ = raw(server, "POST", url, body)
        assert status == 400 and "parse the JSON" in answer_["error"]["message"]
    assert raw(server, "POST", url, b"[]")[0] == 400
    assert raw(server, "POST", "/v1/nope", b"{}")[0] == 404
    assert raw(server, "GET", url)[0] == 404
    assert raw(server, "PUT", url)[0] == 501
    assert raw(server, "POST", url, b" " * (64 * 2**20 + 1))[0] == 413
    fits = json.dumps({"model": "m", "messages": [USER] * 3}).encode()
    assert raw(server, "POST", url, fits.ljust(64 * 2**20))[0] == 200
    nested: Json = {"type": "object"}
    for _ in range(300):
        nested = {"type": "object", "properties": {"a": nested}}
    deep = json.dumps({"model": "m", "messages": [USER], "tools": [tool(parameters=nested)]})
    assert raw(server, "POST", url, deep.encode())[0] == 200


def test_closing_ends_kept_connections() -> None:
    with ModelServer(lambda _: Reply("ok")) as server:
        c = client(server)
        c.models.list()
    with c, pytest.raises(openai.APIConnectionError):
        c.models.list()


def test_parallel_clients() -> None:
    with ModelServer(lambda _: Reply("ok")) as server:
        with ThreadPoolExecutor(16) as pool:
            assert len(list(pool.map(lambda _: chat(server), range(48)))) == 48
        assert len(server.requests) == 48
