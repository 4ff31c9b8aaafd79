"""Many suspended runs, decided at once: no run may be lost, and no tool may run twice.

The library runs on DynamoDB Local without Lambda: some threads decide, others receive wake-up
messages from a queue and advance runs. Each message is delivered twice, as SQS may.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from statistics import median, quantiles
from threading import Lock
from time import perf_counter
from typing import Any

from agent_continuations import Agent, Approval, ToolContext, tool
from agent_continuations.authoring.registry import Registry
from agent_continuations.core.approvals.request import Verdict
from agent_continuations.core.decisions.responses import Decide
from agent_continuations.core.replies import Reply, ToolRequest
from agent_continuations.core.run import Status
from agent_continuations.engine.context import Limits
from agent_continuations.engine.runner import Runner
from agent_continuations.ports.model import ModelRequest
from agent_continuations.services.services import Services
from agent_continuations.views.run import run_view
from tests.bench.place import Ground, Place
from tests.bench.reader import APPROVER
from tests.bench.scale import Scale
from tests.bench.tables import Goal, Row, Table

WORKERS = 8
DELIVERIES = 2


class _Queue:
    """A queue that delivers each wake-up message twice."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[str | None] = SimpleQueue()

    def advance(self, run_id: str) -> None: ...

    def notify(self, run_id: str, notice_id: str) -> None: ...

    def resume(self, run_id: str) -> None:
        for _ in range(DELIVERIES):
            self.queue.put(run_id)


class _Clerk:
    """Plays the model: one call that asks, then the end."""

    def reply(self, request: ModelRequest) -> Reply:
        if request.messages[-1]["role"] == "tool":
            return Reply(content="It is done.")
        return Reply(requests=(ToolRequest(name="transfer", arguments='{"amount": 250}'),))


class _Office:
    """Starts, decides and advances runs, and counts how often each run's tool has run."""

    def __init__(self, place: Place) -> None:
        ledger: Counter[str] = Counter()
        lock = Lock()

        @tool(approval=Approval([APPROVER]))
        def transfer(amount: int, context: ToolContext) -> str:
            """Transfer money."""
            with lock:
                ledger[context.run_id] += 1
            return f"{amount} euros are sent."

        registry, store = Registry([Agent("clerk", "You pay.", tools=[transfer])]), place.store()
        self.ledger, self.store, self.queue = ledger, store, _Queue()
        self.services = Services.of(store=store, queue=self.queue, registry=lambda: registry)
        self.runner = Runner(
            store=store,
            model=_Clerk(),
            registry=registry,
            queue=self.queue,
            limits=Limits(workers=1),
        )
        self.decided: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def suspend(self, number: int) -> str:
        run_id = self.services.runs.start("clerk", f"Pay order {number}.").run_id
        if self.runner.advance(run_id) is not Status.SUSPENDED:
            raise AssertionError(f"{run_id} does not wait")
        return run_id

    def decide(self, run_id: str) -> None:
        loaded = self.services.runs.load(run_id)
        [request] = run_view(loaded.head, loaded.continuation).waiting
        self.decided[run_id] = perf_counter()
        answer = Decide(verdict=Verdict.APPROVE, approver=APPROVER, decided_by=APPROVER, via="api")
        self.services.decisions.decide(run_id, request.request_id, answer)

    def serve(self) -> None:
        """Advance the run of each message, until the queue delivers None."""
        while (run_id := self.queue.queue.get()) is not None:
            if self.runner.advance(run_id) is Status.COMPLETED:
                self.ended[run_id] = perf_counter()


def run(ground: Ground, scale: Scale) -> dict[str, Any]:
    """Suspend all runs, decide all at once, and count the results."""
    runs = 20 if scale.quick else 1000
    with ground.place() as place:
        office = _Office(place)
        with ThreadPoolExecutor(WORKERS) as pool:
            run_ids = list(pool.map(office.suspend, range(runs)))
        scale.say(f"crowd: {runs} runs wait")
        place.meter.take()
        began = perf_counter()
        with ThreadPoolExecutor(WORKERS) as workers:
            serving = [workers.submit(office.serve) for _ in range(WORKERS)]
            with ThreadPoolExecutor(WORKERS) as approvers:
                list(approvers.map(office.decide, run_ids))
            for _ in serving:
                office.queue.queue.put(None)
        seconds = perf_counter() - began
        for each in serving:
            each.result()
        tally = place.meter.take()
        found = [office.store.head(run_id) for run_id in run_ids]
    waits = [office.ended[each] - office.decided[each] for each in office.ended]
    return {
        "runs": runs,
        "completed": sum(head is not None and head.status is Status.COMPLETED for head in found),
        "ran_once": sum(office.ledger[run_id] == 1 for run_id in run_ids),
        "seconds": round(seconds, 1),
        "median_wait_s": round(median(waits), 2),
        "p99_wait_s": round(quantiles(waits, n=100)[98], 2),
        "workers": WORKERS,
        **tally.plain(),
    }


def tables(result: dict[str, Any]) -> list[Table]:
    """One row."""
    row: Row = (
        f"{result['runs']:,}",
        result["completed"],
        result["ran_once"],
        result["seconds"],
        round(result["runs"] / result["seconds"], 1),
        result["median_wait_s"],
        result["p99_wait_s"],
        round(result["requests"] / result["runs"], 2),
    )
    head = ["runs decided at once", "completed", "tool ran once", "seconds", "runs a second"]
    head += ["median wait s", "99th percentile", "store requests a run"]
    note = (
        f"The library on DynamoDB Local: {result['workers']} threads decide and as many advance, in"
        " one process; each wake-up message is delivered twice. The wait is from the decision to"
        " the end."
    )
    return [Table("Many runs decided at once", head, [row], note)]


def goals(result: dict[str, Any]) -> list[Goal]:
    """None lost, none twice."""
    return [
        Goal(
            "of 1,000 runs decided at once: not completed", 0, result["runs"] - result["completed"]
        ),
        Goal("of these: tool not run exactly once", 0, result["runs"] - result["ran_once"]),
    ]
