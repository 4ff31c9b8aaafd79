"""Tools on the event loops of the process, in the context of their caller, and after a fork."""

import asyncio
import multiprocessing
import os
import threading
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest

from agent_continuations import (
    Agent,
    LocalRunner,
    ScriptedModel,
    ToolContext,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.running import run_function
from agent_continuations.authoring.tool import Tool
from agent_continuations.engine.executor import ThreadExecutor

CONTEXT = ToolContext(run_id="r", path="0.0", attempt=1, idempotency_key="k" * 40)
USER: ContextVar[str] = ContextVar("user", default="nobody")


def outcomes(*tools: Tool, turns: int = 1, times: int = 1) -> list[tuple[str, str]]:
    """The outcomes of an agent that calls each tool in parallel, turn after turn."""
    turn = calls(*[(each.name, {}) for each in tools for _ in range(times)])
    model = ScriptedModel({"a": [*[turn] * turns, say("end")]})
    runner = LocalRunner([Agent("a", tools=list(tools))], model)
    run = runner.start("a", "go")
    assert run.status == "completed", runner.store.head(run.run_id)
    return [
        (each.outcome.kind, each.outcome.content)
        for turn in runner.continuation(run.run_id).turns
        for each in turn.calls
        if each.outcome
    ]


def test_a_lock_a_semaphore_and_a_queue_work_across_calls() -> None:
    lock, semaphore = asyncio.Lock(), asyncio.Semaphore(2)
    queue: asyncio.Queue[int] = asyncio.Queue()
    inside: list[int] = []

    @tool
    async def put() -> str:
        async with lock, semaphore:
            inside.append(1)
            assert len(inside) == 1
            await asyncio.sleep(0.01)
            inside.pop()
        await queue.put(1)
        return "put"

    @tool
    async def get() -> int:
        return await queue.get()

    found = outcomes(put, get, turns=2, times=3)
    assert (
        found == [("ok", "put")] * 3 + [("ok", "1")] * 3 + [("ok", "put")] * 3 + [("ok", "1")] * 3
    )


def test_a_pooled_connection_and_a_background_task_live_on() -> None:
    made: list[Any] = []

    @tool
    async def ask() -> str:
        if not made:
            server = await asyncio.start_server(_echo, "127.0.0.1", 0)
            made.extend(await asyncio.open_connection(*server.sockets[0].getsockname()))
            made.append(asyncio.create_task(asyncio.sleep(0.01, "in the background")))
            made.append(server)
        reader, writer, task, _ = made
        writer.write(b"x\n")
        answer = await reader.readline()
        return f"{answer.decode().strip()} {await task}"

    async def close() -> None:
        made[1].close()
        await made[1].wait_closed()
        made[3].close()
        await asyncio.sleep(0.01)

    assert outcomes(ask, turns=3) == [("ok", "x in the background")] * 3
    run_function(close)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async for line in reader:
        writer.write(line)
    writer.close()
    await writer.wait_closed()


def test_a_background_task_that_exits_or_a_stopped_loop_ends_no_other_call() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    @tool
    async def start() -> str:
        task = asyncio.create_task(leave())
        await asyncio.sleep(0.01)
        return repr(task.exception())

    @tool
    async def stop() -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        return "stopped"

    assert outcomes(start, stop, turns=2) == [("ok", "SystemExit(3)"), ("ok", "stopped")] * 2


def test_the_context_of_the_caller_is_that_of_the_tool() -> None:
    @tool
    def plain() -> str:
        return USER.get()

    @tool
    async def later() -> str:
        USER.set("changed in a copy")
        await asyncio.sleep(0)
        return USER.get()

    token = USER.set("ann")
    try:
        assert outcomes(plain, later, turns=2) == [("ok", "ann"), ("ok", "changed in a copy")] * 2
        assert USER.get() == "ann"
    finally:
        USER.reset(token)


def test_the_executor_copies_the_context() -> None:
    executor = ThreadExecutor(1)
    token = USER.set("bob")
    future = executor.submit(USER.get)
    USER.reset(token)
    assert future.result() == "bob"
    assert executor.submit(USER.get).result() == "nobody"
    executor.shutdown()


def nested(depth: int, *, is_async: bool) -> Tool:
    """A tool that runs an agent whose tool runs an agent, and so on."""

    async def leaf() -> str:
        await asyncio.sleep(0.001)
        return "leaf"

    inner = tool(name="inner")(leaf) if depth == 0 else nested(depth - 1, is_async=is_async)
    name = inner.name

    def play() -> str:
        model = ScriptedModel({"b": [calls((name, {}), (name, {})), say("played")]})
        runner = LocalRunner([Agent("b", tools=[inner])], model)
        run = runner.start("b", "go")
        texts = [each.outcome for each in runner.continuation(run.run_id).turns[0].calls]
        return f"{run.result}: {[each and each.content for each in texts]}"

    async def play_async() -> str:
        return play()

    return tool(name=f"play_{depth}")(play_async if is_async else play)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_tool_may_use_a_local_runner_itself(*, is_async: bool) -> None:
    before = threading.active_count()
    for _ in range(2):
        [(kind, content)] = outcomes(nested(2, is_async=is_async))
        assert kind == "ok"
        assert content.count("leaf") == 8
    assert threading.active_count() <= before + 60


def test_loops_are_not_made_anew_for_each_call() -> None:
    async def inner() -> int:
        return id(asyncio.get_running_loop())

    async def outer() -> tuple[int, int]:
        return id(asyncio.get_running_loop()), run_function(inner)

    found = {run_function(outer) for _ in range(3)}
    assert len(found) == 1
    assert len(set(next(iter(found)))) == 2


def test_async_code_waits_for_no_other_call() -> None:
    started = time.monotonic()

    @tool
    async def rest() -> str:
        await asyncio.sleep(0.3)
        return "rested"

    assert outcomes(rest, times=4) == [("ok", "rested")] * 4
    assert time.monotonic() - started < 1.1


def test_an_asynchronous_generator_is_closed_on_its_loop() -> None:
    loops: list[Any] = []

    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            loops.append(asyncio.get_running_loop())

    made = tool(name="endless")(endless)
    assert str(made.run({}, CONTEXT)).startswith("[1, 1")
    assert len(loops) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_has_loops_of_its_own() -> None:
    @tool
    async def ask() -> str:
        await asyncio.sleep(0)
        return str(os.getpid())

    assert outcomes(ask) == [("ok", str(os.getpid()))]
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(outcomes(ask)))
    process.start()
    assert receiver.poll(20), "the fork is stuck"
    assert receiver.recv() == [("ok", str(process.pid))]
    process.join(20)
