"""A tree of runs whose store, model, tools and processes fail, at times that a seed draws."""

import random
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, TypeVar

from agent_continuations import (
    Agent,
    Approval,
    InMemoryStore,
    Job,
    ScriptedModel,
    Sleep,
    ToolContext,
    WaitFor,
    calls,
    say,
    tool,
)
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.replies import Reply
from agent_continuations.core.run import Snapshot
from agent_continuations.engine.runner import Runner
from agent_continuations.errors import CorruptValue, Retryable
from agent_continuations.ports.model import ModelRequest
from agent_continuations.services.services import Services
from tests.support.engine_harness import NOW
from tests.support.recording_queue import RecordingQueue
from tests.support.simulated_store import simulated_store

ANN, OPERATOR = "ann@example.com", "operator@example.com"
MAX_DEPTH = 4
Result = TypeVar("Result")


class Killed(BaseException):
    """The process was killed."""


class Inline:
    """Runs each piece of work at once, in the thread of the execution."""

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        future: Future[Result] = Future()
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001
            future.set_exception(error)
        return future

    def wait(self, futures: Collection["Future[Any]"], seconds: float) -> None:
        del futures, seconds

    def shutdown(self) -> None:
        pass


def new_store(kind: str, lost: set[str]) -> Any:
    """A store that cannot read some journal entries of the lost runs."""
    if kind == "memory":
        made: Any = InMemoryStore()
        reader = made
    else:
        made = simulated_store().store
        reader = made._runs
    load = reader.load

    def lossy_load(run_id: str, *, partial: bool = False) -> Snapshot | None:
        found: Snapshot | None = load(run_id, partial=partial)
        if found is None or run_id not in lost:
            return found
        if not partial:
            raise CorruptValue("the value is gone")
        keys = [each.key for each in found.entries[1:]]
        chance = random.Random(f"{run_id} {len(keys)}")
        gone = set(chance.sample(keys, min(len(keys), chance.randint(1, 3))))
        kept = tuple(each for each in found.entries if each.key not in gone)
        return Snapshot(found.head, kept, tuple(gone))

    reader.load = lossy_load
    return made


class Interleaved:
    """A store around whose operations something else happens."""

    def __init__(self, store: Any, between: Callable[[], None]) -> None:
        self.store, self.between = store, between

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def operation(*given: Any, **more: Any) -> Any:
            self.between()
            result = method(*given, **more)
            self.between()
            return result

        return operation


class RunTreeWorld:
    """Runs at three levels: the boss starts clerks, and a clerk starts workers.

    Attributes:
        command: something else that happens now, whatever runs.
        calm: whether nothing fails any more, and nothing comes between.
        down: by agent, how its model fails.
        gone: names of tools that the present deployment lacks.
        lost: runs that cannot be read.
        executions: by the run and the path of a call, how often its tool ran.
    """

    def __init__(self, seed: int, kind: str, command: Callable[[], None]) -> None:
        self.random = random.Random(seed)
        self.command = command
        self.now = NOW
        self.calm = True
        self.depth = 0
        self.down: dict[str, Exception] = {}
        self.gone: set[str] = set()
        self.lost: set[str] = set()
        self.operators: tuple[str, ...] = (OPERATOR,)
        self.executions: Counter[tuple[str, str]] = Counter()
        self.running: list[str] = []
        self.paused: list[bool] = []
        self.tools = {each.name: each for each in self._tools()}
        self.model = ScriptedModel(dict.fromkeys(("boss", "clerk", "worker"), self.reply))
        self.attach(new_store(kind, self.lost))
        self.root = self.services.runs.start("boss", "go", key=f"seed {seed}").run_id
        self.calm = False

    def attach(self, store: Any) -> None:
        """Use this store from now on."""
        self.store = store
        self.services = self._services(Interleaved(store, self.between))
        self.direct = self._services(store)

    def _services(self, store: Any) -> Services:
        queue = RecordingQueue()
        return Services.of(store=store, queue=queue, registry=self.registry, clock=lambda: self.now)

    # -- agents ----------------------------------------------------------------------------------

    def registry(self) -> Registry:
        tools = [each for name, each in self.tools.items() if name not in self.gone]
        worker = Agent("worker", tools=tools).as_tool(name="work", description="W.", spawn=True)
        clerk = Agent("clerk", tools=[*tools, worker])
        ask = clerk.as_tool(name="ask", description="Ask.", spawn=True)
        return Registry([Agent("boss", tools=[*tools, ask])])

    def _tools(self) -> list[Any]:
        @tool(approval=Approval([ANN], timeout_seconds=3600, grant_seconds=86400))
        def pay(context: ToolContext) -> str:
            """Pay."""
            return self.execute(context)

        @tool
        def post(context: ToolContext) -> str:
            """Post."""
            return self.execute(context)

        @tool(effect="idempotent")
        def put(context: ToolContext) -> str:
            """Put."""
            return self.execute(context)

        @tool
        def job(context: ToolContext) -> Job:
            """Start a job."""
            self.execute(context)
            return Job("j", timeout_seconds=7200)

        @tool(effect="read")
        def nap() -> Sleep:
            """Wait."""
            return Sleep(seconds=600)

        @tool(effect="read")
        def wait_paid() -> WaitFor:
            """Wait for a payment."""
            return WaitFor("paid", timeout_seconds=3600)

        return [pay, post, put, job, nap, wait_paid]

    def reply(self, request: ModelRequest) -> Reply:
        """The next reply of an agent: some calls, or an end."""
        self.begin()
        if request.agent in self.down:
            raise self.down[request.agent]
        turns = sum(each["role"] == "assistant" for each in request.messages)
        if turns and self.random.random() < 0.35 * turns:
            return say(f"done {self.random.random()}")
        names = self.random.sample(list(self.tools), self.random.randrange(3))
        made: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in names]
        below = {"boss": "ask", "clerk": "work"}.get(request.agent)
        if below:
            made += [(below, {"input": "go"})] * self.random.choice([0, 1, 1, 2])
        return calls(*made) if made else say("done")

    def execute(self, context: ToolContext) -> str:
        """A tool with an effect runs; its process may be killed."""
        self.begin()
        self.executions[context.run_id, context.path] += 1
        if not self.calm and self.random.random() < 0.06:
            raise Killed
        return "done"

    def begin(self) -> None:
        """A model call or a tool begins, and meanwhile other things happen."""
        assert not self.paused[-1], "a run that was paused before its claim starts nothing"
        while not self.calm and self.depth < MAX_DEPTH and self.random.random() < 0.3:
            self.command()

    # -- processes -------------------------------------------------------------------------------

    def between(self) -> None:
        """Between two operations of the store something else happens, or the process fails."""
        if self.calm or self.depth >= MAX_DEPTH:
            return
        chance = self.random.random()
        if chance < 0.02:
            self.command()
        elif self.running and self.depth == len(self.running) and chance > 0.992:
            raise self.random.choice([Killed(), Retryable("no answer")])

    def advance(self, run_id: str) -> None:
        """One process claims a run, and may die; the lease of another may have expired."""
        head = self.store.head(run_id)
        self.paused.append(bool(head and head.paused))
        self.running.append(run_id)
        self.depth += 1
        runner = Runner(
            store=Interleaved(self.store, self.between),
            model=self.model,
            registry=self.registry(),
            queue=RecordingQueue(),
            clock=lambda: self.now,
            operators=self.operators,
            executor=Inline,
            pause=lambda seconds: self.later(seconds),
        )
        seconds = None if self.calm else self.random.choice([None, None, 40, 90, 200, 900])
        deadline = seconds and self.now + timedelta(seconds=seconds)
        try:
            runner.advance(run_id, deadline=deadline or None)
        except (Killed, Retryable):
            pass
        finally:
            self.depth -= 1
            self.running.pop()
            self.paused.pop()

    def resumed(self, run_id: str) -> None:
        """A run was resumed: what executes it may start effects again."""
        pairs = zip(self.paused, self.running, strict=True)
        self.paused = [paused and each != run_id for paused, each in pairs]

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def due(self) -> list[str]:
        """The runs that are due: no wake-up message ever arrives."""
        return [each.run_id for each in self.store.due(self.now, 1000) if not each.notice_id]

    def run_ids(self) -> list[str]:
        return [each.run_id for each in self.store.list_runs("default").heads]
