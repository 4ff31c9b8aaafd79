"""Random scenarios: agents, the replies of their models, and deployments."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

from agent_continuations import (
    Agent,
    Approval,
    Condition,
    Escalation,
    EveryCost,
    EverySeconds,
    EveryTokens,
    EveryTurns,
    Stage,
    ToolContext,
    tool,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import EffectName, Tool
from agent_continuations.core.continuation import MAX_CALLS_PER_TURN, MAX_CALLS_WITH_RUNS
from agent_continuations.core.replies import Reply, ToolRequest, Usage
from agent_continuations.ports.model import ModelRequest
from agent_continuations.ports.tool_host import LATE_SECONDS

APPROVERS = ANN, BOB = ("ann@example.com", "bob@example.com")
COLLEAGUES = CARL, DORA, EVE = ("carl@example.com", "dora@example.com", "eve@example.com")
OPERATOR = "operator@example.com"
APPROVAL_SECONDS = 1800
LEVELS = ("root", "middle", "leaf")
LARGE = 36_000
WIDE_SHARE = 0.1

ANY = "any one of two"
GRANTED = "with standing approvals"
POLICIES = {
    ANY: Approval(APPROVERS, timeout_seconds=APPROVAL_SECONDS),
    "two of three": Approval((ANN, BOB, CARL), needed=2, timeout_seconds=APPROVAL_SECONDS),
    "one, then another": Approval(
        stages=[Stage([ANN, BOB]), Stage([BOB, CARL])], timeout_seconds=APPROVAL_SECONDS
    ),
    "all, with reminders": Approval(
        APPROVERS, needed="all", remind_after_seconds=[90, 900], timeout_seconds=APPROVAL_SECONDS
    ),
    "escalated": Approval(
        APPROVERS,
        needed="all",
        timeout_seconds=240,
        remind_after_seconds=[120],
        escalations=[
            Escalation(approvers=(CARL, DORA), needed=2, timeout_seconds=600),
            Escalation(approvers=(ANN, EVE), timeout_seconds=1200),
        ],
    ),
    "escalated soon": Approval(
        APPROVERS,
        timeout_seconds=40,
        remind_after_seconds=[20],
        escalations=[Escalation(approvers=(CARL, ANN), timeout_seconds=APPROVAL_SECONDS)],
    ),
    "or the run fails": Approval(APPROVERS, timeout_seconds=240, on_deadline="fail"),
    GRANTED: Approval(APPROVERS, timeout_seconds=APPROVAL_SECONDS, grant_seconds=3600),
}
WEIGHTS = (50, 14, 12, 6, 8, 6, 4)  # of all but the last

Poll = Callable[[Any, ToolContext], Any]
Body = Callable[[str, ToolContext, int], Any]
# Tools that return a wait, with their side effect.
WAITING: dict[str, EffectName] = {
    "nap": "read",
    "inquire": "once",
    "hear": "idempotent",
    "job": "once",
    "polled": "idempotent",
}
ONCE = ("pay", "inquire", "job")
# The conditions, by name. The model has no price.
CONDITIONS: dict[str, Callable[..., Condition]] = {
    "turns": partial(EveryTurns, limit=3),
    "tokens": partial(EveryTokens, limit=2),
    "time": partial(EverySeconds, limit=200),
    "cost": partial(EveryCost, limit=1),
    "own": partial(Condition, name="own", check=lambda frame, _now: len(frame.turns) == 1),
}


@dataclass(frozen=True)
class Scenario:
    """The scenario of one world, without its faults.

    Attributes:
        wide: how many calls the first turn of the first run has; 0 for few.
        host_seconds: the timeout of tool hosts; None if tools run in the engine's process.
        late_seconds: hosts that take longer report outcomes beside their answers.
    """

    seed: int
    runs: int = 1
    max_turns: int = 3
    max_calls: int = 3
    cancel: bool = False
    deploy: bool = False
    lambda_seconds: float = 900.0
    policy: str = ANY
    waits: bool = False
    condition: str = "turns"
    wide: int = 0
    host_seconds: float | None = 425.0
    late_seconds: float = LATE_SECONDS
    tools: tuple[str, ...] = field(
        default=("look", "note", "pay", "pay_gated", "note_gated", "look_large", "pay_large")
    )

    @classmethod
    def drawn(cls, seed: int) -> "Scenario":
        """The scenario of a seed."""
        random = Random(f"scenario {seed}")
        policies = list(POLICIES)[: len(WEIGHTS)]
        drawn = cls(
            seed=seed,
            runs=random.choice([1, 1, 2]),
            cancel=random.random() < 0.2,
            deploy=random.random() < 0.2,
            lambda_seconds=random.choice([150.0, 300.0, 900.0]),
            policy=Random(f"policy {seed}").choices(policies, WEIGHTS)[0],
            waits=Random(f"waits {seed}").random() < 0.4,
            condition=Random(f"condition {seed}").choice(list(CONDITIONS)),
        )
        if Random(f"grants {seed}").random() < 0.12:
            drawn = replace(drawn, policy=GRANTED)
        apart = Random(f"hosts {seed}").random() < 0.75
        drawn = replace(drawn, host_seconds=drawn.lambda_seconds / 2 - 25 if apart else None)
        drawn = replace(drawn, late_seconds=Random(f"late {seed}").choice([0.0, LATE_SECONDS]))
        return drawn._widened(Random(f"wide {seed}"))

    def _widened(self, random: Random) -> "Scenario":
        """A few scenarios with a wide turn, up to the limits of the library."""
        if random.random() >= WIDE_SHARE:
            return self
        limits = [MAX_CALLS_PER_TURN, MAX_CALLS_WITH_RUNS if self.waits else 0]
        wide = random.choice([60, 99, *limits, random.randint(60, max(limits))])
        policy = self.policy if self.policy == GRANTED else ANY
        return replace(self, runs=1, max_turns=2, policy=policy, wide=wide)

    def small(self) -> "Scenario":
        """A short form with the same policy, for tests that try a fault at each point."""
        return replace(self, runs=1, max_turns=2, max_calls=2, deploy=False, waits=False, wide=0)

    def waiting(self) -> "Scenario":
        """The short form with all kinds of waits."""
        return replace(self.small(), waits=True)

    def reply(self, request: ModelRequest, number: int) -> Reply:
        """The model's reply: but for `number`, it depends on the path and turn only."""
        turn = sum(message["role"] == "assistant" for message in request.messages)
        random = Random(f"{self.seed} {request.path}")
        turns = random.randint(1, self.max_turns)
        if self.wide:
            return self._reply_beside_many(request, turn, number)
        if turn >= turns:
            return Reply(content=f"done #{number}", usage=Usage(input_tokens=1))
        random = Random(f"{self.seed} {request.path} {turn}")
        offered = [each["function"]["name"] for each in request.tools]
        calls = tuple(self._call(random, offered) for _ in range(random.randint(1, self.max_calls)))
        return Reply(content=f"said #{number}", requests=calls, usage=Usage(output_tokens=1))

    def _reply_beside_many(self, request: ModelRequest, turn: int, number: int) -> Reply:
        """A reply in a world with one wide turn: all other turns have few calls."""
        is_root = request.agent == LEVELS[0]
        if turn >= (2 if is_root else 1):
            return Reply(content=f"done #{number}", usage=Usage(input_tokens=1))
        random = Random(f"{self.seed} {request.path} {turn}")
        offered = [each["function"]["name"] for each in request.tools]
        width = self.wide if is_root and turn == 0 else 1
        plain = [name for name in offered if is_root or not name.startswith("ask_")]
        calls = [self._call(random, plain) for _ in range(min(width, MAX_CALLS_PER_TURN))]
        child = ToolRequest(name="ask_spawned", arguments=json.dumps({"input": "go"}))
        calls += [child] * (width - len(calls))
        random.shuffle(calls)
        return Reply(content=f"said #{number}", requests=tuple(calls), usage=Usage(output_tokens=1))

    def _call(self, random: Random, offered: list[str]) -> ToolRequest:
        agents = [name for name in offered if name.startswith("ask_")]
        every = (*self.tools, *WAITING) if self.waits else self.tools
        tools = [name for name in every if name in offered]
        if agents and random.random() < 0.35:
            arguments: dict[str, Any] = {"input": f"job {random.randint(0, 9)}"}
            return ToolRequest(name=random.choice(agents), arguments=json.dumps(arguments))
        amount = random.randint(1, 20)
        return ToolRequest(name=random.choice(tools), arguments=json.dumps({"amount": amount}))


def deployment(
    body: Body,
    *,
    without: str = "",
    changed: str = "",
    prompt: str = "Work.",
    gate: Approval = POLICIES[ANY],
    poll: Poll | None = None,
    condition: str = "turns",
) -> Registry:
    """The agents of one deployment.

    Args:
        body: the function of every tool.
        without: a tool that this deployment does not have.
        changed: a tool that has one more argument in this deployment.
        prompt: the instructions of all agents.
        gate: the approval policy of all calls that need one, and of conditions.
        poll: the poll function of jobs; with it there are tools that wait, child runs, and
            conditions.
        condition: a name of `CONDITIONS`.
    """
    inner: Agent | None = None
    for level in reversed(LEVELS):
        tools: list[Any] = list(_tools(body, gate, without, changed))
        if poll:
            tools += [_waiting(body, poll, name) for name in WAITING]
        if inner:
            tools.append(inner.as_tool(name="ask_free", description="Ask."))
            tools.append(inner.as_tool(name="ask_gated", description="Ask.", approval=gate))
        if inner and poll:
            tools.append(inner.as_tool(name="ask_spawned", description="Ask.", spawn=True))
        scope: Any = "run" if level == "root" else "agent"
        held = [CONDITIONS[condition](scope=scope, approval=gate)] if poll else []
        inner = Agent(level, prompt, tools=tools, conditions=held)
    assert inner
    return Registry([inner])


def _waiting(body: Body, poll: Poll, name: str) -> Tool:
    def waiting(amount: int, context: ToolContext) -> Any:
        """Do it."""
        return body(name, context, amount)

    return tool(name=name, effect=WAITING[name], poll=poll)(waiting)


def _tools(body: Body, gate: Approval, without: str, changed: str) -> Iterator[Tool]:
    for name, effect in (("look", "read"), ("note", "idempotent"), ("pay", "once")):
        for suffix in ("", "_large") if name != "note" else ("",):
            yield from _tool(body, name + suffix, effect, None, without, changed)
    for name, effect in (("note", "idempotent"), ("pay", "once")):
        yield from _tool(body, name + "_gated", effect, gate, without, changed)


def _tool(
    body: Body, name: str, effect: Any, approval: Approval | None, without: str, changed: str
) -> Iterator[Tool]:
    if name == without:
        return

    def plain(amount: int, context: ToolContext) -> Any:
        return body(name, context, amount)

    def wider(amount: int, why: str, context: ToolContext) -> Any:
        return body(name, context, amount)

    function = wider if name == changed else plain
    function.__name__ = name
    function.__doc__ = "Do it."
    yield tool(effect=effect, approval=approval)(function)
