"""The campaign's model: its replies depend only on a run's job and the path in the tree."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from agent_continuations.core.replies import Reply, ToolRequest, Usage
from agent_continuations.ports.model import ModelRequest

TOOLS = ("look", "note", "pay", "pay", "note_gated", "pay_gated", "pay_gated")
LARGE_TOOL = "look_large"


def turn_of(request: ModelRequest) -> int:
    """The number of the turn that is asked for."""
    return sum(message["role"] == "assistant" for message in request.messages)


def job_of(request: ModelRequest) -> str:
    """The input of all agents of a run, which identifies the run."""
    return next(str(each["content"]) for each in request.messages if each["role"] == "user")


def digest(messages: Sequence[Mapping[str, Any]]) -> str:
    """The digest of a transcript."""
    return hashlib.sha256(json.dumps(list(messages), sort_keys=True).encode()).hexdigest()[:20]


def reply(request: ModelRequest) -> Reply:
    """One reply; its text ends with the digest of the transcript that it was made from."""
    job, turn = job_of(request), turn_of(request)
    random = Random(f"{job} {request.path}")
    made_from = digest(request.messages)
    if turn >= random.randint(1, 2):
        return Reply(content=f"done {made_from}", usage=Usage(input_tokens=1))
    random = Random(f"{job} {request.path} {turn}")
    offered = {each["function"]["name"] for each in request.tools}
    names = random.choices(TOOLS, k=random.randint(1, 2))
    if random.random() < 0.05:
        names.append(LARGE_TOOL)
    if "ask_free" in offered and turn == 0:
        names.insert(0, random.choice(["ask_free", "ask_free", "ask_gated"]))
    calls = tuple(_call(name, job, random) for name in names)
    return Reply(content=f"said {made_from}", requests=calls, usage=Usage(output_tokens=1))


def _call(name: str, job: str, random: Random) -> ToolRequest:
    arguments = {"input": job} if name.startswith("ask_") else {"amount": random.randint(1, 20)}
    return ToolRequest(name=name, arguments=json.dumps(arguments))
