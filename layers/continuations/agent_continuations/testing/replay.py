"""Replay: a recorded run is planned again by changed agents, up to the first difference.

No model and nobody is asked, and no tool runs except those that the caller names. At each turn the
tools and settings that the model was sent are compared with those that it would be sent now. Then
the recorded reply is planned by the code of the agents, and the plans are compared with those that
were stored when the model replied.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agent_continuations.authoring.agent import Agent
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import Tool
from agent_continuations.core.continuation import Call, Continuation, Turn
from agent_continuations.core.path import ROOT, Path, Step, path_text
from agent_continuations.core.plans import ToolPlan
from agent_continuations.core.request_profile import RequestProfile
from agent_continuations.engine.calls import agent_request
from agent_continuations.engine.planning import first_frame, plan_calls
from agent_continuations.errors import Invalid
from agent_continuations.testing.comparison import (
    FRAME_FIELDS,
    changed_answer,
    changed_edit,
    changed_fields,
    changed_plan,
    is_different,
)
from agent_continuations.testing.difference import Change, Difference
from agent_continuations.testing.requests import changed_profile
from agent_continuations.testing.tool_runs import changed_result, has_run
from agent_continuations.views.recording import Recording, read_recording


def check_recording(
    document: Recording | Mapping[str, Any], agents: Sequence[Agent], run: Collection[str] = ()
) -> Difference | None:
    """Compares a recorded run with what changed agents would do, if the models reply the same.

    Args:
        document: recording, as `agent-continuations record` and `LocalRunner.record` return it.
        agents: agents that can be started.
        run: names of read tools that are run again with the recorded arguments. Their results are
            compared, too; no other tool is run.

    Returns:
        The first difference, in the order of the run; None if there is none.

    Raises:
        Invalid: the document is no recording.
        ValueError: a tool in `run` does not exist or is not a read tool, or two agents have the
            same name.
    """
    recording = document if isinstance(document, Recording) else read_recording(document)
    registry = Registry(agents)
    names = {run} if isinstance(run, str) else set(run)
    found = next(_Replay(recording, registry, names).differences(), None)
    known = {each.name for agent in registry.agents for each in agent.tools}
    if found is None and not names <= known:
        unknown = ", ".join(sorted(names - known))
        raise ValueError(f"no agent has a tool {unknown}; there are: {', '.join(sorted(known))}")
    return found


class _Place(NamedTuple):
    """The address of a frame: its run, its path there, and the agents from the root to it."""

    run_id: str
    path: Path
    agents: tuple[str, ...]

    def differs(self, change: Change, turn: int, call: int | None = None) -> Difference:
        path = self.path if call is None else (*self.path, Step(turn, call))
        return Difference(self.run_id, path_text(path), self.agents, turn, *change)


class _Replay:
    def __init__(self, recording: Recording, registry: Registry, run: Collection[str]) -> None:
        self._recording = recording
        self._runs = dict(recording.runs())
        self._registry = registry
        self._run = run
        self._profiles: dict[str, tuple[RequestProfile, str]] = {}  # of today, by agent
        self._compared: set[tuple[str, str]] = set()  # digests: recorded, of today

    def differences(self) -> Iterator[Difference]:
        """The differences, in the order of the run. Those after the first may follow from it."""
        root = self._recording.continuation
        place = _Place(self._recording.run_id, ROOT, (root.agent,))
        agent = self._registry.find(root.agent)
        if agent is None:
            names = ", ".join(self._registry.startable)
            change = Change(f"there is no agent {root.agent} any more", root.agent, names)
            yield place.differs(change, 0)
            return
        for change in changed_fields(root, first_frame(agent, ""), FRAME_FIELDS, agent.name):
            yield place.differs(change, 0)
        yield from self._frame(place, root)

    def _frame(self, place: _Place, frame: Continuation) -> Iterator[Difference]:
        agent = self._registry.find(frame.agent)
        if agent is None:
            return  # a difference in the plan of the call that starts it
        for number, turn in enumerate(frame.turns):
            for change in self._changed_request(agent, turn):
                yield place.differs(change, number)
            for change in changed_answer(agent, frame, turn.reply):
                yield place.differs(change, number)
            plans = plan_calls(agent, place.path, turn.reply, frame.turns[:number])
            for index, (call, plan) in enumerate(zip(turn.calls, plans, strict=True)):
                for change in changed_plan(call.plan, plan, agent):
                    yield place.differs(change, number, index)
            for index, call in enumerate(turn.calls):
                path = (*place.path, Step(number, index))
                for change in self._changed_call(agent, call, place.run_id, path):
                    yield place.differs(change, number, index)
            for index, call in enumerate(turn.calls):
                yield from self._child(place, call, Step(number, index))

    def _changed_request(self, agent: Agent, turn: Turn) -> Iterator[Change]:
        """What differs in the request besides its messages; equal pairs are compared once."""
        recorded = self._recording.requests.get(turn.profile) if turn.profile else None
        if turn.profile is None or recorded is None:
            return
        if agent.name not in self._profiles:
            profile = agent_request(agent, first_frame(agent, ""), ROOT).profile
            self._profiles[agent.name] = profile, profile.digest
        now, digest = self._profiles[agent.name]
        if (turn.profile, digest) not in self._compared:
            self._compared.add((turn.profile, digest))
            yield from changed_profile(recorded, now, agent.name)

    def _child(self, place: _Place, call: Call, step: Step) -> Iterator[Difference]:
        """The differences in the frame or the child run that a call has started."""
        if call.child:
            agents = (*place.agents, call.child.agent)
            inner = _Place(place.run_id, (*place.path, step), agents)
            yield from self._frame(inner, call.child)
        elif call.child_run:
            root = self._runs.get(call.child_run)
            if root is None:
                raise Invalid(f"not a complete recording: the run {call.child_run} is missing")
            inner = _Place(call.child_run, ROOT, (*place.agents, root.agent))
            yield from self._frame(inner, root)

    def _changed_call(self, agent: Agent, call: Call, run_id: str, path: Path) -> Iterator[Change]:
        """What differs in a call that has run: its edited arguments, its question, its result."""
        tool = agent.tool(call.plan.tool)
        if not isinstance(tool, Tool) or not isinstance(call.plan, ToolPlan) or not has_run(call):
            return
        yield from changed_edit(tool, call)
        if call.question and is_different(call.question.answer, tool.answer.schema):
            what = f"the JSON schema of the answer to {tool.name} differs"
            yield Change(what, call.question.answer, tool.answer.schema)
        if tool.name in self._run and (
            change := changed_result(tool, self._runs[run_id], run_id, path)
        ):
            yield change
