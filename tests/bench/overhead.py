"""The cost of a turn without the model: the same calls by a bare `openai` loop, and by runs."""

import json
from collections.abc import Callable
from typing import Any

from openai import OpenAI

from agent_continuations import LocalRunner, OpenAIModel
from agent_continuations.adapters.stores.memory import InMemoryStore
from agent_continuations.core.run import Status
from tests.bench import model
from tests.bench.place import Ground
from tests.bench.reader import INSTRUCTIONS, Desk, reader
from tests.bench.rounds import interleaved, ratio
from tests.bench.scale import Scale
from tests.bench.tables import Goal, Row, Table
from tests.bench.texts import page

KIB = 1024
BARE, MEMORY, STORED = "bare client", "in memory", "with the store"


def run(ground: Ground, scale: Scale) -> dict[str, Any]:
    """So many turns by each, in turn, against one server."""
    lengths, rounds = ((5,), 1) if scale.quick else ((20, 100), 9)
    with model.running() as url:
        return {"rows": [_measured(ground, url, turns, rounds, scale) for turns in lengths]}


def _measured(ground: Ground, url: str, turns: int, rounds: int, scale: Scale) -> dict[str, Any]:
    agent = reader(KIB)
    asked = OpenAIModel(api_key="none", base_url=url, model=model.NAME)
    with OpenAI(api_key="none", base_url=url, max_retries=0) as client, ground.place() as place:
        memory = LocalRunner([agent], asked, store=InMemoryStore())
        desk = Desk(place.store(), asked, agent)
        tools = [_described(each) for each in agent.tools]

        def stored() -> None:
            _ended(desk.runner.advance(desk.start(model.task(turns))))

        things: dict[str, Callable[[], None]] = {
            BARE: lambda: _bare(client, tools, turns),
            MEMORY: lambda: _ended(memory.start(agent.name, model.task(turns)).status),
            STORED: stored,
        }
        taken = dict(zip(things, interleaved(rounds, *things.values()), strict=True))
        place.meter.take()
        stored()
        tally = place.meter.take()
    scale.say(f"overhead: {turns} turns")
    bare = taken[BARE]
    return {
        "turns": turns,
        "rounds": rounds,
        "store_requests": tally.requests("dynamodb"),
        "of": {
            name: {
                "ms_a_turn": round(each.ms / turns, 3),
                "cpu_ms_a_turn": round(each.cpu_ms / turns, 3),
                "ratio": ratio(each.wall, bare.wall),
                "cpu_ratio": ratio(each.cpu, bare.cpu),
            }
            for name, each in taken.items()
        },
    }


def _described(tool: Any) -> dict[str, Any]:
    about = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": about}


def _bare(client: Any, tools: list[dict[str, Any]], turns: int) -> None:
    """The loop without this library: it validates nothing and stores nothing."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": model.task(turns)},
    ]
    while True:
        answer = client.chat.completions.create(model=model.NAME, messages=messages, tools=tools)
        reply = answer.choices[0].message
        if not reply.tool_calls:
            return
        messages.append(reply.model_dump(exclude_none=True))
        for call in reply.tool_calls:
            text = page(json.loads(call.function.arguments)["page"], KIB)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": text})


def _ended(status: object) -> None:
    if status != Status.COMPLETED:
        raise AssertionError(f"a run that should end was left {status}")


def tables(result: dict[str, Any]) -> list[Table]:
    """One row for the bare loop, and one for the library."""
    rows: list[Row] = [
        (
            f"{row['turns']} turns, {name}",
            of["ms_a_turn"],
            of["ratio"],
            of["cpu_ms_a_turn"],
            of["cpu_ratio"],
            round(row["store_requests"] / row["turns"], 2) if name == STORED else "",
        )
        for row in result["rows"]
        for name, of in row["of"].items()
    ]
    head = ("caller", "ms a turn", "ratio", "CPU ms a turn", "ratio", "store requests a turn")
    note = (
        "One read tool call a turn with a result of 1 KiB, against one model server on loopback"
        f" that answers at once; in turn, medians of {result['rows'][0]['rounds']} rounds. CPU is"
        " this process's; the server's, and DynamoDB Local's, is not in it."
    )
    return [Table("What a turn costs beside the model", head, rows, note)]


def goals(result: dict[str, Any]) -> list[Goal]:
    """In memory, over the bare client."""
    return [
        Goal(
            f"{row['turns']} turns in memory over the bare client", 1.10, row["of"][MEMORY]["ratio"]
        )
        for row in result["rows"]
    ]
