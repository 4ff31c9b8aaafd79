"""The OpenAI adapter over a real socket, alone and under a whole run, against the strict server."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pydantic import BaseModel

from agent_continuations import Agent, tool
from agent_continuations.adapters.models.openai import LONGEST_SLEEP_SECONDS, TRIES, OpenAIModel
from agent_continuations.authoring.agent import AnyTool
from agent_continuations.core.continuation import MAX_CALLS_PER_TURN
from agent_continuations.core.run import Status
from agent_continuations.errors import ModelRefused, ModelUnavailable
from agent_continuations.local.runner import LocalRunner
from agent_continuations.ports.model import ModelRequest
from agent_continuations.views.run import RunView
from tests.local.model_server import Call, Fault, Json, ModelServer, Reply
from tests.support.log_lines import silenced

HELLO = Reply("hello there", usage=(7, 2))


def request(**more: Any) -> ModelRequest:
    defaults: dict[str, Any] = {
        "agent": "a",
        "path": "",
        "model": None,
        "messages": [{"role": "user", "content": "hi"}],
    }
    return ModelRequest(**{**defaults, **more})


def in_turn(*answers: Reply | Fault) -> Callable[[Json], Reply | Fault]:
    """The answers one after another; the last one is repeated."""
    left = list(answers)
    return lambda _body: left.pop(0) if len(left) > 1 else left[0]


@dataclass
class Asked:
    """A model, the server behind it, and the pauses that it made."""

    server: ModelServer
    pauses: list[float] = field(default_factory=list)

    def model(self, **options: Any) -> OpenAIModel:
        defaults: dict[str, Any] = {"api_key": "key", "model": "standard", "timeout_seconds": 10}
        return OpenAIModel(
            base_url=self.server.base_url, pause=self.pauses.append, **{**defaults, **options}
        )

    def unavailable(self, **options: Any) -> ModelUnavailable:
        with pytest.raises(ModelUnavailable) as caught:
            self.model(**options).reply(request())
        return caught.value


@pytest.fixture
def serve() -> Iterator[Callable[..., Asked]]:
    running: list[ModelServer] = []

    def start(*answers: Reply | Fault, **options: Any) -> Asked:
        server = ModelServer(in_turn(*answers), **options)
        running.append(server.__enter__())
        return Asked(server)

    yield start
    for server in running:
        server.__exit__()


Serve = Callable[..., Asked]


# -- one request -----------------------------------------------------------------------------------


def test_a_text_reply_has_its_usage(serve: Serve) -> None:
    reply = serve(HELLO).model().reply(request())
    assert (reply.content, reply.requests, reply.fault) == ("hello there", (), None)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (7, 2)


def test_tool_calls_are_returned_as_the_model_wrote_them(serve: Serve) -> None:
    answer = Reply("wait", tool_calls=(Call("add", {"a": 1}), Call("add", '{"a": oops')))
    reply = serve(answer).model().reply(request())
    assert [(each.name, each.arguments) for each in reply.requests] == [
        ("add", '{"a": 1}'),
        ("add", '{"a": oops'),
    ]
    assert reply.content == "wait"


def test_an_agent_without_a_model_uses_the_deployments(serve: Serve) -> None:
    asked = serve(HELLO)
    model = asked.model()
    model.reply(request())
    model.reply(request(model="special"))
    assert [each["model"] for each in asked.server.requests] == ["standard", "special"]


@pytest.mark.parametrize(
    ("named", "kept"), [('"gpt-5-mini-2025-08-07"', "gpt-5-mini-2025-08-07"), ("5", None)]
)
def test_a_reply_names_its_model(serve: Serve, named: str, kept: str | None) -> None:
    choices = '[{"message": {"content": "hello"}, "finish_reason": "stop"}]'
    answer = Fault(status=200, body=f'{{"model": {named}, "choices": {choices}}}'.encode())
    reply = serve(answer).model().reply(request())
    assert (reply.content, reply.model) == ("hello", kept)


def test_settings_are_sent_and_cannot_replace_fields_of_the_library(serve: Serve) -> None:
    asked = serve(HELLO)
    settings = {"temperature": 0.5, "max_tokens": 9, "model": "other", "messages": []}
    asked.model().reply(request(settings=settings))
    sent = asked.server.requests[0]
    assert (sent["temperature"], sent["max_tokens"], sent["model"]) == (0.5, 9, "standard")
    assert sent["messages"] == [{"role": "user", "content": "hi"}]


def test_settings_of_the_http_request_are_not_in_its_body(serve: Serve) -> None:
    asked = serve(HELLO)
    about: Json = {"extra_headers": {"X-A": "b"}, "extra_query": {"c": "d"}, "timeout": 20}
    asked.model().reply(request(settings={**about, "extra_body": {"top_p": 0.5}}))
    assert asked.server.requests[0].keys() == {"model", "messages", "top_p"}


def test_a_request_without_tools_has_no_tools_field(serve: Serve) -> None:
    asked = serve(HELLO)
    asked.model().reply(request())
    assert "tools" not in asked.server.requests[0]


def test_tools_are_sent_unchanged(serve: Serve) -> None:
    asked = serve(HELLO)
    described = {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Adds.",
            "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
        },
    }
    asked.model().reply(request(tools=[described]))
    assert asked.server.requests[0]["tools"] == [described]


def test_texts_in_every_script_are_sent_and_received_unchanged(serve: Serve) -> None:
    said = 'Grüße, 世界 🌍 \u202e \x00 "quotes" \\ \u2028'
    asked = serve(Reply(said))
    reply = asked.model().reply(request(messages=[{"role": "user", "content": said}]))
    assert reply.content == said
    assert asked.server.requests[0]["messages"][0]["content"] == said


# -- transient faults ------------------------------------------------------------------------------


def test_after_a_short_retry_after_the_request_is_sent_again(serve: Serve) -> None:
    asked = serve(Fault(429, retry_after="2"), HELLO)
    assert asked.model().reply(request()).content == "hello there"
    assert asked.pauses == [2.0]
    assert len(asked.server.requests) == 2


def test_a_long_retry_after_is_raised_without_sleeping(serve: Serve) -> None:
    asked = serve(Fault(429, retry_after="120"))
    assert asked.unavailable().after_seconds == 120
    assert asked.pauses == []
    assert len(asked.server.requests) == 1


def test_retry_after_may_be_a_date(serve: Serve) -> None:
    until = datetime.now(UTC) + timedelta(seconds=90)
    asked = serve(Fault(503, retry_after=format_datetime(until, usegmt=True)))
    after = asked.unavailable().after_seconds
    assert after is not None
    assert 80 < after <= 90


def test_a_retry_after_date_in_the_past_means_now(serve: Serve) -> None:
    asked = serve(Fault(429, retry_after="Sun, 06 Nov 1994 08:49:37 GMT"), HELLO)
    assert asked.model().reply(request()).content == "hello there"
    assert asked.pauses == [0.0]


@pytest.mark.parametrize("header", ["soon", "", "-", "Sun, 99 Nov 1994", "1994-11-06"])
def test_an_invalid_retry_after_is_ignored(serve: Serve, header: str) -> None:
    asked = serve(Fault(429, retry_after=header), HELLO)
    assert asked.model().reply(request()).content == "hello there"
    assert len(asked.pauses) == 1
    assert asked.pauses[0] > 0


@pytest.mark.parametrize(
    "header",
    [
        "Sun, 06 Nov 99999999999999 08:49:37 GMT",
        "Sun, 06 Nov 2094 08:49:37 +99999999999999999999",
    ],
)
def test_a_retry_after_date_out_of_range_is_ignored(serve: Serve, header: str) -> None:
    asked = serve(Fault(429, retry_after=header), HELLO)
    assert asked.model().reply(request()).content == "hello there"


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_a_transient_fault_is_tried_three_times(serve: Serve, status: int) -> None:
    asked = serve(Fault(status))
    error = asked.unavailable()
    assert str(status) in str(error)
    assert error.after_seconds is None
    assert len(asked.server.requests) == TRIES
    assert len(asked.pauses) == TRIES - 1


def test_a_transient_fault_does_not_change_the_reply(serve: Serve) -> None:
    asked = serve(Fault(500), Fault(cut="before"), HELLO)
    assert asked.model().reply(request()).content == "hello there"


def test_a_silent_model_server_times_out(serve: Serve) -> None:
    asked = serve(Fault(delay_seconds=30))
    error = asked.unavailable(timeout_seconds=0.2)
    assert "did not answer in time" in str(error)
    # It has cost its time: the next try comes after a wait that costs none.
    assert len(asked.server.requests) == 1
    assert error.after_seconds
    assert error.after_seconds > LONGEST_SLEEP_SECONDS


@pytest.mark.parametrize("cut", ["before", "middle"])
def test_a_dropped_connection_is_retried(serve: Serve, cut: Any) -> None:
    asked = serve(Fault(cut=cut))
    assert "cannot be reached" in str(asked.unavailable())
    assert len(asked.server.requests) == TRIES


def test_an_unreachable_server_is_unavailable() -> None:
    with ModelServer(lambda _: HELLO) as server:
        base_url = server.base_url
    model = OpenAIModel(api_key="k", model="m", base_url=base_url, pause=lambda _: None)
    with pytest.raises(ModelUnavailable):
        model.reply(request())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>Bad gateway</html>",
        b"null",
        b"[]",
        b'"words"',
        b'{"error": {"message": "overloaded"}}',
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": null, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": 5}}]}',
        b'{"choices": [{"message": {"tool_calls": [{"function": null}]}}]}',
        b'{"choices": [{"message": {"content": "\xff\xfe"}}',
        b"\xff\xfe\x00",
    ],
)
def test_a_body_that_is_not_a_completion_is_a_transient_fault(serve: Serve, body: bytes) -> None:
    asked = serve(Fault(200, body=body))
    assert "no completion" in str(asked.unavailable())
    assert len(asked.server.requests) == TRIES


# -- permanent faults ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
def test_a_refused_request_is_not_sent_again(serve: Serve, status: int) -> None:
    asked = serve(Fault(status))
    with pytest.raises(ModelRefused, match=str(status)):
        asked.model().reply(request())
    assert len(asked.server.requests) == 1
    assert asked.pauses == []


def test_a_wrong_key_is_refused_and_not_repeated_in_the_error(serve: Serve) -> None:
    asked = serve(HELLO, api_key="the right one")
    with pytest.raises(ModelRefused, match="401") as caught:
        asked.model(api_key="sk-a-wrong-one").reply(request())
    assert "sk-a-wrong-one" not in str(caught.value)


def test_a_wrong_address_is_refused(serve: Serve) -> None:
    asked = serve(HELLO)
    model = OpenAIModel(api_key="k", model="m", base_url=asked.server.base_url + "/nowhere")
    with pytest.raises(ModelRefused, match="404"):
        model.reply(request())


def test_the_error_of_the_service_is_reported(serve: Serve) -> None:
    with pytest.raises(ModelRefused, match="temperature"):
        serve(HELLO).model().reply(request(settings={"temperature": "hot"}))


# -- whole runs ------------------------------------------------------------------------------------


@tool(effect="read")
def add(a: int, b: int = 0) -> int:
    """Add two numbers.

    Args:
        a: the first.
        b: the second.
    """
    return a + b


@tool(effect="read")
def keep(value: float) -> str:
    """Keep a number."""
    return f"kept {value}"


@tool(effect="read")
def anything(value: Any) -> str:
    """Take anything."""
    return repr(value)


@dataclass(frozen=True)
class Ran:
    """A run that cannot advance further, and the requests that it made."""

    view: RunView
    requests: list[Json]

    @property
    def told(self) -> str:
        """The result of the call, in the second request to the model."""
        content = self.requests[1]["messages"][-1]["content"]
        assert isinstance(content, str)
        return content


def ran(*answers: Reply | Fault, tools: tuple[AnyTool, ...] = (add,), **options: Any) -> Ran:
    """Run an agent over the socket, and check that the server accepted every request."""
    with ModelServer(in_turn(*answers, Reply("done"))) as server:
        model = OpenAIModel(
            api_key="key",
            model="standard",
            base_url=server.base_url,
            timeout_seconds=30,
            pause=lambda _: None,
        )
        agent = Agent(name="helper", instructions="Help.", tools=tools, **options)
        view = LocalRunner([agent], model).start("helper", "go")
        assert server.refusals == []
        return Ran(view, server.requests)


def called(name: str, arguments: str | Json = "{}", **more: Any) -> Reply:
    return Reply(tool_calls=(Call(name, arguments),), **more)


def answered(*answers: Reply | Fault, tools: tuple[AnyTool, ...] = (add,)) -> Ran:
    """A run with an error after which the model could still finish."""
    run = ran(*answers, tools=tools)
    assert (run.view.status, run.view.result) == (Status.COMPLETED, "done"), run.view
    return run


def test_a_run_answers_over_the_socket() -> None:
    run = answered(called("add", {"a": 2, "b": 3}))
    assert run.told == "5"
    assert [each["role"] for each in run.requests[1]["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]
    assert run.requests[0]["tools"][0]["function"]["name"] == "add"


@pytest.mark.parametrize(
    "arguments",
    [
        "{",
        '{"a": 1',
        "a=1",
        "}{",
        '{"a": 1} {"a": 2}',
        "{'a': 1}",
        '{"a": 1,}',
        "\x00",
    ],
)
def test_arguments_that_are_invalid_json_are_reported_to_the_model(arguments: str) -> None:
    run = answered(called("add", arguments))
    assert "this is not JSON" in run.told
    assert f"You had sent: {arguments[:50]}" in run.told


def test_arguments_that_are_nested_too_deep_are_reported_to_the_model() -> None:
    run = answered(called("add", "[" * 200_000))
    assert "nested deeper than 32" in run.told


@pytest.mark.parametrize("arguments", ["[1, 2]", "1", '"a"', "null", "true"])
def test_arguments_that_are_not_an_object_are_reported_to_the_model(arguments: str) -> None:
    assert "a JSON object is needed" in answered(called("add", arguments)).told


@pytest.mark.parametrize("arguments", ["", "  \n", "{}"])
def test_missing_arguments_are_an_empty_object(arguments: str) -> None:
    assert "a: Field required" in answered(called("add", arguments)).told


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"a": "many"}, "a: Input should be a valid integer"),
        ({"a": None}, "a: Input should be a valid integer"),
        ({"a": [1]}, "a: Input should be a valid integer"),
        ({"a": 1.5}, "a: Input should be a valid integer"),
        ({"a": 1, "c": 2}, "c: Extra inputs are not permitted"),
        ({"a": 1, "parameter_1": 2}, "parameter_1: Extra inputs are not permitted"),
        ({"b": 1}, "a: Field required"),
    ],
)
def test_arguments_of_the_wrong_types_are_reported_by_field(arguments: Json, fault: str) -> None:
    assert fault in answered(called("add", arguments)).told


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_outside_json_is_reported_to_the_model(number: str) -> None:
    run = answered(called("keep", f'{{"value": {number}}}'), tools=(keep,))
    assert "value: Input should be a finite number" in run.told


@pytest.mark.parametrize("value", ["NaN", "[1, Infinity]", '{"deep": NaN}'])
def test_a_number_outside_json_is_refused_in_an_argument_of_any_type(value: str) -> None:
    run = answered(called("anything", f'{{"value": {value}}}'), tools=(anything,))
    assert "the arguments do not fit anything" in run.told


def test_a_number_of_ten_thousand_digits_is_reported_to_the_model() -> None:
    assert "This call was not made" in answered(called("add", f'{{"a": {"9" * 10_000}}}')).told


def test_arguments_nested_a_hundred_deep_are_reported_to_the_model() -> None:
    deep = "[" * 100 + "]" * 100
    run = answered(called("anything", f'{{"value": {deep}}}'), tools=(anything,))
    assert "nested deeper than 32" in run.told


def test_arguments_with_a_lone_surrogate_are_reported_to_the_model() -> None:
    for arguments in ('{"value": "\\ud800"}', '{"value": 1, "\\ud800": 2}'):
        run = answered(called("anything", arguments), tools=(anything,))
        assert "the arguments do not fit anything" in run.told


def test_an_unknown_tool_is_reported_with_the_known_ones() -> None:
    run = answered(called("subtract", {"a": 1}), tools=(add, keep))
    assert "there is no tool named 'subtract'; there are: add, keep" in run.told


def test_a_call_to_an_agent_without_tools_is_reported_to_the_model() -> None:
    run = answered(called("add"), tools=())
    assert "there are: none" in run.told
    assert "tools" not in run.requests[1]


@pytest.mark.parametrize(
    "name",
    ["functions.add", "add\n", "", "é", "a b", "add" * 1000, "\u202e", "../add", "{}", "\x00"],
)
def test_an_invalid_tool_name_is_replaced_in_the_history(name: str) -> None:
    run = answered(called(name, {"a": 1}))
    assert "there is no tool named" in run.told


def test_repeated_call_ids_are_kept_apart() -> None:
    twice = Reply(tool_calls=(Call("add", {"a": 1}, "c"), Call("add", {"a": 2}, "c")))
    run = answered(twice, twice)
    last = run.requests[2]["messages"]
    assert [each["content"] for each in last if each["role"] == "tool"] == ["1", "2", "1", "2"]
    ids = [each["tool_call_id"] for each in last if each["role"] == "tool"]
    assert len(set(ids)) == 4


def test_too_many_calls_in_one_turn_are_reported_to_the_model() -> None:
    many = Reply(tool_calls=tuple(Call("add", {"a": n}) for n in range(MAX_CALLS_PER_TURN + 2)))
    told = [each["content"] for each in answered(many).requests[1]["messages"][3:]]
    assert told[:MAX_CALLS_PER_TURN] == [str(n) for n in range(MAX_CALLS_PER_TURN)]
    assert all("only 128 tool calls" in each for each in told[MAX_CALLS_PER_TURN:])


@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_an_empty_reply_is_answered_with_instructions(content: str | None) -> None:
    assert "Your reply was empty" in answered(Reply(content)).told


def test_three_empty_replies_end_the_run_with_the_reason() -> None:
    run = ran(Reply(""), Reply(None), Reply(" "), Reply("too late"))
    assert run.view.status is Status.FAILED
    assert run.view.error == "the model gave no usable answer: empty, empty, empty"
    assert len(run.requests) == 3


def test_a_truncated_text_is_not_the_answer() -> None:
    run = answered(Reply("The result is", finish_reason="length"))
    assert "cut off at the length limit" in run.told


def test_calls_with_truncated_arguments_are_reported_to_the_model() -> None:
    run = answered(called("add", '{"a": 1, "b": 2', finish_reason="length"))
    assert "cut off at the length limit" in run.told


def test_a_call_truncated_before_its_arguments_does_not_run() -> None:
    purged: list[int] = []

    @tool
    def purge(older_than_days: int = 0) -> str:
        """Delete old files."""
        purged.append(older_than_days)
        return "gone"

    answered(called("purge", "", finish_reason="length"), tools=(purge,))
    assert purged == []


def test_a_filtered_text_is_not_the_answer() -> None:
    run = answered(Reply("The", finish_reason="content_filter"))
    assert "withheld by the content filter" in run.told


def test_calls_in_a_filtered_reply_do_not_run() -> None:
    run = answered(called("add", {"a": 1}, finish_reason="content_filter"))
    assert "withheld by the content filter" in run.told


def test_a_refusal_is_the_models_answer() -> None:
    run = ran(Reply(refusal="I will not do that."))
    assert (run.view.status, run.view.result) == (Status.COMPLETED, "I will not do that.")


def test_an_answer_of_five_megabytes_is_the_result() -> None:
    words = "All work and no play. " * 240_000
    run = ran(Reply(words))
    assert run.view.status is Status.COMPLETED
    assert run.view.result == words


def test_five_megabytes_beside_a_call_are_in_the_next_request() -> None:
    words = "x" * 5_000_000
    run = answered(
        Reply(words, tool_calls=(Call("anything", {"value": words}),)), tools=(anything,)
    )
    assert run.requests[1]["messages"][2]["content"] == words
    assert len(run.told) == len(words) + 2


def test_a_run_beyond_its_turn_limit_fails_with_the_reason() -> None:
    run = ran(*[called("add", {"a": 1})] * 5, max_turns=3)
    assert (run.view.status, run.view.error) == (Status.FAILED, "the limit of 3 turns is reached")


# -- results of tools ------------------------------------------------------------------------------


class Invoice(BaseModel):
    number: int
    note: str


class Opaque(BaseModel):
    data: Any


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@tool(effect="read")
async def give_later() -> str:
    """Give a word, later."""
    await asyncio.sleep(0.001)
    return "later"


def giving(result: Any) -> Any:
    @tool
    def give() -> Any:
        """Give something."""
        if isinstance(result, BaseException):
            raise result
        return result

    return give


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("words", "words"),
        ("", ""),
        (5, "5"),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        (math.nan, "NaN"),
        ({"a": [1, "é"]}, '{"a": [1, "é"]}'),
        ({("a", 1): 2}, "{('a', 1): 2}"),
        ([Invoice(number=1, note="n")], '[{"number": 1, "note": "n"}]'),
        (Invoice(number=1, note="n"), '{"number":1,"note":"n"}'),
        (b"\xff", "\"b'\\\\xff'\""),
        ("x" * 2**20, "x" * 2**20),
        ("half \ud800 a character", "half ? a character"),
        ({"\ud800": "\udfff"}, '{"?": "?"}'),
        (datetime(2026, 1, 2, tzinfo=UTC), '"2026-01-02 00:00:00+00:00"'),
    ],
    ids=lambda value: repr(value)[:30].encode("ascii", "backslashreplace").decode(),
)
def test_any_result_of_a_tool_is_text_for_the_model(result: Any, told: str) -> None:
    assert answered(called("give"), tools=(giving(result),)).told == told


def test_a_result_that_contains_itself_is_rendered() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert answered(called("give"), tools=(giving(loop),)).told == "[[...]]"


@pytest.mark.parametrize("data", [b"\xff", "\ud800", object()], ids=["bytes", "half", "object"])
def test_a_pydantic_model_without_a_json_form_is_rendered(data: Any) -> None:
    run = answered(called("give"), tools=(giving(Opaque(data=data)),))
    assert "The tool failed" not in run.told


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no money"), "The tool failed. ValueError: no money"),
        (KeyError("k"), "The tool failed. KeyError: 'k'"),
        (ValueError("half \ud800"), "The tool failed. ValueError: half ?"),
        (SystemExit(3), "The tool failed. SystemExit: 3"),
        (TimeoutError(), "The tool failed. TimeoutError: "),
        (RecursionError("deep"), "The tool failed. RecursionError: deep"),
        (StopIteration("end"), "The tool failed. StopIteration: end"),
    ],
)
def test_any_exception_of_a_tool_is_reported_to_the_model(error: BaseException, told: str) -> None:
    with silenced():  # xdist cannot send a captured line that has half a character
        assert answered(called("give"), tools=(giving(error),)).told == told


@pytest.mark.parametrize(
    "error", [Mute(), asyncio.CancelledError("stopped")], ids=["mute", "async"]
)
def test_an_odd_exception_is_reported_to_the_model_too(error: BaseException) -> None:
    assert "The tool failed" in answered(called("give"), tools=(giving(error),)).told


def test_an_async_tool_is_awaited() -> None:
    assert answered(called("give_later"), tools=(give_later,)).told == "later"


def test_several_async_tools_run_in_one_turn() -> None:
    run = answered(Reply(tool_calls=(Call("give_later", {}),) * 5), tools=(give_later,))
    assert [each["content"] for each in run.requests[1]["messages"][3:]] == ["later"] * 5


def test_a_missing_argument_has_its_default_even_of_another_type() -> None:
    def find(name: str, city: str = None) -> str:  # type: ignore[assignment] # noqa: RUF013
        """Find somebody."""
        return f"{name} of {city}"

    try:
        finder = tool(find)
    except TypeError:
        return  # to say so when the tool is made is as good
    answered(called("find", {"name": "Ada"}), tools=(finder,))


# -- faults during a run ---------------------------------------------------------------------------


def test_a_run_waits_for_an_overloaded_model() -> None:
    before = datetime.now(UTC)
    run = ran(Fault(429, retry_after="600"))
    assert run.view.status is Status.SUSPENDED
    (waiting,) = run.view.waiting
    assert waiting.kind == "model"
    assert "429" in waiting.message
    assert run.view.created_at >= before


def test_a_run_survives_transient_faults() -> None:
    cut = Fault(cut="middle")
    run = answered(Fault(500), cut, called("add", {"a": 1}), Fault(200, body=b"{"), Fault(503))
    assert run.requests[-1]["messages"][-1]["content"] == "1"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_run_is_blocked_with_the_reason_if_the_model_refuses(status: int) -> None:
    run = ran(Fault(status))
    assert run.view.status is Status.SUSPENDED
    assert f"the model service answered {status}" in (run.view.error or "")


def test_a_run_survives_an_endless_retry_after() -> None:
    assert ran(Fault(429, retry_after="9" * 30)).view.status is Status.SUSPENDED


@pytest.mark.parametrize("header", ["inf", "1e400", "-1", "nan", "soon"])
def test_a_retry_after_that_is_not_a_number_is_ignored(header: str) -> None:
    assert ran(Fault(429, retry_after=header)).view.status is Status.COMPLETED


def test_an_unknown_setting_blocks_the_run_with_the_reason() -> None:
    with ModelServer(in_turn(Reply("hello"))) as server:
        model = OpenAIModel(api_key="key", model="standard", base_url=server.base_url)
        agent = Agent("helper", settings={"top_k": 3})
        view = LocalRunner([agent], model).start("helper", "go")
        assert server.refusals == ["Unrecognized request argument supplied: top_k"]
    assert view.status is Status.SUSPENDED
    assert "top_k" in (view.error or "")


def test_arguments_are_unchanged_in_the_history() -> None:
    arguments = {"value": {"nested": ["é", 1, None, {"\u202e": "x"}]}}
    run = answered(called("anything", arguments), tools=(anything,))
    call = run.requests[1]["messages"][2]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == arguments
