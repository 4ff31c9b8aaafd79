"""The host in a process: it runs only what was decided on, and answers whatever happens."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from agent_continuations import Agent, Job, Pending, ToolContext, schema_tool, tool
from agent_continuations.authoring.dispatch import shown_hash
from agent_continuations.authoring.in_process_host import TOO_LATE, InProcessHost
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import Tool
from agent_continuations.ports.tool_host import (
    MAX_HOST_BYTES,
    DecidedContent,
    HostAnswer,
    HostedCall,
    HostRequest,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RAW = '{"amount": 5}'


class Bodies:
    """Tools that keep what they were called with."""

    def __init__(self) -> None:
        self.ran: list[Any] = []
        self.polled: list[Any] = []
        ran, polled = self.ran, self.polled

        @tool
        def pay(amount: int, context: ToolContext) -> str:
            """Pay."""
            ran.append((amount, context.attempt, context.idempotency_key))
            return f"paid {amount}"

        def poll(handle: Any, context: ToolContext) -> Any:
            polled.append((handle, context.attempt))
            return Pending() if handle == "open" else f"{handle} is done"

        @tool(effect="idempotent", poll=poll)
        def order(context: ToolContext) -> Job:
            """Order."""
            return Job(context.callback_url, timeout_seconds=60, poll_seconds=9)

        self.tools: list[Tool] = [pay, order]

    def host(self, *more: Tool, now: datetime = NOON) -> InProcessHost:
        registry = Registry([Agent("payer", tools=[*self.tools, *more])])
        return InProcessHost(registry, clock=lambda: now)

    def version(self, name: str) -> str:
        return next(each for each in self.tools if each.name == name).schema_version


@pytest.fixture
def bodies() -> Bodies:
    return Bodies()


def hosted(name: str = "pay", raw: str = RAW, path: str = "0.0", **more: Any) -> HostedCall:
    given = {"attempt": 1, "agent": "payer", "idempotency_key": "key", **more}
    return HostedCall(path=path, tool=name, raw=raw, **given)


def run(host: InProcessHost, *calls: HostedCall, do: Any = "run", **more: Any) -> list[HostAnswer]:
    request = HostRequest(do=do, run_id="r" * 24, calls=calls, **more)
    return list(host.invoke("any", request).answers)


def failing(error: BaseException) -> Tool:
    @tool
    def fail() -> str:
        """Fail."""
        raise error

    return fail


# -- what runs -------------------------------------------------------------------------------------


def test_a_body_runs_with_what_its_text_says(bodies: Bodies) -> None:
    [answer] = run(bodies.host(), hosted(attempt=3))
    assert (answer.path, answer.kind, answer.content) == ("0.0", "ok", "paid 5")
    assert bodies.ran == [(5, 3, "key")]


@pytest.mark.parametrize(("late", "runs"), [(-1, True), (0, True), (0.001, False), (99, False)])
def test_no_body_starts_after_its_time(bodies: Bodies, late: float, runs: bool) -> None:
    host = bodies.host(now=NOON + timedelta(seconds=late))
    [answer] = run(host, hosted(), not_after=NOON)
    assert bool(bodies.ran) is runs
    if not runs:
        assert (answer.kind, answer.content, answer.passes) == ("refused", TOO_LATE, True)


def test_a_poll_may_start_at_any_time(bodies: Bodies) -> None:
    host = bodies.host(now=NOON + timedelta(days=1))
    [answer] = run(host, hosted("order", "", handle="h"), do="poll", not_after=NOON)
    assert answer.content == "h is done"


@pytest.mark.parametrize(
    "decided",
    [
        {"shown_hash": shown_hash({"amount": 6})},
        {"shown_hash": shown_hash({"amount": "5"})},
        {"shown_hash": shown_hash({})},
        {"shown_hash": ""},
    ],
)
def test_nothing_runs_but_what_was_decided_on(bodies: Bodies, decided: dict[str, str]) -> None:
    given = DecidedContent(schema_version=bodies.version("pay"), **decided)
    [answer] = run(bodies.host(), hosted(decided=given))
    assert (answer.kind, answer.shown, answer.passes) == ("refused", {"amount": 5}, False)
    assert bodies.ran == []


def test_what_was_decided_on_runs(bodies: Bodies) -> None:
    version = bodies.version("pay")
    given = DecidedContent(shown_hash=shown_hash({"amount": 5}), schema_version=version)
    assert [each.kind for each in run(bodies.host(), hosted(decided=given))] == ["ok"]


def test_a_tool_of_a_given_schema_runs_only_with_the_schema_that_people_saw() -> None:
    def made(unit: str) -> Tool:
        amount = {"type": "integer", "description": f"in {unit}"}
        schema: dict[str, Any] = {"type": "object", "properties": {"amount": amount}}
        return schema_tool(str, name="send", description="Send.", schema=schema)

    seen = DecidedContent(
        shown_hash=shown_hash({"amount": 5}), schema_version=made("cents").schema_version
    )
    for unit, kind in (("cents", "ok"), ("euros", "refused")):
        [answer] = run(Bodies().host(made(unit)), hosted("send", decided=seen))
        assert answer.kind == kind


@pytest.mark.parametrize(
    "changed",
    [
        {"raw": '{"amount": "five"}'},
        {"raw": "{}"},
        {"raw": "no JSON"},
        {"name": "nothing"},
        {"agent": "nobody"},
        {"raw": '{"amount": 5, "context": {}}'},
    ],
)
def test_a_call_that_the_tool_does_not_take_is_refused(
    bodies: Bodies, changed: dict[str, Any]
) -> None:
    [answer] = run(bodies.host(), hosted(**changed))
    assert (answer.kind, answer.passes) == ("refused", False)
    assert bodies.ran == []


def test_a_poll_of_a_tool_that_polls_no_more_is_refused(bodies: Bodies) -> None:
    [answer] = run(bodies.host(), hosted("pay", "", handle="h"), do="poll")
    assert answer.kind == "refused"
    assert "no longer polls" in answer.content


# -- what is answered ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(1), GeneratorExit(), BaseException("odd")]
)
def test_whatever_a_body_raises_is_in_its_answer(bodies: Bodies, error: BaseException) -> None:
    [answer] = run(bodies.host(failing(error)), hosted("fail", "{}"))
    assert answer.kind == "error"
    assert answer.content.startswith("The tool failed.")


def test_an_interrupt_is_for_the_process(bodies: Bodies) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(bodies.host(failing(KeyboardInterrupt())), hosted("fail", "{}"))


def test_a_wait_is_answered_as_its_author_made_it(bodies: Bodies) -> None:
    [answer] = run(bodies.host(), hosted("order", "{}", callback_url="https://x"))
    assert answer.kind == "wait"
    assert answer.wait
    assert (answer.wait["handle"], answer.wait["poll_seconds"]) == ("https://x", 9)


@pytest.mark.parametrize(("handle", "kind"), [("open", "pending"), ("closed", "ok")])
def test_a_poll_says_whether_its_job_is_done(bodies: Bodies, handle: str, kind: str) -> None:
    [answer] = run(bodies.host(), hosted("order", "", handle=handle, attempt=4), do="poll")
    assert (answer.kind, bodies.polled) == (kind, [(handle, 4)])


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("x" * (MAX_HOST_BYTES - 1000), True),
        ("x" * MAX_HOST_BYTES, False),
        ("\u20ac" * (MAX_HOST_BYTES // 3), False),
        ('"' * (MAX_HOST_BYTES // 2), False),
    ],
)
def test_a_result_that_no_answer_can_bring_is_ok_with_a_sentence(text: str, fits: bool) -> None:
    @tool
    def dump() -> str:
        """Dump."""
        return text

    [answer] = run(Bodies().host(dump), hosted("dump", "{}"))
    assert answer.kind == "ok"
    assert (answer.content == text) is fits
    assert fits or "is too large to return" in answer.content


def test_calls_of_a_request_run_at_the_same_time_and_each_has_its_answer(bodies: Bodies) -> None:
    together = Barrier(3, timeout=30)

    def waiting(name: str) -> Callable[[], str]:
        def look() -> str:
            """Look."""
            together.wait()
            return name

        look.__name__ = name
        return look

    names = ("one", "two", "three")
    host = bodies.host(*(tool(effect="read")(waiting(name)) for name in names))
    calls = [hosted(name, "{}", f"0.{number}") for number, name in enumerate(names)]
    answers = run(host, *calls, hosted("two", "[]", "0.3"))
    assert [(each.path, each.content) for each in answers[:3]] == [
        ("0.0", "one"),
        ("0.1", "two"),
        ("0.2", "three"),
    ]
    assert answers[3].kind == "refused"


def test_a_request_without_calls_has_no_answers(bodies: Bodies) -> None:
    assert run(bodies.host()) == []
