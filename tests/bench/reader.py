"""The agent that is measured: it reads one page after another, and says when it is done."""

import json
from collections.abc import Callable, Sequence
from itertools import count

from agent_continuations import Agent, Approval, tool
from agent_continuations.authoring.registry import Registry
from agent_continuations.authoring.tool import EffectName
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.replies import Reply, ToolRequest, Usage
from agent_continuations.core.run import Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.runner import Runner
from agent_continuations.ports.model import Model, ModelRequest
from agent_continuations.ports.store import Store
from agent_continuations.services.services import Services
from agent_continuations.views.run import run_view
from tests.bench.texts import page

INSTRUCTIONS = (
    "You read the pages that you are asked to read, one after another, and then say what is in"
    " them. Ask before you publish anything."
)
TASK = "Read the pages of the reference one after another, and say what is in them."
APPROVER = "editor@example.com"


class NoMessages:
    """A queue without messages: the benchmark itself advances the runs."""

    def advance(self, run_id: str) -> None: ...

    def resume(self, run_id: str) -> None: ...

    def notify(self, run_id: str, notice_id: str) -> None: ...


class Reader:
    """A model in this process: calls `look` so many times, then the tools in `then`, then ends.

    It ignores the messages, but the runner derives them for each call nevertheless.
    """

    def __init__(self, turns: int, then: Sequence[str] = ()) -> None:
        self._turns = turns
        self._then = then
        self._turn = count()
        self.asked: Callable[[], None] = lambda: None

    def reply(self, request: ModelRequest) -> Reply:
        del request
        self.asked()
        number, usage = next(self._turn), Usage(input_tokens=1200, output_tokens=40)
        if number >= self._turns + len(self._then):
            return Reply(content="All pages are read.", usage=usage)
        name = "look" if number < self._turns else self._then[number - self._turns]
        call = ToolRequest(name=name, arguments=json.dumps({"page": number}))
        return Reply(requests=(call,), usage=usage)


def reader(size: int, effect: EffectName = "read", max_turns: int = 20_000) -> Agent:
    """The agent; each page has `size` bytes."""

    @tool(effect=effect)
    def look(page: int) -> str:
        """One page of the reference.

        Args:
            page: the page's number.
        """
        return _page(page, size)

    @tool(approval=Approval([APPROVER]))
    def publish(page: int) -> str:
        """Publish a page.

        Args:
            page: the page's number.
        """
        return f"Page {page} is published."

    return Agent("reader", INSTRUCTIONS, tools=[look, publish], max_turns=max_turns)


_page = page


class Desk:
    """Starts and advances runs of one agent on one store."""

    def __init__(
        self, store: Store, model: Model, agent: Agent, limits: Limits | None = None
    ) -> None:
        registry = Registry([agent])
        self.agent = agent
        self.services = Services.of(store=store, queue=NoMessages(), registry=lambda: registry)
        self.runner = Runner(
            store=store,
            model=model,
            registry=registry,
            queue=NoMessages(),
            limits=limits,
        )

    def start(self, task: str = TASK) -> str:
        return self.services.runs.start(self.agent.name, task).run_id


class Waiting:
    """A run that waits for an approval, after so many turns of reading."""

    def __init__(self, store: Store, turns: int, size: int) -> None:
        self.model = Reader(turns, then=("publish",))
        self.desk = Desk(store, self.model, reader(size))
        self.run_id = self.desk.start()
        status = self.desk.runner.advance(self.run_id)
        if status is not Status.SUSPENDED:
            raise AssertionError(f"a run that should wait was left {status}")

    def approve(self) -> None:
        services = self.desk.services
        loaded = services.runs.load(self.run_id)
        [request] = run_view(loaded.head, loaded.continuation).waiting
        answer = Decide(verdict=Verdict.APPROVE, approver=APPROVER, decided_by=APPROVER, via="api")
        services.decisions.decide(self.run_id, request.request_id, answer)
