"""The scripted model behind the Chat Completions protocol: it plays the `SCRIPT` of agents.

The protocol does not name the agent that asks, so the offered tools and the instructions of the
request identify it.
"""

import runpy
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

from agent_continuations.adapters.models.scripted import Script, ScriptedModel
from agent_continuations.authoring.agent import Agent
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.replies import Reply as ModelReply
from agent_continuations.errors import ModelRefused
from agent_continuations.ports.model import ModelRequest
from tests.local.model_server import Call, Fault, Json, Reply, error_body

EXAMPLE = Path(__file__).parents[2] / "layers" / "agents" / "script.py"


def load_script(file: Path) -> Mapping[str, Script]:
    """The `SCRIPT` of a file; empty if there is no such file.

    Raises:
        ValueError: the file has no mapping named `SCRIPT`.
        Exception: whatever the file raises.
    """
    if not file.exists():
        return {}
    script = runpy.run_path(str(file), run_name="script").get("SCRIPT")
    if not isinstance(script, Mapping):
        raise ValueError(f"{file} has no dict named SCRIPT, from agent names to replies")
    return script


class ScriptedReplies:
    """Replies to requests of the protocol by a script.

    Args:
        agents: the agents that can be started.
        script: replies by agent name, as for `ScriptedModel`.
        file: where the user writes the script; named in the reply that is given without one.
    """

    def __init__(self, agents: Sequence[Agent], script: Mapping[str, Script], file: Path) -> None:
        self._registry = Registry(agents)
        self._agents = self._registry.agents
        self._model = ScriptedModel(script)
        self._file = file

    def respond(self, request: Json) -> Reply | Fault:
        """The scripted reply, or a text that says where to write one."""
        agent = self._asking(request)
        if agent is None:
            return Reply(content=f"No agent has these instructions and tools. {self._advice('')}")
        asked = ModelRequest(
            agent=agent,
            path="",
            model=request["model"],
            messages=request["messages"],
            tools=request.get("tools", ()),
        )
        try:
            return _on_the_wire(self._model.reply(asked))
        except ModelRefused as error:
            return Reply(content=f"No model key is set, and {error}. {self._advice(agent)}")
        except Exception as error:  # noqa: BLE001 - the script is the user's
            traceback.print_exc()
            # An error that is not retried: the run is parked, and can be redriven once it is fixed.
            message = f"the script of {agent} raised {type(error).__name__}: {error}"
            return Fault(status=400, body=error_body(400, message))

    def answer(self, request: Json) -> Json:
        """The reply as plain JSON, for another process; see `reply_of`."""
        reply = self.respond(request)
        if isinstance(reply, Fault):
            return {"fault": (reply.body or b"").decode()}
        return asdict(reply)

    def described(self) -> list[Json]:
        """The agents for a reader: their names, tools, and whether there is a script for them."""
        startable = set(self._registry.startable)
        return [
            {
                "name": agent.name,
                "startable": agent.name in startable,
                "instructions": agent.instructions,
                "tools": [tool.name for tool in agent.tools],
                "scripted": agent.name in self._model.scripts,
            }
            for agent in self._agents
        ]

    def _asking(self, request: Json) -> str | None:
        """The name of the agent whose request this is; None if it is unknown."""
        tools = [tool["function"]["name"] for tool in request.get("tools", ())]
        first = request["messages"][0]
        instructions = first["content"] if first["role"] == "system" else ""
        found = [each for each in self._agents if [tool.name for tool in each.tools] == tools]
        # An older run may have other instructions than the agent that is deployed now.
        exact = [each for each in found if each.instructions == instructions] or found
        scripted = [each for each in exact if each.name in self._model.scripts] or exact
        return scripted[0].name if scripted else None

    def _advice(self, agent: str) -> str:
        example = f'SCRIPT = {{"{agent or "agent"}": [call("tool", argument=1), say("Done.")]}}'
        return (
            f"Write it into {self._file}, as {example}; or set OPENAI_API_KEY or OPENAI_BASE_URL."
        )


def _on_the_wire(reply: ModelReply) -> Reply:
    reasons = {"length": "length", "content_filter": "content_filter"}
    return Reply(
        content=reply.content,
        tool_calls=tuple(Call(each.name, each.arguments) for each in reply.requests),
        finish_reason=reasons.get(reply.fault or ""),
        usage=(reply.usage.input_tokens, reply.usage.output_tokens),
    )


def reply_of(answer: Json) -> Reply | Fault:
    """The reply in the JSON of `ScriptedReplies.answer`."""
    if "fault" in answer:
        return Fault(status=400, body=answer["fault"].encode())
    calls = tuple(Call(**each) for each in answer["tool_calls"])
    return Reply(**{**answer, "tool_calls": calls})


@cache
def _examples() -> ScriptedReplies:
    from agents import AGENTS

    return ScriptedReplies(AGENTS, load_script(EXAMPLE), EXAMPLE)


def respond(request: Json) -> Reply:
    """The scripted reply to a request of an example agent."""
    reply = _examples().respond(request)
    assert isinstance(reply, Reply)
    return reply
